"""Stabilised methods: stability of every member, order, stiff directions, cost, log time."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.stats import linregress, t

from flowtheory import Outcome, float64
from flowtheory.errors import DataError, ParameterError
from flowtheory.flow import Settings, rock4, solve_stabilised
from flowtheory.flow.descend import descend
from flowtheory.flow.radius import spectral_radius
from flowtheory.flow.smooth import Functions, SmoothFlow
from flowtheory.flow.stages import RKC2_LARGEST, SCHEMES, Stabilised

METHODS: tuple[Stabilised, ...] = ("rkc2", "rock4")
ORDER = {"rkc2": 2, "rock4": 4}
MEMBERS = {"rkc2": np.arange(2, RKC2_LARGEST + 1), "rock4": rock4.DEGREES}


def interval(method: Stabilised, s: int) -> float:
    """The largest z for which the driver takes s evaluations."""
    return (s**2 - 1) / 1.54 if method == "rkc2" else rock4.interval(s)


@jax.jit
def _polynomials(z: Any, s: Any) -> Any:
    ones = jnp.ones_like(z)
    steps = [SCHEMES[m].step(lambda y: z * y, ones, z, jnp.array(1.0), s) for m in METHODS]
    return [(step.y, step.error) for step in steps]


def polynomial(method: Stabilised, s: int, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R(z) and the error estimate of y' = z y, y(0) = 1, in one step of length 1."""
    with float64():
        both = _polynomials(np.float64(z), np.int64(s))
    value, error = both[METHODS.index(method)]
    return np.asarray(value), np.asarray(error)


@pytest.mark.parametrize("method", METHODS)
def test_stable_on_the_whole_interval(method: Stabilised) -> None:
    x = np.cos(np.linspace(0, np.pi, 6001))
    for s in MEMBERS[method][:: 1 if method == "rock4" else 6]:
        beta = interval(method, int(s))
        values = np.abs(polynomial(method, int(s), -beta * (1 - x) / 2)[0])
        assert values.max() <= 1 + 1e-9
        # Damped away from 0, and no longer than it says: the interval ends soon after.
        damped = 0.985 if s < 7 else 0.96
        assert values[x < np.cos(4 / s)].max() < damped
        beyond = np.abs(polynomial(method, int(s), -np.linspace(1, 1.35, 6001) * beta - 3 * s)[0])
        assert beyond.max() > 1


def test_lengths_of_the_intervals() -> None:
    """0.653 s^2 for RKC2; 0.35 s^2 for order 4, where a classical pair has 0.6 s at most."""
    assert rock4.interval(100) / 100**2 == pytest.approx(0.3506, abs=1e-3)
    z = -np.linspace(0.6, 0.7, 20001) * 50**2
    values = np.abs(polynomial("rkc2", 50, z)[0])
    assert -z[np.argmax(values > 1)] / 50**2 == pytest.approx(0.653, abs=2e-3)


@pytest.mark.parametrize("method", METHODS)
def test_the_driver_takes_enough_stages(method: Stabilised) -> None:
    scheme = SCHEMES[method]
    z = np.geomspace(1e-3, scheme.reach, 4001)
    with float64():
        chosen = np.asarray(jax.vmap(scheme.choose)(jnp.asarray(z)))
    assert set(chosen) <= set(MEMBERS[method])
    assert np.all(z <= np.array([interval(method, int(s)) for s in chosen]) * (1 + 1e-12))
    assert np.all(np.diff(chosen) >= 0)
    for s, largest in [(int(s), z[chosen == s].max()) for s in np.unique(chosen)[:40]]:
        grid = -np.linspace(0, largest, 2000)
        assert np.abs(polynomial(method, s, grid)[0]).max() <= 1 + 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_polynomial_matches_the_exponential(method: Stabilised) -> None:
    z = -np.geomspace(0.02, 0.2, 12)
    for s in (int(MEMBERS[method][k]) for k in (0, 3, 12, -1)):
        value, error = polynomial(method, s, z)
        power = linregress(np.log(-z), np.log(np.abs(value - np.exp(z)))).slope
        assert power == pytest.approx(ORDER[method] + 1, abs=0.1)
        estimated = linregress(np.log(-z), np.log(np.abs(error))).slope
        assert estimated == pytest.approx(SCHEMES[method].estimate, abs=0.1)


@pytest.mark.parametrize("method", METHODS)
def test_the_end_of_a_plateau_is_estimated_where_a_step_ends_at_it(method: Stabilised) -> None:
    """y' = 1 - c exp(k (y - 1)) from 0: what grows is there in the last 1/k of the step only."""
    with float64():
        y, h = jnp.zeros(1), jnp.array(1.0)
        for c, k in itertools.product((1.0, 0.1, 0.01), (4.0, 16.0, 40.0, 120.0, 300.0)):
            field = partial(_saturating, c=c, k=k)
            made = SCHEMES[method].step(field, y, field(y), h, SCHEMES[method].choose(jnp.array(k)))
            exact = 1 - np.log(1 + c - c * np.exp(-k)) / k
            error = abs(float(made.y[0]) - exact)
            assert 1e-5 < error < 3 * abs(float(made.error[0]))


def _saturating(y: Any, *, c: float, k: float) -> Any:
    return 1 - c * jnp.exp(k * (y - 1))


def spiral(y: Any) -> Any:
    r"""$r' = r(1 - r^2)$, angle $r^2$ ahead: every elementary differential is at work."""
    r2 = y[0] ** 2 + y[1] ** 2
    return jnp.stack([y[0] * (1 - r2) - y[1] * r2, y[1] * (1 - r2) + y[0] * r2])


def spiral_solution(time: float) -> np.ndarray:
    r"""From (1/2, 0): $r^2 = 1/(1 + 3e^{-2t})$, angle $\int r^2 = \log((3 + e^{2t})/4)/2$."""
    r, angle = (1 + 3 * np.exp(-2 * time)) ** -0.5, np.log((3 + np.exp(2 * time)) / 4) / 2
    return r * np.array([np.cos(angle), np.sin(angle)])


@pytest.mark.parametrize("method", METHODS)
def test_observed_order_on_a_nonlinear_problem(method: Stabilised) -> None:
    step = SCHEMES[method].step

    @jax.jit
    def march(h: Any, count: Any, s: Any) -> Any:
        def one(_: Any, carry: Any) -> Any:
            return step(spiral, *carry, h, s)[:2]

        y = jnp.array([0.5, 0.0])
        return jax.lax.fori_loop(0, count, one, (y, spiral(y)))[0]

    counts = np.array([8, 12, 16, 24, 32, 48])
    for s in (int(MEMBERS[method][k]) for k in (1, 5, 15, 40)):
        with float64():
            ends = [np.asarray(march(1.5 / n, n, np.int64(s))) for n in counts]
        errors = [np.linalg.norm(end - spiral_solution(1.5)) for end in ends]
        fit = linregress(-np.log(counts), np.log(errors))
        half = t.ppf(0.975, len(counts) - 2) * fit.stderr
        assert half < 0.25
        assert abs(fit.slope - ORDER[method]) < half + 0.15


def test_order_holds_in_stiff_directions() -> None:
    r"""$y' = \lambda (y - \phi) + \phi'$, $\phi = t^3$: with stages of order 1 the error is z^2."""
    step = SCHEMES["rock4"].step

    def error(z: float, h: float) -> float:
        def field(y: Any) -> Any:
            return jnp.stack([jnp.ones_like(y[0]), -z / h * (y[1] - y[0] ** 3) + 3 * y[0] ** 2])

        start = jnp.array([1.0, 1.0])
        s = SCHEMES["rock4"].choose(jnp.asarray(1000.0))
        return float(step(field, start, field(start), jnp.asarray(h), s).y[1]) - (1 + h) ** 3

    with float64():
        for z in (30.0, 100.0):
            assert abs(error(z, 1.0)) < 0.02 * z**2  # 0.2 z^2 with stages of order 1
            coarse, fine = error(z, 0.1), error(z, 0.05)
            assert np.log2(abs(coarse / fine)) > 2.6


def cubic(y: Any, rates: Any) -> Any:
    """Independent y' = -a y - y^3 / 10, with a closed form."""
    return -rates * y - 0.1 * y**3


def cubic_solution(y: np.ndarray, rates: np.ndarray, time: float) -> np.ndarray:
    shrunk = np.exp(-2 * rates * time)
    spent = np.where(rates > 0, -np.expm1(-2 * rates * time) / np.where(rates > 0, rates, 1), 2)
    spent = np.where(rates > 0, spent, 2 * time)
    return y * np.sqrt(shrunk / (1 + 0.1 * y**2 * spent))


@pytest.mark.parametrize("method", METHODS)
def test_adaptive_accuracy_and_counts(method: Stabilised) -> None:
    rates = np.append(np.linspace(0, 1, 20), np.geomspace(2, 1000, 20))
    start = np.random.default_rng(0).standard_normal(40)
    times = np.array([0.5, 2.0, 10.0])
    errors, evaluations = [], []
    for rtol in (1e-4, 1e-6):
        run = solve_stabilised(cubic, start, 10.0, rates, method=method, rtol=rtol, times=times)
        assert run.outcome is Outcome.REACHED_T
        assert run.times.tolist() == times.tolist()
        exact = np.array([cubic_solution(start, rates, time) for time in times])
        errors.append(np.sqrt(np.mean((run.states - exact) ** 2, axis=1)).max())
        assert errors[-1] < run.error < 1e4 * rtol
        assert run.radius == pytest.approx(1000, rel=0.03)
        evaluations.append(run.effort.evaluations)
        assert evaluations[-1] >= run.effort.accepted * min(MEMBERS[method])
        assert run.effort.rejected < 0.05 * run.effort.accepted
    assert errors[1] < errors[0] / 10
    assert evaluations[1] < 10 ** (2 / ORDER[method]) * 1.3 * evaluations[0]


def heat(y: Any, rate: Any) -> Any:
    padded = jnp.pad(y, 1)
    return rate * (padded[2:] - 2 * y + padded[:-2])


def test_heat_equation_costs_less_than_a_classical_pair() -> None:
    n, rtol = 100, 1e-6
    rate = np.float64((n + 1) ** 2)
    x = np.arange(1, n + 1) / (n + 1)
    start = x * (1 - x) ** 2
    matrix = rate * (np.diag(np.ones(n - 1), 1) + np.diag(np.ones(n - 1), -1) - 2 * np.eye(n))
    exact = expm(0.2 * matrix) @ start
    with float64():
        peer = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, y, r: heat(y, r)),
            diffrax.Tsit5(scan_kind="lax"),
            0.0,
            0.2,
            None,
            jnp.asarray(start),
            rate,
            stepsize_controller=diffrax.PIDController(rtol, rtol * 1e-4),
            adjoint=diffrax.ForwardMode(),
        )
        classical = 6 * int(peer.stats["num_steps"])
        peer_error = np.abs(np.asarray(peer.ys)[-1] - exact).max()  # type: ignore[index]
    for method, gain, digits in (("rkc2", 4, 1e-4), ("rock4", 8, 1e-5)):
        run = solve_stabilised(heat, start, 0.2, rate, method=method, rtol=rtol)
        error = np.abs(run.states[-1] - exact).max()
        assert error < digits * np.abs(exact).max()
        assert peer_error < digits * np.abs(exact).max()
        assert classical > gain * (run.effort.evaluations + 2 * run.effort.products)


def tanh_loss(params: Any, data: Any) -> Any:
    x, y = data
    W, v = params
    return jnp.mean((v @ jnp.tanh(W @ x.T) / np.sqrt(len(v)) - y) ** 2) / 2


def tanh_flow(params: Any, data: Any) -> Any:
    return jax.tree.map(jnp.negative, jax.grad(tanh_loss)(params, data))


def test_agrees_with_scipy_on_a_network() -> None:
    rng = np.random.default_rng(1)
    start = {"W": rng.standard_normal((6, 3)), "v": rng.standard_normal(6)}
    data = (rng.standard_normal((8, 3)), rng.standard_normal(8))

    def field(p: Any, data: Any) -> Any:
        return dict(zip("Wv", tanh_flow((p["W"], p["v"]), data), strict=True))

    def flat(_: float, s: np.ndarray) -> np.ndarray:
        W, v = s[:18].reshape(6, 3), s[18:]
        q = np.tanh(W @ data[0].T)
        r = (v @ q / np.sqrt(6) - data[1]) / len(data[1]) / np.sqrt(6)
        return -np.append(((v[:, None] * (1 - q**2) * r) @ data[0]).ravel(), q @ r)

    s0 = np.append(start["W"].ravel(), start["v"])
    reference = solve_ivp(flat, (0, 200.0), s0, method="DOP853", rtol=1e-13, atol=1e-15).y[:, -1]
    for method, bound in (("rock4", 1e-8), ("rkc2", 1e-5)):
        run = solve_stabilised(field, start, 200.0, data, method=method, rtol=1e-9)
        end = np.append(run.states["W"][-1].ravel(), run.states["v"][-1])
        assert np.abs(end - reference).max() < bound


def margin_loss(params: Any, z: Any) -> Any:
    W, v = params
    return jnp.mean(jax.nn.softplus(-(z @ W.T @ v)))


def margin_flow(params: Any, z: Any) -> Any:
    return jax.tree.map(jnp.negative, jax.grad(margin_loss)(params, z))


def signed_inputs() -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """20 separable data of small margin, a two-layer linear network of 6 neurons."""
    rng = np.random.default_rng(0)
    z, u = rng.standard_normal((20, 5)), rng.standard_normal(5)
    u /= np.linalg.norm(u)
    z += np.outer(np.maximum(0.02 - z @ u, 0) * (1 + rng.random(20)), u)
    return z, (0.3 * rng.standard_normal((6, 5)), 0.3 * rng.standard_normal(6))


def test_log_time_to_1e12() -> None:
    z, start = signed_inputs()

    def rate(tau: float, s: np.ndarray) -> np.ndarray:
        W, v = s[:30].reshape(6, 5), s[30:]
        # exp(tau) p / n in one exponential: neither factor alone is safe.
        p = np.exp(tau - np.logaddexp(0, z @ W.T @ v)) / len(z)
        return np.append(np.outer(v, p @ z).ravel(), W @ (p @ z))

    s0 = np.append(start[0].ravel(), start[1])
    span = (0.0, np.log1p(1e12))
    end = solve_ivp(rate, span, s0, method="DOP853", rtol=1e-11, atol=1e-13).y[:, -1]
    with float64():
        exact = np.log(float(margin_loss((end[:30].reshape(6, 5), end[30:]), z)))
        for method, bound in (("rkc2", 1e-3), ("rock4", 1e-6)):
            run = solve_stabilised(margin_flow, start, 1e12, z, method=method, log_time=True)
            assert run.outcome is Outcome.REACHED_T
            last = jax.tree.map(lambda a: a[-1], run.states)
            assert abs(np.log(float(margin_loss(last, z))) - exact) < bound
            assert run.effort.evaluations + 2 * run.effort.products < 5000
            assert run.times[-1] == 1e12
    flow = SmoothFlow(Functions(named_margin_loss, named_margins), {"z": z})
    named = {"W": start[0], "v": start[1]}
    settings = Settings(rtol=1e-6)
    run = descend(flow, named, 1e12, log_time=True, settings=settings, estimate=False)
    assert run.outcome is Outcome.REACHED_T
    assert abs(np.log(run.loss[-1]) - exact) < 1e-5
    assert run.statistics.evaluations < 5000
    assert all("log(1 + t)" in stage.method for stage in run.stages)
    assert run.checks.rises == 0
    assert run.checks.energy < 1e-6
    # What grows unseen grows like a power of t: its rate in t is not that of the last look.
    for rtol in (1.1e-6, 1e-7):
        run = descend(
            flow, named, 1e12, log_time=True, settings=Settings(rtol=rtol), estimate=False
        )
        assert run.statistics.evaluations < 5000


def named_margins(params: Any, data: Any) -> Any:
    return data["z"] @ params["W"].T @ params["v"]


def named_margin_loss(params: Any, data: Any) -> Any:
    return margin_loss((params["W"], params["v"]), data["z"])


def grow(y: Any, _: Any) -> Any:
    return jnp.exp(-y)


def test_log_time_keeps_the_order() -> None:
    r"""$y' = e^{-y}$: $y = \log(e^{y_0} + t)$; a stage that saw another time would lose it."""
    start, errors, steps = np.array([0.5]), [], []
    for rtol in (1e-5, 1e-7, 1e-9):
        run = solve_stabilised(grow, start, 1e6, rtol=rtol, log_time=True, times=np.array([10.0]))
        exact = np.log(np.exp(0.5) + run.times)
        errors.append(np.abs(run.states[:, 0] - exact).max())
        steps.append(run.effort.accepted)
    fit = linregress(np.log(steps), np.log(errors))
    assert fit.slope < -3.5
    assert errors[-1] < 1e-8


def test_spectral_radius_is_found_from_any_start() -> None:
    rng = np.random.default_rng(3)
    base = np.linalg.qr(rng.standard_normal((60, 60)))[0]
    rates = np.append(np.geomspace(1e-4, 3, 59), 5.0)
    matrix = (base * -rates) @ base.T
    slow = base[:, 10]  # the field itself late on: roundoff apart, no stiff direction in it
    with float64():
        field = jax.tree_util.Partial(jnp.matmul, jnp.asarray(matrix))
        good, vector, count = spectral_radius(field, jnp.zeros(60), rng.standard_normal(60))
        trapped = spectral_radius(field, jnp.zeros(60), jnp.asarray(slow))[0]
    largest = np.abs(np.linalg.eigvalsh(matrix)).max()
    assert 0.95 * largest < float(good) <= largest * (1 + 1e-12)
    assert int(count) < 60
    assert abs(np.linalg.norm(np.asarray(vector)) - 1) < 1e-12
    assert float(trapped) < 0.5 * largest  # why the driver never starts from the field
    run = solve_stabilised(linear, slow, 50.0, matrix)
    assert run.radius == pytest.approx(largest, rel=0.05)


def linear(y: Any, matrix: Any) -> Any:
    return matrix @ y


def square(y: Any, _: Any) -> Any:
    return y**2


def test_outcomes_and_errors() -> None:
    blown = solve_stabilised(square, np.array([1.0]), 2.0)
    assert blown.outcome in (Outcome.STIFF, Outcome.NONFINITE)
    assert blown.times[-1] == pytest.approx(1.0, abs=1e-3)
    short = solve_stabilised(square, np.array([1.0]), 0.9, max_steps=3, times=np.array([1e-3]))
    assert short.outcome is Outcome.STEP_LIMIT
    assert len(short.times) == len(short.states)
    assert 0 < short.times[-1] < 0.9
    with pytest.raises(ParameterError, match="method"):
        solve_stabilised(square, np.array([1.0]), 0.5, method="rock2")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="atol"):
        solve_stabilised(square, np.array([1.0]), 0.5, atol=1e-3)
    with pytest.raises(ParameterError, match="start < end"):
        solve_stabilised(square, np.array([1.0]), -1.0)
    with pytest.raises(DataError, match="zero"):
        solve_stabilised(square, np.array([0.0]), 1.0)
