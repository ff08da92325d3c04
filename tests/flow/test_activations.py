"""Leaky, sloped and powered ReLU networks: orders, sliding, both modes, and the choice of one."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from flowtheory import Outcome, float64
from flowtheory.errors import ParameterError
from flowtheory.flow import (
    GradientFlow,
    Settings,
    SwitchKind,
    TwoLayer,
    choose,
    solve,
    solve_steps,
)
from flowtheory.flow.field import activation_of, rate_bound
from flowtheory.flow.sliding import slopes
from flowtheory.lower import gradient_flow
from flowtheory.symbolic import leaky_relu, relu_power, sloped_relu

TSIT5 = Settings(rtol=1e-10, method="tsit5")
KINKED = {
    "relu": ("relu", lambda z: np.maximum(z, 0), (0.0, 1.0)),
    "leaky": (leaky_relu(0.2), lambda z: np.where(z > 0, z, 0.2 * z), (0.2, 1.0)),
    "sloped": (sloped_relu(-0.5, 2), lambda z: np.where(z > 0, 2 * z, -0.5 * z), (-0.5, 2.0)),
    "cubed": (relu_power(3), lambda z: np.maximum(z, 0) ** 3, (0.0, 0.0)),
    "abs": ("abs", np.abs, (-1.0, 1.0)),
}


def problem(activation: Any, scale: float = 0.5) -> tuple[GradientFlow, TwoLayer]:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(12, 3)), rng.normal(size=12)
    flow = gradient_flow(x, y, loss="half_square", activation=activation, reduction="mean")
    return flow, TwoLayer(scale * rng.normal(size=(8, 3)), scale * rng.normal(size=8))  # type: ignore[arg-type]


def flat(params: TwoLayer) -> np.ndarray:
    return np.append(np.ravel(params.W), params.v)


@pytest.mark.parametrize("name", KINKED)
def test_the_frozen_network_is_the_network_on_its_pattern(name: str) -> None:
    activation, sigma, sides = KINKED[name]
    flow, params = problem(activation)
    q = flow.preactivations(params)
    with float64():
        out = flow.frozen_outputs(params, jnp.asarray(flow.x), jnp.asarray((q > 0) * 1.0))
        value, slope, _ = map(np.asarray, activation_of(flow.model, jnp.asarray(q)))
        found = [float(s) for s in slopes(flow.model, jnp.asarray(flow.x))]
    np.testing.assert_allclose(out, np.asarray(params.v) @ sigma(q), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(value, sigma(q), rtol=1e-13)
    d = 1e-6
    np.testing.assert_allclose(slope, (sigma(q + d) - sigma(q - d)) / (2 * d), atol=1e-8)
    np.testing.assert_allclose(found, sides, atol=1e-15)


@pytest.mark.parametrize("name", ["leaky", "cubed"])
def test_rate_bound_holds_for_every_activation(name: str) -> None:
    for scale in (1e-3, 0.5, 2.0):
        flow, params = problem(KINKED[name][0], scale)

        def energy(theta: jax.Array, flow: GradientFlow = flow) -> jax.Array:
            p = TwoLayer(theta[:24].reshape(8, 3), theta[24:])
            return jnp.mean((flow.y - flow.outputs(p, jnp.asarray(flow.x))) ** 2) / 2

        with float64():
            hessian = jax.hessian(energy)(jnp.asarray(flat(params)))
            bound = float(rate_bound(flow.model, flow.samples, params))
        assert np.abs(np.linalg.eigvalsh(hessian)).max() <= bound


def test_leaky_networks_slide_in_both_modes() -> None:
    flow, start = problem(leaky_relu(0.2))
    run = solve(flow, start, 10.0, settings=TSIT5)
    assert run.outcome is Outcome.REACHED_T
    assert np.count_nonzero(run.kinds == SwitchKind.SLIDE_BEGINS) >= 3
    W, v = map(np.asarray, run.saved_params())
    gap = v**2 - np.sum(W**2, axis=2)
    assert np.abs(gap - gap[0]).max() < 1e-8
    assert np.all(np.diff(run.loss) < 0)
    errors = []
    for c in (0.2, 0.05, 0.0125):
        steps = solve_steps(flow, start, 10.0, c=c)
        errors.append(np.linalg.norm(flat(steps.params) - flat(run.params)))
    assert errors[2] < 1e-3
    assert errors[2] < errors[0] / 6


def test_squared_relu_crosses_at_full_order_and_agrees_with_scipy() -> None:
    flow, start = problem("relu**2")
    x, y = flow.x, flow.y

    def rhs(_: float, s: np.ndarray) -> np.ndarray:
        W, v = s[:24].reshape(8, 3), s[24:]
        up = np.maximum(W @ x.T, 0)
        g = (y - v @ up**2) / 12
        return np.append((2 * v[:, None] * (up * g) @ x).ravel(), up**2 @ g)

    end = 3.0
    other = solve_ivp(rhs, (0, end), flat(start), method="DOP853", rtol=1e-12, atol=1e-14)

    def state(n: int, rtol: float) -> np.ndarray:
        times = np.linspace(0, end, n + 1)
        run = solve(flow, start, end, times=times, settings=Settings(rtol, method="tsit5"))
        assert set(run.kinds) == {SwitchKind.ACTIVATED, SwitchKind.DEACTIVATED}
        assert len(run.kinds) >= 5
        return flat(run.params)

    reference = state(8, 1e-13)
    np.testing.assert_allclose(reference, other.y[:, -1], atol=1e-9)
    counts = np.array([32, 48, 64, 96, 128])
    errors = [np.linalg.norm(state(n, 1e-2) - reference) for n in counts]
    slope = np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert abs(-slope - 5) < 0.7
    steps = [flat(solve_steps(flow, start, end, c=c).params) for c in (0.1, 0.05, 0.025)]
    gains = [np.linalg.norm(s - reference) for s in steps]
    assert 2.5 < gains[0] / gains[1] < 6
    assert 2.5 < gains[1] / gains[2] < 6


def test_the_choice_says_why() -> None:
    assert choose(30, 16, 1e-8).mode == "exact"
    assert choose(30, 16, 1e-8).c is None
    few, many = choose(30, 16, 3e-5), choose(300, 160, 3e-5)
    assert (few.mode, many.mode) == ("exact", "cheap")
    assert many.c is not None
    assert 0 < many.c <= 0.5
    assert "480" not in few.reason
    assert "30 x 16 kinks" in few.reason
    for bad in ((0, 3, 1e-3), (3, 3, 0.0), (3, 3, 2.0)):
        with pytest.raises(ParameterError):
            choose(*bad)


def test_the_chosen_cheap_mode_reaches_its_error() -> None:
    flow, start = problem(leaky_relu(0.2), 0.3)
    choice = choose(8, 12, 1e-3)
    assert choice.mode == "cheap"
    assert choice.c is not None
    exact = flat(solve(flow, start, 10.0, settings=TSIT5).params)
    steps = flat(solve_steps(flow, start, 10.0, c=choice.c).params)
    assert np.linalg.norm(steps - exact) < 2e-3 * np.linalg.norm(exact)
