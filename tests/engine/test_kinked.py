"""Networks with kinks through the public face: closed-form start, located switches, one result."""

from __future__ import annotations

import numpy as np
import pytest
from engine.problems import data

import flowtheory as ft
from flowtheory import Outcome
from flowtheory.errors import ParameterError
from flowtheory.symbolic import leaky_relu

x, y = data()
RELU = ft.GradientFlow(ft.fully_connected(2, "relu"), loss="half_mse", x=x, y=y)
UNTIL = ft.plateau_left(0.2)


def start(eps: float) -> dict[str, np.ndarray]:
    return RELU.init(scale=eps, seed=2, width=6)


def test_small_starts_take_the_closed_form_and_agree_with_the_full_flow() -> None:
    run = RELU.solve(start(1e-6), until=UNTIL)
    full = RELU.solve(start(1e-6), until=UNTIL, skip=False, rtol=1e-11, estimate=False)
    assert run.outcome is full.outcome is Outcome.EVENT
    assert [stage.method for stage in run.stages] == ["event-exact", "dopri8"]
    assert abs(run.t_end - full.t_end) <= run.error_estimate < 1e-6 * run.t_end
    assert run.checks.rises == 0
    assert max(run.checks.drifts.values()) < 1e-10
    assert np.all(np.diff(run.times) > 0)
    assert run.times[0] == 0
    # Both describe the same path: ln|theta| of the closed form at the times that both saved.
    inside = run.times < run.stages[0].end
    norms = np.interp(run.times[inside], full.times, np.log(full["norm"]))
    np.testing.assert_allclose(np.log(run["norm"][inside]), norms, atol=0.05)


def test_equal_factors_of_the_scale_take_equal_times() -> None:
    times = [RELU.solve(start(eps), until=UNTIL, estimate=False).t_end for eps in SCALES]
    first, second = np.diff(times)
    assert second == pytest.approx(first, rel=1e-8)


SCALES = (1e-100, 1e-200, 1e-300)


def test_a_run_without_a_final_time_is_the_run_with_one() -> None:
    open_ended = RELU.solve(start(0.05), until=UNTIL, estimate=False)
    closed = RELU.solve(start(0.05), 100.0, until=UNTIL, estimate=False)
    assert open_ended.outcome is closed.outcome is Outcome.EVENT
    assert open_ended.t_end == pytest.approx(closed.t_end, rel=1e-8)
    assert open_ended.events[0].time == open_ended.t_end


def test_other_slopes_keep_their_law_too() -> None:
    leaky = ft.GradientFlow(ft.fully_connected(2, leaky_relu(0.2)), loss="half_mse", x=x, y=y)
    run = leaky.solve(start(0.1), 3.0)
    assert run.outcome is Outcome.REACHED_T
    assert max(run.checks.drifts.values()) < 1e-9
    assert run.error_estimate < 1e-6


def test_what_is_refused() -> None:
    with pytest.raises(ParameterError, match="kinks"):
        RELU.solve(start(0.1), until=ft.norm_above(1.0))
    with pytest.raises(ParameterError, match="watched"):
        RELU.solve(start(0.1), 1.0, watch=UNTIL)
    with pytest.raises(ParameterError, match="neither"):
        RELU.solve(start(0.1))
