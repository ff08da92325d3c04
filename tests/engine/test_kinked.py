"""Networks with kinks through the public face: closed-form start, located switches, one result."""

from __future__ import annotations

import numpy as np
import pytest
from engine.problems import data

import flowtheory as ft
from flowtheory import Outcome
from flowtheory.errors import ParameterError
from flowtheory.flow.settings import Settings
from flowtheory.symbolic import leaky_relu

x, y = data()
RELU = ft.GradientFlow(ft.fully_connected(2, "relu"), loss="half_mse", x=x, y=y)
UNTIL = ft.plateau_left(0.2)


def start(eps: float) -> dict[str, np.ndarray]:
    return RELU.init(scale=eps, seed=np.random.default_rng(2), width=6)


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
    with pytest.raises(ParameterError, match="neither"):
        RELU.solve(start(0.1))


def test_an_event_just_before_the_final_time_has_an_error_too() -> None:
    """The second run meets it a little later or earlier: it is not to end at the final time."""
    for eps in (0.02, 0.05, 0.1):
        t = RELU.solve(start(eps), until=UNTIL, estimate=False).t_end
        run = RELU.solve(start(eps), t * (1 + 1e-13), until=UNTIL)
        assert run.outcome is Outcome.EVENT
        assert 0 < run.error_estimate < 1e-6 * t


def test_a_weight_that_slides_into_the_origin_ends_the_run_at_any_tolerance() -> None:
    """It went on as rounding had it, another way at each tolerance, and the error was NaN."""
    rng = np.random.default_rng([43, 77])
    eps = float(10.0 ** -rng.choice([4, 8, 12, 40, 100, 300]))
    x, y = rng.normal(size=(4, 2)), rng.normal(size=4)
    flow = ft.GradientFlow(ft.fully_connected(2, "relu"), loss="half_mse", x=x, y=y)
    params = flow.init(scale=eps, seed=np.random.default_rng(43), width=5)
    until = ft.loss_below(0.75 * flow.plateau(params))
    runs = [flow.solve(params, until=until, rtol=rtol) for rtol in (1e-6, 1e-8, 1e-10)]
    assert all(run.outcome is Outcome.NONUNIQUE for run in runs)
    np.testing.assert_allclose([run.t_end for run in runs], runs[-1].t_end, rtol=1e-6)
    # The weight that slid is there: nothing of it is left.
    W, v = runs[-1].params["W"], runs[-1].params["v"]
    assert np.min(np.max(np.abs(W), axis=1) / np.abs(v)) < 1e-6


ONE = ft.GradientFlow(
    ft.fully_connected(2, "relu"), loss="half_mse", x=np.eye(2), y=np.array([1.0, 1.0])
)
BLIND = {"W": np.array([[0.1, -0.1]]), "v": np.array([0.2])}


def test_a_level_that_is_out_of_reach_ends_at_rest() -> None:
    """The neuron never sees the second datum, whose loss of 1/4 stays."""
    run = ONE.solve(BLIND, until=ft.loss_below(0.2))
    assert run.outcome is Outcome.CONVERGED
    assert run.loss[-1] == pytest.approx(0.25, abs=1e-4)
    assert ONE.solve(BLIND, until=ft.loss_below(0.2500001)).outcome is Outcome.EVENT
    out = ONE.solve(BLIND, until=ft.norm_above(50.0), estimate=False)
    assert out.outcome is Outcome.CONVERGED


def test_budgets_and_tolerances_of_a_user_hold() -> None:
    few = Settings(max_steps=5)
    assert RELU.solve(start(0.1), 50.0, settings=few).outcome is Outcome.STEP_LIMIT
    assert RELU.solve(start(0.1), until=UNTIL, settings=few).outcome is Outcome.STEP_LIMIT
    late = Settings(time_limit=0.0)
    assert RELU.solve(start(0.1), until=UNTIL, settings=late).outcome is Outcome.TIME_LIMIT
    with pytest.raises(ParameterError, match="atol"):
        RELU.solve(start(0.1), 1.0, atol=1e-3)


def gaussian(seed: int, eps: float) -> tuple[ft.GradientFlow, dict[str, np.ndarray]]:
    """Six data in three dimensions, eight neurons."""
    rng = np.random.default_rng([seed, 77])
    inputs, labels = rng.standard_normal((6, 3)), rng.standard_normal(6)
    flow = ft.GradientFlow(ft.fully_connected(2, "relu"), loss="half_mse", x=inputs, y=labels)
    return flow, flow.init(scale=eps, seed=np.random.default_rng(seed), width=8)


@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize("rtol", [1e-6, 1e-8])
def test_the_error_holds_where_a_neuron_waits_through_a_second_plateau(
    seed: int, rtol: float
) -> None:
    """With seed 0 two neurons slide along two kinks, pushed by a datum that is fitted meanwhile."""
    flow, first = gaussian(seed, 1e-20)
    fine = flow.solve(first, until=ft.plateau_left(0.5), rtol=1e-11, estimate=False)
    run = flow.solve(first, until=ft.plateau_left(0.5), rtol=rtol)
    assert run.outcome is fine.outcome is Outcome.EVENT
    assert abs(run.t_end - fine.t_end) <= run.error_estimate < 100 * rtol * run.t_end


def test_a_side_that_only_rounding_could_tell_is_not_guessed() -> None:
    """Its kink ceases to attract a neuron whose push, the residual of a fitted datum, is 1e-15."""
    flow, first = gaussian(0, 1e-100)
    runs = [
        flow.solve(first, until=ft.plateau_left(0.8), rtol=rtol, estimate=False)
        for rtol in (1e-7, 1e-10)
    ]
    assert [run.outcome for run in runs] == [Outcome.NONUNIQUE] * 2
    assert runs[0].t_end == pytest.approx(runs[1].t_end, rel=1e-7)
