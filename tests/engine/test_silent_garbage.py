"""Default tolerances of general solvers swallow a small start without a word; ours do not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from engine.problems import DROP, data, scipy_time, start, tanh_flow

import flowtheory as ft
from flowtheory import Outcome
from flowtheory.errors import ParameterError

UNTIL = ft.plateau_left(DROP)
SCALES = (1e-4, 1e-6, 1e-8, 1e-10, 1e-12, 1e-14)


def reference(eps: float) -> float:
    return scipy_time(eps, "DOP853", rtol=1e-13, atol=1e-17 * eps)


@pytest.mark.parametrize("eps", SCALES)
def test_default_engine_against_a_reference_run(eps: float) -> None:
    run = tanh_flow().solve(start(eps), until=UNTIL)
    assert run.outcome is Outcome.EVENT
    error = abs(run.t_end - reference(eps))
    assert error < 1e-8 * run.t_end
    assert error <= run.error_estimate < 1e-6 * run.t_end
    assert run.checks.energy < 1e-8
    assert run.checks.rises == 0


@pytest.mark.parametrize(
    ("method", "least"), [("RK45", {1e-8: 0.01, 1e-12: 0.05}), ("LSODA", {1e-8: 0.01, 1e-12: 0.05})]
)
def test_peers_are_wrong_by_percents_and_do_not_say_so(
    method: str, least: dict[float, float]
) -> None:
    for eps, error in least.items():
        exact = reference(eps)
        assert abs(scipy_time(eps, method) - exact) > error * exact


@pytest.mark.parametrize("method", ["BDF", "Radau"])
def test_implicit_peers_never_leave_the_plateau(method: str) -> None:
    assert math.isnan(scipy_time(1e-12, method))


def test_to_1e_minus_300_by_the_exact_rate() -> None:
    # Below 1e-8 the plateau is linear to roundoff: T(eps) = const - ln(eps)/lambda.
    x, y = data()
    rate = np.linalg.norm(x.T @ y) / len(y)
    flow = tanh_flow()
    times, costs = {}, {}
    for eps in (1e-6, 1e-14, 1e-150, 1e-300):
        run = flow.solve(start(eps), until=UNTIL)
        times[eps], costs[eps] = run.t_end, run.statistics.evaluations
        assert run.checks.energy < 1e-8
    for eps in (1e-150, 1e-300):
        expected = times[1e-14] + math.log(1e-14 / eps) / rate
        assert times[eps] == pytest.approx(expected, rel=1e-9)
        assert costs[eps] < 3 * costs[1e-6]


def test_without_the_leading_flow_it_is_right_too() -> None:
    # The start of 1e-300 integrated step by step: the tolerance follows the smallest neuron.
    flow, first = tanh_flow(), start(1e-300)
    plain = flow.solve(first, until=UNTIL, skip=False, estimate=False)
    assert plain.t_end == pytest.approx(flow.solve(first, until=UNTIL).t_end, rel=1e-8)
    assert [stage.method for stage in plain.stages] == ["dopri8"]


def test_a_tolerance_that_would_swallow_the_start_is_refused() -> None:
    with pytest.raises(ParameterError, match="swallows the initialization"):
        tanh_flow().solve(start(1e-8), until=UNTIL, atol=1e-8)
