"""Fixed-type steps down to a level of the loss, against exact runs and by their order."""

from __future__ import annotations

import numpy as np
import pytest

import flowtheory as ft
from flowtheory.flow.fall import fall
from flowtheory.flow.field import Samples, TwoLayer
from flowtheory.judge.fit import fit_slope
from flowtheory.lower.gradient_flow import two_layer_model
from flowtheory.lower.network_model import network_model
from flowtheory.outcome import Outcome

X = np.array([[-1.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
Y = np.array([0.7, -0.4, 0.9])
SAMPLES = Samples(X, Y, np.float64(1 / 3))
WHOLE = float(np.sum(Y**2)) / 6
LEVEL = 0.05 * WHOLE


def start(scale: float = 0.1, width: int = 20) -> TwoLayer:
    """Output weights above the norms of the input weights: no neuron passes through the origin."""
    W = scale * np.random.default_rng(11).standard_normal((width, 2))
    return TwoLayer(W, 1.2 * np.linalg.norm(W, axis=1) * (-1.0) ** np.arange(width))


def ended(activation: str, c: float, first: TwoLayer):
    return fall(two_layer_model(activation, "half_mse"), SAMPLES, first, LEVEL, c=c)


def exact(activation: str, first: TwoLayer, rtol: float = 1e-9):
    flow = ft.GradientFlow(ft.fully_connected(2, activation), loss="half_mse", x=X, y=Y)
    return flow.solve(first._asdict(), until=ft.loss_below(LEVEL), rtol=rtol)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_end_is_that_of_the_exact_flow(activation):
    first = start()
    run, end = exact(activation, first), ended(activation, 0.02, first)
    assert run.outcome is end.outcome is Outcome.EVENT
    assert end.time == pytest.approx(run.t_end, rel=3e-4)
    assert end.loss == pytest.approx(LEVEL, rel=1e-12)
    size = np.linalg.norm(run.params["W"])
    assert np.linalg.norm(end.params.W - run.params["W"]) < 3e-3 * size
    moved = np.linalg.norm(end.params.W - first.W)
    assert moved <= end.farthest[0] * (1 + 1e-3)


def test_the_steps_are_of_second_order_on_a_smooth_network():
    first = start(0.5)
    run = exact("tanh", first, rtol=1e-12)
    constants = np.array([0.5, 0.35, 0.25, 0.18, 0.125, 0.09])
    errors = [np.abs(ended("tanh", c, first).params.W - run.params["W"]).max() for c in constants]
    slope = fit_slope(np.log(constants), np.log(errors), name="order", predicted=2, remainder=0.05)
    assert slope.low < 2 < slope.high
    assert slope.high - slope.low < 0.4


def deep_start(layers: int, scale: float) -> dict[str, np.ndarray]:
    rng, width = np.random.default_rng(11), 20
    shapes = [(width, 2), *[(width, width)] * (layers - 2), (width,)]
    names = [*(f"W{k + 1}" for k in range(layers - 1)), "v"]
    return {n: scale * rng.standard_normal(s) for n, s in zip(names, shapes, strict=True)}


def deep_runs(layers: int, activation: str, scale: float, constants):
    """The exact end of a deeper network, and the ends of steps with several constants."""
    net, first = ft.fully_connected(layers, activation), deep_start(layers, scale)
    flow = ft.GradientFlow(net, loss="half_mse", x=X, y=Y)
    run = flow.solve(first, until=ft.loss_below(LEVEL), rtol=1e-11 if len(constants) > 1 else 1e-9)
    model = network_model(net, "half_mse")
    return run, [fall(model, SAMPLES, first, LEVEL, c=c) for c in constants]


def test_the_end_of_a_deeper_network_is_that_of_the_exact_flow():
    run, (end,) = deep_runs(4, "relu", 0.4, [0.02])
    assert run.outcome is end.outcome is Outcome.EVENT
    assert end.time == pytest.approx(run.t_end, rel=3e-4)
    for name, weights in run.params.items():
        assert np.linalg.norm(end.params[name] - weights) < 1e-3 * np.linalg.norm(weights)
    assert set(end.farthest) == set(run.params)


def test_the_steps_are_of_second_order_on_a_deeper_smooth_network():
    constants = np.array([0.5, 0.35, 0.25, 0.18, 0.125, 0.09])
    run, ends = deep_runs(3, "tanh", 0.5, constants)
    errors = [np.abs(end.params["W2"] - run.params["W2"]).max() for end in ends]
    slope = fit_slope(np.log(constants), np.log(errors), name="order", predicted=2, remainder=0.05)
    assert slope.low < 2 < slope.high
    assert slope.high - slope.low < 0.4


def test_a_start_below_the_level_ends_at_once():
    done = ended("relu", 0.5, start())
    again = fall(two_layer_model("relu", "half_mse"), SAMPLES, done.params, 2 * LEVEL, c=0.5)
    assert (again.steps, again.time, again.outcome) == (0, 0.0, Outcome.EVENT)


def test_a_level_that_is_not_reached_and_a_state_that_is_not_finite_are_named():
    short = fall(two_layer_model("relu", "half_mse"), SAMPLES, start(), LEVEL, c=0.5, max_steps=3)
    assert (short.steps, short.outcome) == (3, Outcome.STEP_LIMIT)
    first = start()
    first.W[0, 0] = np.inf
    assert ended("relu", 0.5, first).outcome is Outcome.NONFINITE
