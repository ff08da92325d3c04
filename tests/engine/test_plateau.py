"""The leading flow up to a hand-over: right for many networks, with an error that covers it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from engine.problems import data, start, tanh_flow

import flowtheory as ft
from flowtheory import Outcome
from flowtheory.engine.plateau import CLOSED_FORM
from flowtheory.flow import loss_below
from flowtheory.flow.descend import DEFAULT
from flowtheory.flow.diagnose import pace
from flowtheory.symbolic import deep_linear

x, y = data()
TIGHT = replace(DEFAULT, max_steps=200_000)


def flow_of(name: str, layers: int, activation: str | None = None, **options: Any) -> Any:
    labels = np.stack([y, x[:, 2]], axis=1) if "vector" in name or "linear" in name else y
    loss = options.pop("loss", "half_mse")
    net = ft.network(name, layers, activation, **options)
    given = {"x": x, "y": labels} if name != "matrix-factorization" else {"y": x[:4]}
    return ft.GradientFlow(net, loss=loss, **given)


CASES = {
    "gelu, a second-order term": (flow_of("fully-connected", 2, "gelu"), 1e-13),
    "vector outputs": (flow_of("fully-connected-vector", 2, "tanh"), 1e-7),
    "three layers": (flow_of("fully-connected", 3, "tanh"), 1e-6),
    "x tanh x, a blow-up of single neurons": (flow_of("fully-connected", 2, "z*tanh(z)"), 1e-7),
    "deep linear": (flow_of("deep-linear", 3), 1e-6),
    "matrix factorization": (flow_of("matrix-factorization", 2), 1e-8),
}


@pytest.mark.parametrize("name", CASES)
def test_times_agree_with_the_full_flow_within_the_stated_error(name: str) -> None:
    flow, eps = CASES[name]
    first = flow.init(scale=eps, seed=np.random.default_rng(1), width=4)
    level = loss_below(0.9 * flow.plateau(first))
    run = flow.solve(first, until=level)
    full = flow.solve(first, until=level, skip=False, rtol=1e-12, estimate=False)
    assert run.outcome is full.outcome is Outcome.EVENT
    assert run.stages[0].method.startswith("leading flow")
    assert run.stages[0].end > 0.3 * run.t_end
    assert abs(run.t_end - full.t_end) <= run.error_estimate + 1e-11 * full.t_end
    assert run.error_estimate < 1e-6 * run.t_end
    assert run.checks.energy < 1e-8
    assert max(run.checks.drifts.values(), default=0.0) < 1e-9


def test_the_stated_error_shrinks_with_the_tolerance_and_covers_the_true_one() -> None:
    # The error of the leading flow alone, against the same full flow from its hand-over on.
    flow, first = tanh_flow(), start(1e-12)
    exact = flow.solve(first, until=ft.plateau_left(0.2), rtol=1e-13, estimate=False)
    stated, true = [], []
    for rtol in (1e-4, 1e-6, 1e-8):
        run = flow.solve(first, until=ft.plateau_left(0.2), rtol=rtol)
        stated.append(run.error_estimate)
        true.append(abs(run.t_end - exact.t_end))
    assert np.all(np.array(true) <= stated)
    assert np.all(np.diff(stated) < 0)


def test_rows_of_the_closed_form_are_those_of_the_integrated_run() -> None:
    flow, first = tanh_flow(), start(1e-10)
    run = flow.solve(first, until=ft.plateau_left(0.2))
    inside = run.times[1:20]
    full = flow.solve(first, inside[-1], times=inside, skip=False)
    for name in ("alignment", "norm", "norm_W", "norm_v"):
        rows = full[name][1 : 1 + len(inside)]
        np.testing.assert_allclose(run[name][1:20], rows, rtol=1e-6)


def test_rows_are_saved_at_the_times_given_also_where_an_event_ends_the_run() -> None:
    flow, first, until = tanh_flow(), start(1e-10), ft.plateau_left(0.2)
    end = flow.solve(first, until=until).t_end
    times = np.linspace(0.1, 1.5, 8) * end
    for skip in (True, False):
        run = flow.solve(first, until=until, times=times, skip=skip)
        np.testing.assert_array_equal(run.times[1:-1], times[times < end])
        assert run.t_end == pytest.approx(end, rel=1e-7)


def test_nothing_has_a_pace_at_the_origin() -> None:
    flow, first = tanh_flow(), start(1e-10)
    zero = {name: 0.0 * value for name, value in first.items()}
    assert pace(flow._smooth, zero) == 0
    assert 0 < pace(flow._smooth, first) < np.inf


def test_where_it_is_not_used() -> None:
    flow = tanh_flow()
    large = flow.solve(start(1e-2), until=ft.plateau_left(0.2))
    assert [s.method for s in large.stages] == ["dopri8"]
    refused = flow.solve(start(1e-9), until=ft.norm_above(1e-3), skip=False)
    assert [s.method for s in refused.stages] == ["dopri8"]
    assert refused.outcome is Outcome.EVENT
    # One layer of another order of size is no small start of this kind, and the defect shows it.
    uneven = flow.init(scale={"W": 1e-9, "v": 1e-5}, seed=0, width=12)
    run = flow.solve(uneven, until=ft.plateau_left(0.2))
    full = flow.solve(uneven, until=ft.plateau_left(0.2), skip=False, rtol=1e-12, estimate=False)
    assert abs(run.t_end - full.t_end) <= run.error_estimate


def test_a_final_time_on_the_plateau() -> None:
    flow, first = tanh_flow(), start(1e-12)
    run = flow.solve(first, 5.0)
    full = flow.solve(first, 5.0, skip=False, rtol=1e-12)
    assert run.t_end == 5.0
    for name, value in run.params.items():
        np.testing.assert_allclose(value, full.params[name], rtol=1e-8)


def test_a_plateau_longer_than_any_float_ends_by_name() -> None:
    flow, _ = CASES["deep linear"]
    deep = flow_of("deep-linear", 4)
    run = deep.solve(deep.init(scale=1e-300, seed=0, width=3), until=loss_below(1e-3))
    assert run.outcome is Outcome.STALLED
    assert not run.outcome.ok
    three = flow.solve(flow.init(scale=1e-300, seed=1, width=4), until=ft.plateau_left(0.1))
    assert three.outcome is Outcome.EVENT
    assert 1e298 < three.t_end < 1e302


def test_what_a_long_plateau_loses_is_said() -> None:
    # Two modes of rates 3 and 1.5: the slower one has eps^(1/2) of the norm at the hand-over.
    labels = np.diag([3.0, 1.5])
    flow = ft.GradientFlow(ft.network("matrix-factorization", 2), loss="half_square", y=labels)
    for eps, said in ((1e-12, False), (1e-60, True)):
        first = flow.init(scale=eps, seed=0, width=3)
        run = flow.solve(first, until=ft.plateau_left(0.1), estimate=False)
        assert ("a slower mode has" in run.stages[0].why) is said


def test_what_was_lost_in_a_plateau_is_not_waited_for() -> None:
    """At the saddle where the lost mode would take over the run is begun again without it."""
    labels = np.diag([3.0, 1.5])
    flow = ft.GradientFlow(ft.network("matrix-factorization", 2), loss="half_square", y=labels)
    first = flow.init(scale=1e-60, seed=0, width=3)
    until = ft.loss_below(1.5**2 / 8)
    run = flow.solve(first, until=until, estimate=False)
    assert all(stage.method != CLOSED_FORM for stage in run.stages)
    whole = flow.solve(first, until=until, skip=False, rtol=1e-11, estimate=False)
    assert run.t_end == pytest.approx(whole.t_end, rel=3e-8)


def test_a_descent_that_is_short_beside_its_time() -> None:
    """Eight layers: 1e23 units of time, and a descent of a few, below the resolution of that."""
    strength, scale = 1.87, 1e-4
    flow = ft.GradientFlow(deep_linear(8, output="scalar"), "half_square", x=[[1.0]], y=[strength])
    start = {name: np.full_like(value, scale) for name, value in flow.init(width=1).items()}
    run = flow.solve(start, until=ft.loss_below(0.005 * strength**2), rtol=1e-11)
    assert run.outcome is Outcome.EVENT
    with mp.workdps(30):
        end = (mp.mpf(9) / 10 * mp.mpf(strength)) ** (mp.mpf(1) / 8)
        exact = mp.quad(
            lambda u: mp.exp(u) ** -6 / (mp.mpf(strength) - mp.exp(8 * u)),
            mp.linspace(mp.log(mp.mpf(scale)), mp.log(end), 60),
        )
    # The error counts the rounding of exp(k ln eps), which is what limits so long a time.
    assert abs(run.t_end - float(exact)) < run.error_estimate < 1e-11 * run.t_end
