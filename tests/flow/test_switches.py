"""Switch times: closed forms, another integrator, orders, clocks, double crossings."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flow.problems import LOSSES, balanced, cone, make, scipy_switches, slow_and_fast

from flowtheory import Outcome
from flowtheory.flow import GradientFlow, Settings, TwoLayer, all_classified, loss_below, solve
from flowtheory.flow.field import margins
from flowtheory.flow.integrate import STAGES
from flowtheory.flow.loop import stretch
from flowtheory.precision import float64

ARCCOSH = np.arccosh(10.0)  # effective switch time of the slow neuron at mu = 0.1


def slow_switch(eps: float, loss: str = "exponential") -> float:
    flow, params, pattern = slow_and_fast(eps, loss=loss)
    run = solve(flow, params, 10.0, pattern=pattern, until=all_classified())
    assert run.outcome is Outcome.EVENT
    assert run.switch_counts().tolist() == [[0, 1], [0, 0]]
    assert run.t_end == run.switches.time[0]
    return run.t_end


def test_switch_time_error_is_of_second_order_in_eps() -> None:
    eps = np.array([1e-2, 3e-3, 1e-3])
    excess = np.array([slow_switch(e) for e in eps]) - ARCCOSH
    # Same experiment done with SciPy's DOP853, independently: 2136, 1868, 1847.
    np.testing.assert_allclose(excess / eps**2, [2136, 1868, 1847], rtol=3e-4)
    small = np.array([1e-3, 3e-4, 1e-4])
    order = np.polyfit(np.log(small), np.log([slow_switch(e) - ARCCOSH for e in small]), 1)[0]
    assert abs(order - 2) < 0.01


def test_clocks_of_the_losses() -> None:
    times = {loss: slow_switch(1e-6, loss) for loss in LOSSES}
    assert times["logistic"] / times["exponential"] == pytest.approx(2, rel=1e-9)
    assert times["two_logistic"] / times["exponential"] == pytest.approx(1, rel=1e-9)


def test_the_mean_clock_runs_n_times_slower() -> None:
    runs = {}
    for reduction, factor in (("sum", 1.0), ("mean", 4.0)):
        flow, w0, signs = cone(0, reduction=reduction)  # type: ignore[arg-type]
        runs[reduction] = solve(flow, balanced(0.1 * w0, signs), 6.0 * factor)
    ours, theirs = runs["sum"], runs["mean"]
    np.testing.assert_allclose(theirs.switches.time, 4 * ours.switches.time, rtol=1e-12)
    np.testing.assert_allclose(theirs.params.W, ours.params.W, rtol=1e-9, atol=1e-12)
    assert theirs.clock.to_reference(theirs.t_end, 4) == ours.t_end


@pytest.mark.parametrize(("seed", "eps"), [(0, 1e-3), (1, 0.3), (2, 1e-6)])
def test_switches_agree_with_scipy(seed: int, eps: float) -> None:
    flow, w0, signs = cone(seed)
    params = balanced(eps * w0, signs)
    expected, state = scipy_switches(flow, params, 6.0)
    run = solve(flow, params, 6.0)
    assert len(expected) >= 3
    assert [e[1:] for e in expected] == list(
        zip(run.switches.neuron, run.switches.datum, strict=True)
    )
    np.testing.assert_allclose(run.switches.time, [e[0] for e in expected], rtol=1e-11)
    final = np.append(run.params.W, run.params.v)
    np.testing.assert_allclose(final, state, rtol=0, atol=1e-9 * np.abs(state).max())


def test_an_event_costs_two_landings_at_most() -> None:
    flow, w0, signs = cone(0)
    run = solve(flow, balanced(1e-3 * w0, signs), 6.0)
    events = len(run.switches.time) + 1  # and the escape
    steps = run.statistics.accepted + run.statistics.rejected
    assert run.statistics.evaluations <= STAGES["dopri8"] * (steps + 2 * events)
    assert run.statistics.stretches <= events + 3  # and two for full save buffers


def test_escape_and_loss_are_located() -> None:
    flow, w0, signs = cone(0)
    start = balanced(1e-3 * w0, signs)
    run = solve(flow, start, 50.0, until=loss_below(2.0))
    assert run.outcome is Outcome.EVENT
    assert flow.energy(run.params) == pytest.approx(2.0, rel=1e-13)
    early = solve(flow, start, run.escape_time)
    assert np.abs(flow.predictions(early.params)).max() == pytest.approx(0.1, rel=1e-12)
    assert early.t_end < run.t_end


def dip(params: TwoLayer, x: Any, pattern: Any = None) -> Any:
    """Minus a quadratic energy of w_1, whose flow has rates 1 and 2 and rests at (0.2475, 1)."""
    a, b = params.W[0, 0] - 0.2475, params.W[0, 1] - 1.0
    slow, fast = (a - b) / jnp.sqrt(2.0), (a + b) / jnp.sqrt(2.0)
    return -(slow**2 / 2 + fast**2) * jnp.ones(1)


def linear(y: Any, f: Any) -> Any:
    return -y * f


def test_both_crossings_of_one_long_step_are_found() -> None:
    # w_x = 0.2475 - e^{-t} + e^{-2t}, zero at e^{-t} = 0.55 and 0.45: positive at both ends.
    flow = GradientFlow(dip, dip, linear, np.array([[1.0, 0.0]]), np.ones(1))
    params = TwoLayer(np.array([[0.2475, 3.0]]), np.ones(1))  # type: ignore[arg-type]
    exact = -np.log([0.55, 0.45])
    for rtol, error in ((1e-2, 1e-2), (1e-13, 2e-14)):
        run = solve(flow, params, 3.0, times=np.array([3.0]), settings=Settings(rtol=rtol))
        assert run.switches.on.tolist() == [False, True]
        np.testing.assert_allclose(run.switches.time, exact, rtol=error)


@pytest.mark.parametrize(("method", "order"), [("dopri8", 8), ("tsit5", 5)])
def test_observed_order_in_a_frozen_field(method: Any, order: int) -> None:
    flow, w0, signs = cone(0)
    aligned = solve(flow, balanced(1e-2 * w0, signs), 20.0, until=all_classified())
    end, grid = aligned.t_end + 16, 8

    def states(n: int, **settings: Any) -> np.ndarray:
        # Loose tolerance: every step is cut by the next of n equally spaced save points.
        run = solve(
            flow,
            aligned.params,
            end,
            pattern=aligned.pattern,
            t_start=aligned.t_end,
            times=np.linspace(aligned.t_end, end, n + 1),
            settings=Settings(**settings),
        )
        assert n == grid or run.statistics.accepted <= n + 4
        W = run["W"][:: n // grid].reshape(grid + 1, -1)
        return np.hstack([W, run["v"][:: n // grid]])

    reference = states(grid, rtol=1e-14)
    counts = np.array([32, 48, 64, 96, 128] if method == "dopri8" else [64, 96, 128, 192, 256])
    errors = [np.linalg.norm(states(n, rtol=1e-2, method=method) - reference) for n in counts]
    slope = np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert abs(-slope - order) < 0.5


def test_no_recompilation_for_the_same_shape() -> None:
    slow_switch(1e-3)
    compiled = stretch._cache_size()
    x = np.array([[1.0, 0.2], [0.5, 1.0]])
    flow = make(x, np.ones(2))
    solve(flow, balanced(1e-2 * np.eye(2)), 3.0, times=np.linspace(0.1, 3, 50))
    slow_switch(2e-3)
    assert stretch._cache_size() == compiled


def test_margins_have_the_same_slopes_in_log_scale_at_any_scale() -> None:
    """Their quotient squared |w|: below 1e-154 every slope was NaN, and no step could land."""
    rng = np.random.default_rng(0)
    W, dW, x = rng.normal(size=(2, 3)), rng.normal(size=(2, 3)), rng.normal(size=(4, 3))

    def moving(eps: float) -> np.ndarray:
        def at(tau: Any) -> Any:
            params = TwoLayer(eps * (W + tau * dW), eps * jnp.ones(2))
            return margins(params, jnp.asarray(x), jnp.ones((2, 4)))

        with float64():
            return np.asarray(jax.jvp(at, (jnp.zeros(()),), (jnp.ones(()),))[1])

    np.testing.assert_allclose(moving(1e-300), moving(1.0), rtol=1e-12)
