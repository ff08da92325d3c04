"""Ensembles: each lane as alone, named outcomes that stay in their lane, events landed on."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from scipy.integrate import solve_ivp
from scipy.stats import linregress
from scipy.stats import t as student

from flowtheory import Outcome, float64
from flowtheory.errors import DataError, ParameterError
from flowtheory.flow import Many, solve_buckets, solve_many
from flowtheory.flow.dop853 import step, tableau
from flowtheory.flow.flat import flat_elementwise
from flowtheory.flow.landing import Bracket, Edge, aim, hermite

LANES, M, D, N = 12, 4, 2, 3
TRACES: list[str] = []


def outputs(params: Any, x: Any) -> Any:
    return params["v"] @ jnp.tanh(params["W"] @ x.T)


def loss(params: Any, args: Any) -> Any:
    x, y = args
    return jnp.mean((outputs(params, x) - y) ** 2) / 2


def rate(params: Any, args: Any) -> Any:
    TRACES.append("rate")
    return jax.tree.map(jnp.negative, jax.grad(loss)(params, args))


def level(params: Any, args: Any) -> Any:
    """Zero when the loss has fallen by 20 % of the zero function's."""
    return jnp.log(loss(params, args) / (0.4 * jnp.mean(args[1] ** 2)))


def neurons(params: Any) -> Any:
    return jnp.sqrt(jnp.sum(params["W"] ** 2, axis=1) + params["v"] ** 2)


def family(lanes: int, m: int = M) -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    eps = np.geomspace(1e-12, 1e-2, lanes)
    x = rng.standard_normal((lanes, N, D))
    y = np.einsum("lnd,ld->ln", x, rng.standard_normal((lanes, D)))
    W = eps[:, None, None] * rng.standard_normal((lanes, m, D))
    return {"W": W, "v": eps[:, None] * rng.standard_normal((lanes, m))}, (x, y)


def take(tree: Any, index: Any) -> Any:
    return jax.tree.map(lambda a: a[index], tree)


def solved(starts: Any, args: Any, **options: Any) -> Many:
    return solve_many(rate, level, starts, args=args, sizes=neurons, **options)


@pytest.fixture(scope="module")
def problems() -> tuple[Any, Any]:
    return family(LANES)


@pytest.fixture(scope="module")
def together(problems: tuple[Any, Any]) -> Many:
    return solved(*problems, chunk=4, threads=1)


def scipy_end(start: Any, args: Any) -> tuple[float, np.ndarray]:
    """Time and state at the event by SciPy with a hand-written gradient; no code in common."""
    x, y = args
    cut = start["W"].size

    def parts(q: np.ndarray) -> tuple[np.ndarray, ...]:
        W, v = q[:cut].reshape(-1, D), q[cut:]
        s = np.tanh(W @ x.T)
        return v, s, v @ s - y

    def field(_: float, q: np.ndarray) -> np.ndarray:
        v, s, e = parts(q)
        gate = v[:, None] * (1 - s**2) * e / N
        return -np.concatenate([(gate @ x).ravel(), s @ e / N])

    def event(_: float, q: np.ndarray) -> float:
        return float(np.log(np.mean(parts(q)[2] ** 2) / (0.8 * np.mean(y**2))))

    event.terminal = True  # type: ignore[attr-defined]
    q = np.concatenate([start["W"].ravel(), start["v"]])
    run = solve_ivp(field, (0, 1e5), q, "DOP853", rtol=1e-12, atol=1e-16 * np.abs(q).max(),
                    events=event)  # fmt: skip
    return run.t_events[0][0], run.y_events[0][0]


def test_times_and_states_are_those_of_scipy(problems, together) -> None:
    assert set(together.outcomes) == {Outcome.EVENT}
    for i in range(LANES):
        time, state = scipy_end(take(problems[0], i), take(problems[1], i))
        assert together.times[i] == pytest.approx(time, rel=1e-8)
        mine = np.concatenate([together.params["W"][i].ravel(), together.params["v"][i]])
        assert np.abs(mine - state).max() < 1e-7 * np.abs(state).max()


def test_the_error_in_time_is_below_its_estimate(problems, together) -> None:
    tight = solved(*problems, chunk=4, threads=1, rtol=1e-12)
    error = np.abs(together.times - tight.times)
    assert (error < together.time_errors).all()
    assert (together.time_errors < 1e-6 * together.times).all()


def test_as_one_by_one(problems, together) -> None:
    for i in (0, 5, 11):
        alone = solved(take(problems[0], [i]), take(problems[1], [i]))
        assert alone.times[0] == pytest.approx(together.times[i], rel=1e-12)
        assert alone.accepted[0] == together.accepted[i]


def test_flat_elementwise_changes_nothing_but_rounding() -> None:
    def function(z: Any) -> Any:
        inner = jax.nn.softplus(z) + jnp.tanh(z) * jax.nn.relu(z) + jnp.linalg.norm(z)
        return {"a": jnp.exp(-inner), "b": lax.fori_loop(0, 3, lambda _, c: jnp.sin(c), z)}

    with float64():
        z = jnp.asarray(np.random.default_rng(0).standard_normal((3, 4)))
        plain, flat = jax.jit(function)(z), jax.jit(flat_elementwise(function))(z)
        program = str(jax.make_jaxpr(flat_elementwise(function))(z))
        for key in ("a", "b"):
            np.testing.assert_allclose(plain[key], flat[key], rtol=1e-14)
    assert "f64[16] = tanh" in program  # 12 numbers on a full tile
    assert "optimization_barrier" in program


def test_permuted_lanes_give_permuted_results(problems, together) -> None:
    order = np.random.default_rng(0).permutation(LANES)
    other = solved(*take(problems, order), chunk=LANES, threads=1)
    np.testing.assert_allclose(other.times, together.times[order], rtol=1e-12)
    np.testing.assert_allclose(other.params["W"], together.params["W"][order], rtol=1e-9)


def test_threads_share_the_work_without_a_trace(problems, together) -> None:
    other = solved(*problems, chunk=4, threads=2)
    np.testing.assert_allclose(other.times, together.times, rtol=1e-12)
    assert np.array_equal(other.evaluations, together.evaluations)


def test_compiled_once_a_shape(problems, together) -> None:
    before = len(TRACES)
    again = solved(*take(problems, np.arange(10)), chunk=4, threads=1, rtol=1e-7)
    assert len(TRACES) == before
    assert again.ok.all()


def test_a_lane_may_start_late(problems, together) -> None:
    other = solved(*problems, chunk=4, threads=1, t_start=3.0)
    np.testing.assert_allclose(other.times, together.times + 3.0, rtol=1e-12)


def test_shared_data_need_no_axis() -> None:
    starts, (x, y) = family(4)
    labels = np.repeat(y[:1], 4, axis=0)
    mixed = solved(starts, (x[0], labels), shared=(True, False), chunk=4, threads=1)
    for i in range(4):
        time, _ = scipy_end(take(starts, i), (x[0], y[0]))
        assert mixed.times[i] == pytest.approx(time, rel=1e-8)


def test_shapes_are_bucketed_and_come_back_in_order() -> None:
    small, large = family(3), family(2, m=6)
    lanes = [take(small, 0), take(large, 0), take(small, 2), take(large, 1), take(small, 1)]
    results = solve_buckets(rate, level, lanes, sizes=neurons)
    for (start, args), lane in zip(lanes, results, strict=True):
        assert lane.params["W"].shape == start["W"].shape
        assert lane.time == pytest.approx(scipy_end(start, args)[0], rel=1e-8)


# x' = a x^2 + b x + c sqrt(1 - x): an explosion, a growth, a field that is not defined above 1


def toy(x: Any, args: Any) -> Any:
    a, b, c = args
    return a * x**2 + b * x + jnp.where(c > 0, jnp.sqrt(jnp.where(c > 0, 1 - x, 1.0)), 0.0)


def below_five(x: Any, args: Any) -> Any:
    return jnp.where(args[0] > 0, 1.0, jnp.log(5 / (jnp.abs(x[0]) + 1e-300)))


TOYS = {  # start, (a, b, c), end, outcome
    "grows": (0.1, (0, 1, 0), np.inf, Outcome.EVENT),
    "explodes": (1.0, (1, 0, 0), 2.0, Outcome.BLEW_UP),
    "undefined": (0.5, (0, 1, 1), np.inf, Outcome.NONFINITE),
    "stiff": (1.0, (0, -1e6, 0), 1e3, Outcome.STEP_LIMIT),
    "grows slowly": (1e-9, (0, 0.5, 0), np.inf, Outcome.EVENT),
    "grows from nothing": (1e-250, (0, 0.5, 0), np.inf, Outcome.EVENT),
    "past it": (6.0, (0, 1, 0), np.inf, Outcome.EVENT),
    "bad start": (np.nan, (0, 1, 0), np.inf, Outcome.NONFINITE),
    "bad data": (0.1, (0, np.nan, 0), np.inf, Outcome.NONFINITE),
    "at rest": (0.0, (0, 1, 0), np.inf, Outcome.STATIONARY),
    "stops": (0.1, (0, 1, 0), 1.5, Outcome.REACHED_T),
    "no time": (0.1, (0, 1, 0), 0.0, Outcome.REACHED_T),
    "undefined at once": (2.0, (0, -1, 1), np.inf, Outcome.NONFINITE),
}


def toys(names: list[str]) -> Many:
    starts, numbers, ends, _ = zip(*(TOYS[name] for name in names), strict=True)
    args = tuple(np.array(numbers, float).T)
    return solve_many(
        toy, below_five, np.array(starts)[:, None], np.array(ends), args,
        chunk=3, threads=1, max_steps=2000,
    )  # fmt: skip


@pytest.fixture(scope="module")
def zoo() -> Many:
    return toys(list(TOYS))


def test_every_lane_has_its_named_outcome(zoo) -> None:
    assert dict(zip(TOYS, zoo.outcomes, strict=True)) == {k: v[3] for k, v in TOYS.items()}
    assert np.array_equal(zoo.ok, [v[3].ok for v in TOYS.values()])
    assert zoo.times.dtype == zoo.params.dtype == np.float64


def test_failing_lanes_harm_no_other(zoo) -> None:
    healthy = ["grows", "grows slowly", "stops"]
    alone = toys(healthy)
    at = [list(TOYS).index(name) for name in healthy]
    np.testing.assert_allclose(zoo.times[at], alone.times, rtol=1e-14)
    np.testing.assert_allclose(zoo.params[at], alone.params, rtol=1e-13)
    assert np.array_equal(zoo.evaluations[at], alone.evaluations)


def test_closed_forms(zoo) -> None:
    lane = dict(zip(TOYS, map(zoo.lane, range(len(TOYS))), strict=True))
    assert lane["grows"].time == pytest.approx(np.log(50), rel=1e-9)
    assert lane["grows slowly"].time == pytest.approx(2 * np.log(5e9), rel=1e-8)
    assert lane["grows from nothing"].time == pytest.approx(2 * np.log(5e250), rel=1e-8)
    assert lane["grows"].params[0] == pytest.approx(5, rel=1e-14)
    assert lane["explodes"].time == pytest.approx(1, rel=2e-9)
    assert lane["stops"].time == 1.5
    assert lane["stops"].params[0] == pytest.approx(0.1 * np.exp(1.5), rel=1e-8)
    assert lane["past it"].time == 0
    assert lane["past it"].accepted == 0
    # x + sqrt(1 - x) is defined up to 1: the lane ends there, not beyond
    assert 0.9 < lane["undefined"].params[0] <= 1
    assert np.isnan(lane["bad start"].params[0])
    assert lane["stiff"].evaluations == 12 * 2000 + 2


def drift(x: Any, args: Any) -> Any:
    return jnp.ones_like(x)


def twice(x: Any, args: Any) -> Any:
    return (x[0] - args) * (x[0] - args - 0.5)


def test_a_double_crossing_needs_samples() -> None:
    starts, places = np.ones((3, 1)), np.array([3.0, 40.0, 777.25])
    found = solve_many(drift, twice, starts, 1e4, places, samples=15, max_steps=1000)
    missed = solve_many(drift, twice, starts, 1e4, places)
    assert found.times[0] == pytest.approx(2.0, rel=1e-12)
    # x' = 1 needs no small steps: without samples they pass over both crossings
    assert missed.outcomes[2] == Outcome.REACHED_T


# the method


def logistic(t: Any, x: float = 0.1) -> Any:
    return x / (x + (1 - x) * np.exp(-t))


def test_order_conditions() -> None:
    """Quadrature and the trees of height 3 to order 8, and rows that sum to increasing nodes."""
    A, b, fifth, third = tableau()
    c = A.sum(axis=1)
    for k in range(8):
        assert b @ c**k == pytest.approx(1 / (k + 1), abs=1e-14)
        for j in range(7 - k):
            assert b @ (c**k * (A @ c**j)) == pytest.approx(1 / ((j + 1) * (j + k + 2)), abs=1e-14)
    for k in range(5):
        assert fifth @ c**k == pytest.approx(0, abs=1e-14)
    for k in range(3):
        assert third @ c**k == pytest.approx(0, abs=1e-14)
    assert abs(fifth @ c**5) > 1e-5


def pendulum(q: Any) -> Any:
    return jnp.stack([q[:, 1], -jnp.sin(q[:, 0])], axis=1)


def test_observed_order_is_8() -> None:
    counts, end, errors = np.array([6, 8, 10, 12, 16, 20, 24]), 6.0, []
    reference = solve_ivp(lambda _, q: [q[1], -np.sin(q[0])], (0, end), [1.0, 0.5], "DOP853",
                          rtol=1e-13, atol=1e-15).y[:, -1]  # fmt: skip
    with float64():
        for n in counts:
            q, h = jnp.array([[1.0, 0.5]]), jnp.full(1, end / n)
            for _ in range(n):
                q = step(pendulum, q, pendulum(q), h).y
            errors.append(np.abs(np.asarray(q)[0] - reference).max())
    fit = linregress(np.log(counts), np.log(errors))
    margin = student.ppf(0.975, len(counts) - 2) * fit.stderr
    assert abs(fit.slope + 8) < max(margin, 0.3)
    assert margin < 0.5


def test_landing_beats_interpolation() -> None:
    """Exact ends: the cubic alone is off by 1e-3, three landings by rounding."""
    target, h0 = 0.5, 1.9
    root = np.log(9.0) - 1.2

    def edge(t: Any) -> Edge:
        x = logistic(1.2 + np.asarray(t))
        return Edge(jnp.asarray(np.log(target / x)), jnp.asarray(-(1 - x)))

    with float64():
        h, bracket, lengths = jnp.full(1, h0), Bracket(jnp.zeros(1), jnp.zeros(1)), []
        for landings in range(6):
            h, there, bracket = aim(
                jnp.full(1, 1.2), h, edge(0.0 * h), edge(h), bracket,
                jnp.full(1, landings), jnp.asarray(1e-8),
            )  # fmt: skip
            lengths.append(float(h[0]))
            assert float(bracket.low[0]) <= root <= float(bracket.high[0])
            if bool(there[0]):
                break
    errors = np.abs(np.array(lengths) - root)
    assert errors[0] > 1e-4
    assert errors[-1] < 1e-12
    assert len(errors) <= 4
    assert all(b < 0.05 * a for a, b in pairwise(errors))


def test_hermite_is_exact_for_cubics() -> None:
    def cubic(t: Any) -> Any:
        return np.array([[1 + 2 * t - 3 * t**2 + t**3]])

    ends = [np.array([[2.0]]), np.array([[2 - 6 * 1.5 + 3 * 1.5**2]])]
    with float64():
        value = hermite(0.3, jnp.full(1, 1.5), cubic(0.0), ends[0], cubic(1.5), ends[1])
        assert float(value[0, 0]) == pytest.approx(cubic(0.45)[0, 0], rel=1e-14)


def test_nothing_left_to_run() -> None:
    run = solve_many(drift, twice, np.full((2, 1), np.nan), args=np.ones(2))
    assert run.outcomes == (Outcome.NONFINITE,) * 2
    assert not run.ok.any()


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"starts": {"W": np.ones((3, 1)), "v": np.ones(2)}}, DataError, "lanes"),
        ({"starts": np.array(["a"])}, DataError, "numbers"),
        ({"args": np.ones(2)}, DataError, "first axis of lanes"),
        ({"args": np.array([np.nan]), "shared": True}, DataError, "non-finite"),
        ({"shared": (True, True)}, ParameterError, "entries"),
        ({"ends": -1.0}, ParameterError, "before its start"),
        ({"level": None}, ParameterError, "no level"),
        ({"atol": 1e-3}, ParameterError, "swallow"),
        ({"starts": np.full((3, 1), 1e-200), "sizes": lambda p: p**2}, ParameterError, "sizes"),
        ({"rtol": 1.0}, ParameterError, "rtol"),
        ({"chunk": -1}, ParameterError, "chunk"),
        ({"threads": 0}, ParameterError, "threads"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], error: type[Exception], text: str) -> None:
    options = {"rate": drift, "level": twice, "starts": np.ones((3, 1)), "args": np.ones(3)}
    with pytest.raises(error, match=text):
        solve_many(**(options | change))
