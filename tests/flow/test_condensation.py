"""Plateau skip and condensation compression, against SciPy on all neurons and closed forms."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss
from numpy.polynomial.legendre import leggauss
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import flowtheory as ft
from flowtheory.errors import DataError, ParameterError
from flowtheory.flow import condensation
from flowtheory.flow.condensation import condense
from flowtheory.flow.field import Model, Samples, TwoLayer
from flowtheory.flow.neurons import Groups, Neurons, of_two_layers, rates, stack, unstack
from flowtheory.flow.plateau import Saddle, Start
from flowtheory.flow.quadrature import compress, lanczos
from flowtheory.outcome import Outcome
from flowtheory.precision import float64

N, D, M = 12, 4, 120


def half_square(y: Any, f: Any) -> Any:
    return (y - f) ** 2 / 2


def silu(z: Any) -> Any:
    """z/2 + z^2/4 - z^4/48 + ...: an even term."""
    return z * jax.nn.sigmoid(z)


def network(activation: Any) -> Neurons:
    def outputs(params: TwoLayer, x: Any) -> Any:
        return params.v @ activation(params.W @ x.T)

    return of_two_layers(Model(outputs, outputs, half_square))


NETWORKS = {
    "tanh": network(jnp.tanh),
    "silu": network(silu),
    "linear": network(lambda z: z),
    "square": network(lambda z: z * jnp.tanh(z)),
}


def start_of(name: str, seed: int, log_scale: float, width: int = M) -> Start:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((N, D))
    y = np.tanh(2 * x @ rng.standard_normal(D) / math.sqrt(D)) + 0.1 * rng.standard_normal(N)
    params = TwoLayer(rng.standard_normal((width, D)), rng.standard_normal(width))  # type: ignore[arg-type]
    saddle = Saddle.of(NETWORKS[name], Samples(x, y, np.float64(1 / N)), D + 1)  # type: ignore[arg-type]
    return Start.of(saddle, stack(params), log_scale)


def field_of(start: Start) -> Any:
    """(loss, velocities) of all neurons, compiled once a network and shape."""
    saddle = start.saddle

    def both(theta: np.ndarray) -> tuple[float, np.ndarray]:
        with float64():
            loss, force = _field(saddle.neurons, saddle.data, theta)
            return float(loss), np.asarray(force)

    return both


@cache
def _compiled(neurons: Neurons) -> Any:
    def field(data: Samples, theta: Any) -> Any:
        def energy(t: Any) -> Any:
            f = neurons.outputs(t, jnp.ones(len(t)), data.x)
            return data.weight * jnp.sum(neurons.sample_loss(data.y, f))

        value, gradient = jax.value_and_grad(energy)(theta)
        return value, -gradient

    return jax.jit(field)


def _field(neurons: Neurons, data: Samples, theta: np.ndarray) -> Any:
    return _compiled(neurons)(data, theta)


def reference(start: Start, loss: float = -math.inf, end: float = 1e3) -> tuple[float, np.ndarray]:
    """SciPy's DOP853 on all neurons from t = 0 to a loss or a time."""
    both, shape = field_of(start), start.modal.shape

    def level(_: float, state: np.ndarray) -> float:
        return both(state.reshape(shape))[0] - loss

    setattr(level, "terminal", True)  # noqa: B010  (how solve_ivp takes its options)
    begin = start.skip_to(0.0)
    run = solve_ivp(
        lambda _, s: both(s.reshape(shape))[1].ravel(),
        (0.0, end),
        begin.ravel(),
        method="DOP853",
        rtol=1e-12,
        atol=1e-13 * np.abs(begin).max(),
        events=level if loss > -math.inf else None,
    )
    return float(run.t[-1]), run.y[:, -1].reshape(shape)


@pytest.mark.parametrize(("family", "points"), [("legendre", 5), ("legendre", 8), ("hermite", 6)])
def test_gauss_rules_of_known_measures(family: str, points: int) -> None:
    # A fine Gauss rule has the moments of its measure: the coarse rule follows from it.
    make = {"legendre": leggauss, "hermite": hermegauss}[family]
    x, w = make(24)
    rule = lanczos(x, np.sqrt(w), points).rule(points)
    exact, weights = make(points)
    np.testing.assert_allclose(rule.points, exact, rtol=0, atol=1e-13)
    np.testing.assert_allclose(rule.weights, weights, rtol=1e-11)
    np.testing.assert_allclose(rule.basis.T @ rule.basis, np.eye(points), rtol=0, atol=1e-13)


def test_a_measure_with_few_points_is_its_own_rule() -> None:
    rule = lanczos(np.array([1.0, 2.0, 1.0, 2.0]), np.array([1.0, 2.0, 1.0, 1.0]), 4).rule(4)
    np.testing.assert_allclose(rule.points, [1.0, 2.0], rtol=1e-13)
    np.testing.assert_allclose(rule.weights, [2.0, 5.0], rtol=1e-13)


@pytest.mark.parametrize("even", [True, False])
def test_moments_are_those_of_the_neurons(even: bool) -> None:
    rng = np.random.default_rng(3)
    theta = rng.standard_normal((200, 5)) * [1e-3, 2e-3, 1e-3, 5e-4, 1.0]
    theta[:, 0] += 1e-2 * theta[:, 4] ** 3  # what depends on the leading coordinate is kept
    (made,) = compress(theta, (4,), even=even)
    modes = np.linalg.eigh(theta.T @ theta)[1]
    for nodes in (made.around(False), made.clustered(False)):
        moments = nodes.theta.T @ (nodes.weights[:, None] * nodes.theta)
        scale = np.sqrt(np.outer(*2 * [np.diag(theta.T @ theta)]))
        assert np.abs((moments - theta.T @ theta) / scale).max() < 1e-13
        np.testing.assert_allclose(nodes.rebuild(nodes.theta), theta, rtol=0, atol=1e-14)
    a, at = theta @ modes[:, -1], made.core.theta @ modes[:, -1]
    b, bt = theta @ modes[:, :-1], made.core.theta @ modes[:, :-1]
    step = 2 if even else 1
    for power in range(8):
        own = np.sum(a ** (2 + step * power))
        nodes_own = np.sum(made.core.weights * at ** (2 + step * power))
        np.testing.assert_allclose(nodes_own, own, rtol=1e-11, atol=1e-11 * np.sum(a**2))
    for power in range(4):
        own = a ** (1 + step * power) @ b
        nodes_own = (made.core.weights * at ** (1 + step * power)) @ bt
        scale = np.abs(a ** (1 + step * power)) @ np.abs(b)
        assert np.abs((nodes_own - own) / scale).max() < 1e-12


def test_the_linear_part_is_the_one_that_is_derived() -> None:
    start = start_of("tanh", 0, 0.0)
    linear, data = start.saddle.linear, start.saddle.data
    flow = ft.vector_field(ft.effective_flow(ft.fully_connected(2, "tanh"), reduction="mean"))
    with float64():
        given = flow.prepare(x=data.x, y=data.y)
        columns = [flow({"W": e[None, :-1], "v": e[-1:]}, given) for e in np.eye(D + 1)]
        A = np.array([np.append(c["W"], c["v"]) for c in columns])
    np.testing.assert_allclose((linear.modes * linear.rates) @ linear.modes.T, A, atol=1e-15)
    assert linear.even
    assert linear.condenses
    assert not start_of("silu", 0, 0.0).saddle.linear.even
    np.testing.assert_allclose(start.skip_to(2.0), start.skip_to(0.0) @ expm(2.0 * A), rtol=1e-12)


def test_the_time_of_a_fraction() -> None:
    start = start_of("tanh", 1, math.log(1e-7))
    linear = start.saddle.linear
    for fraction in (1e-10, 1e-4, 1.0):
        energy = np.sum(start.skip_to(start.time_of(fraction)) ** 2)
        assert energy * linear.rate / (2 * linear.pull) == pytest.approx(fraction, rel=1e-8)
    assert start.time_of(1e-16) == 0.0


def test_velocities_are_minus_the_gradient() -> None:
    start = start_of("silu", 2, 0.0, width=6)
    theta, data = 0.3 * start.skip_to(0.0), start.saddle.data
    # The third neuron twice is one node of weight 2.
    weights = np.array([1.0, 1.0, 2.0, 1.0, 1.0, 1.0])
    twice = np.vstack([theta, theta[2]])
    loss, force = field_of(start)(twice)
    with float64():
        found = rates(
            start.saddle.neurons,
            data,
            theta,
            Groups(weights[None], np.ones((1, 6))),  # type: ignore[arg-type]
        )
    np.testing.assert_allclose(found.force, force[:6], rtol=1e-13)
    assert float(found.loss[0]) == pytest.approx(loss, rel=1e-14)
    assert float(found.slope[0]) == pytest.approx(-np.sum(force**2), rel=1e-13)
    np.testing.assert_array_equal(stack(unstack(theta)), theta)


@pytest.mark.parametrize("core", [(3, 2), (2, 1)])
def test_compression_is_exact_for_a_linear_network(
    core: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(condensation, "_CORES", {True: (core,), False: (core,)})
    start = start_of("linear", 0, math.log(0.03))
    level = 0.3 * start.saddle.linear.loss
    run = condense(start, level, rtol=1e-11, method="spread")
    time, theta = reference(start, level)
    assert run.time == pytest.approx(time, rel=1e-11)
    assert np.abs(run.neurons.theta - theta).max() < 1e-9 * np.abs(theta).max()
    assert run.errors.nodes < 1e-12 * time


EPS = (1e-7, 1e-5, 1e-3, 1e-2)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", ["tanh", "silu"])
def test_the_estimate_covers_the_error(name: str, seed: int) -> None:
    for eps in EPS:
        start = start_of(name, seed, math.log(eps))
        level = 0.5 * start.saddle.linear.loss
        exact = reference(start, level)[0]
        for method in ("bundled", "spread", "skipped"):
            run = condense(start, level, method=method)
            assert run.outcome is Outcome.EVENT
            assert run.loss == pytest.approx(level, rel=1e-8)
            assert abs(run.time - exact) <= run.error + 1e-11 * exact, (eps, method)
        run = condense(start, level)
        assert abs(run.time - exact) <= 1e-8 * exact
        assert run.error <= 1e-8 * exact
        assert run.tried[-1].method == run.method


def test_a_small_start_is_compressed() -> None:
    start = start_of("tanh", 0, math.log(1e-8))
    run = condense(start, 0.5 * start.saddle.linear.loss)
    assert run.method == "bundled"
    assert len(run.theta) in (4, 7)


def test_a_large_start_is_integrated() -> None:
    start = start_of("tanh", 0, math.log(0.1))
    level = 0.5 * start.saddle.linear.loss
    run = condense(start, level)
    assert run.method == "skipped"
    assert run.hand_over == 0.0
    assert len(run.theta) == M
    assert run.time == pytest.approx(reference(start, level)[0], rel=1e-8)


def test_the_plateau_grows_by_its_rate_down_to_1e300() -> None:
    # Below 1e-9 only the shift of the time is left of the scale: d T / d ln(1/eps) = 1/lambda.
    starts = [start_of("tanh", 4, -k * math.log(10.0)) for k in (10, 150, 300)]
    linear = starts[0].saddle.linear
    runs = [condense(s, 0.5 * linear.loss, rtol=1e-10) for s in starts]
    assert {run.method for run in runs} == {"bundled"}
    for run, decades in zip(runs[1:], (140, 290), strict=True):
        gained = decades * math.log(10.0) / linear.rate
        assert run.time - runs[0].time == pytest.approx(gained, rel=1e-11)
    assert abs(runs[1].steps[0] - runs[0].steps[0]) <= 2


@pytest.mark.parametrize(("name", "bound"), [("tanh", 1e-7), ("silu", 5e-6)])
def test_all_neurons_are_rebuilt(name: str, bound: float) -> None:
    start = start_of(name, 1, math.log(1e-8))
    run = condense(start, 0.4 * start.saddle.linear.loss)
    assert run.method == "bundled"
    _, theta = reference(start, end=run.time)
    found = run.neurons
    size = math.sqrt(np.mean(theta**2))
    error = np.linalg.norm(found.theta - theta, axis=1)
    assert error.max() < bound * size
    assert np.all(error <= 3 * found.error + 1e-9 * size)


def test_without_the_virtual_time_it_is_wrong_and_known_to_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = start_of("tanh", 0, math.log(1e-6))
    level = 0.5 * start.saddle.linear.loss
    exact = reference(start, level)[0]
    monkeypatch.setattr(condensation._Driver, "virtual", 0.0)
    run = condense(start, level, method="spread")
    assert abs(run.time - exact) > 1e-4 * exact
    assert run.error > 1e-4 * exact
    assert abs(run.time - exact) <= run.error
    assert condense(start, level).method == "skipped"


def test_ends_in_time() -> None:
    start = start_of("tanh", 0, math.log(1e-6))
    level = 0.5 * start.saddle.linear.loss
    whole = condense(start, level)
    part = condense(start, level, end=0.9 * whole.time)
    assert part.outcome is Outcome.REACHED_T
    assert part.time == 0.9 * whole.time
    assert part.loss > level
    short = condense(start, level, max_steps=2)
    assert short.outcome is Outcome.STEP_LIMIT
    assert short.error == math.inf


def test_without_a_linear_part_all_neurons_are_integrated_from_the_start() -> None:
    start = start_of("square", 0, math.log(0.03), width=10)
    assert not start.saddle.linear.condenses
    level = 0.7 * start.saddle.linear.loss
    run = condense(start, level)
    assert run.method == "full"
    exact = reference(start, level)[0]
    assert abs(run.time - exact) <= run.error + 1e-11 * exact
    with pytest.raises(ParameterError, match="do not leave the origin"):
        condense(start, level, method="spread")


def test_bad_input_is_refused() -> None:
    start = start_of("tanh", 0, 0.0)
    level = start.saddle.linear.loss
    with pytest.raises(ParameterError, match="that of the output 0"):
        condense(start, level)
    with pytest.raises(ParameterError, match="end is inf"):
        condense(start, -math.inf)
    with pytest.raises(ParameterError, match="rtol"):
        condense(start, 0.5 * level, rtol=1e-15)
    for theta in (np.zeros((3, D + 1)), np.ones((3, D)), np.ones(D + 1)):
        with pytest.raises(DataError):
            Start.of(start.saddle, theta)
