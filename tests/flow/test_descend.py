"""The general driver: observed orders, other integrators, rows, self-checks."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from flowtheory import Outcome
from flowtheory.errors import ParameterError, UnknownNameError
from flowtheory.flow import (
    Functions,
    Settings,
    SmoothFlow,
    Snapshot,
    descend,
    event,
    loss_below,
    reference,
)
from flowtheory.judge.fit import fit_slope


def outputs(params: Any, data: Any) -> Any:
    return jnp.tanh(data["x"] @ params["W"].T) @ params["v"]


def energy(params: Any, data: Any) -> Any:
    return jnp.mean((outputs(params, data) - data["y"]) ** 2) / 2


def no_outputs(params: Any, data: Any) -> Any:
    return jnp.zeros(1)


def logistic(params: Any, data: Any) -> Any:
    return -(params["x"] ** 2) / 2 + params["x"] ** 3 / 3


RNG = np.random.default_rng(5)
X = RNG.standard_normal((8, 3))
FLOW = SmoothFlow(Functions(energy, outputs), {"x": X, "y": X[:, 0] + np.cos(X[:, 1])})
START = {"W": 0.1 * RNG.standard_normal((5, 3)), "v": 0.1 * RNG.standard_normal(5)}
LOGISTIC = SmoothFlow(Functions(logistic, no_outputs), {})


def three_quarters(snap: Snapshot) -> Any:
    return snap.params["x"] - 0.75


@pytest.mark.parametrize(("method", "order"), [("dopri8", 8), ("tsit5", 5)])
def test_observed_order_of_the_state_and_of_the_event_time(method: Any, order: int) -> None:
    # x' = x (1 - x); loose tolerances, so that the save times alone cut the steps. The error of an
    # event time depends on where in its step it lies: root mean square over several starts.
    end, counts = 6.0, np.arange(6, 15) if order == 8 else np.arange(9, 33, 2)
    starts = np.linspace(0.15, 0.25, 15)
    states, times = [], []
    for n in counts:
        settings = Settings(rtol=1e-2, method=method)
        grid = np.linspace(0, end, int(n) + 1)[1:]
        options = {"times": grid, "settings": settings, "estimate": False}
        off = []
        for x0 in starts:
            start, ratio = {"x": np.array(x0)}, (1 - x0) / x0
            run = descend(LOGISTIC, start, end, **options)
            stopped = descend(LOGISTIC, start, end, until=event(three_quarters, 1), **options)
            exact = 1 / (1 + ratio * math.exp(-end))
            off.append((run.params["x"] - exact, stopped.t_end - math.log(3 * ratio)))
        rms = np.sqrt(np.mean(np.square(off), axis=0))
        states.append(rms[0])
        times.append(rms[1])
    for errors in (states, times):
        logs = np.log(end / counts), np.log(errors)
        fit = fit_slope(*logs, name="order", predicted=order, remainder=0.1)
        # Not lower than the order; a symmetric problem may do better.
        assert fit.high > order
        assert fit.low > order - 2


@pytest.mark.parametrize("method", ["DOP853", "Radau", "LSODA"])
def test_against_integrators_that_share_only_the_field(method: Any) -> None:
    rtol = 1e-12 if method == "DOP853" else 1e-9
    end = reference(FLOW, START, 8.0, method=method, rtol=rtol)
    ours = descend(FLOW, START, 8.0, settings=Settings(rtol=1e-12))
    assert end.message == ""
    for name, value in ours.params.items():
        np.testing.assert_allclose(value, end.params[name], rtol=1e3 * rtol, atol=1e2 * rtol)
    level = 0.6 * FLOW.energy(START)
    time = reference(FLOW, START, loss=level, method=method, rtol=rtol).time
    run = descend(FLOW, START, until=loss_below(level), settings=Settings(rtol=1e-12))
    assert run.t_end == pytest.approx(time, rel=1e3 * rtol)
    assert run.loss[-1] == pytest.approx(level, rel=1e-13)


def test_the_reference_says_when_a_level_is_not_met() -> None:
    assert reference(FLOW, START, 1.0, loss=1e-9).time == math.inf
    with pytest.raises(ParameterError, match="neither"):
        reference(FLOW, START)


def test_the_error_estimate_covers_the_error() -> None:
    exact = descend(FLOW, START, 20.0, settings=Settings(rtol=1e-13), estimate=False)
    level = loss_below(float(exact.loss[-1]))
    for rtol in (1e-4, 1e-6, 1e-8):
        run = descend(FLOW, START, 20.0, settings=Settings(rtol=rtol))
        difference = [run.params[n] - exact.params[n] for n in run.params]
        size = math.sqrt(sum(float(np.sum(exact.params[n] ** 2)) for n in exact.params))
        error = math.sqrt(sum(float(np.sum(d**2)) for d in difference)) / size
        assert error <= run.error_estimate < 1e3 * rtol
        timed = descend(FLOW, START, until=level, settings=Settings(rtol=rtol))
        assert abs(timed.t_end - 20.0) <= timed.error_estimate


def test_rows_follow_every_change_and_the_checks_hold() -> None:
    run = descend(FLOW, START, 300.0)
    assert run.outcome is Outcome.REACHED_T
    assert np.all(np.diff(run.times) > 0)
    assert np.max(np.abs(np.diff(np.log(run.loss)))) < 0.5
    assert run.checks.energy < 1e-7
    assert run.checks.rises == 0
    with pytest.raises(UnknownNameError, match="loss"):
        run.observable("lost")


def wrong_energy(params: Any, data: Any) -> Any:
    # A field that is not the gradient of what is called the loss: half of it is held fixed.
    import jax

    return energy(params, data) + jnp.sum(params["v"]) * jax.lax.stop_gradient(params["v"][0])


def test_the_energy_identity_finds_a_field_that_is_no_gradient() -> None:
    flow = SmoothFlow(Functions(wrong_energy, outputs), FLOW.data)
    assert descend(flow, START, 5.0, estimate=False).checks.energy > 1e-3


def test_given_times_are_saved_and_no_others() -> None:
    times = np.array([0.5, 1.0, 7.0])
    run = descend(FLOW, START, 7.0, times=times)
    np.testing.assert_array_equal(run.times, [0.0, *times])


def test_times_are_saved_at_without_an_end_too() -> None:
    times = np.array([0.5, 2.0, 3.0, 1e9])
    below = loss_below(0.5 * FLOW.energy(START))
    open_ended = descend(FLOW, START, times=times, until=below)
    assert open_ended.outcome is Outcome.EVENT
    inside = times[times < open_ended.t_end]
    assert inside.size >= 2
    np.testing.assert_array_equal(open_ended.times[1:-1], inside)
    with pytest.raises(ParameterError, match="strictly increasing"):
        descend(FLOW, START, times=times[::-1], until=below)


def test_long_horizons_in_log_time() -> None:
    end = 1e5
    plain, logarithmic = (
        descend(LOGISTIC, {"x": np.array(1e-3)}, end, log_time=b) for b in (False, True)
    )
    for run in (plain, logarithmic):
        assert run.params["x"] == pytest.approx(1.0, abs=10 * run.rtol)
    assert logarithmic.t_end == end
