"""Events and rows in a plateau that is not integrated: against mpmath and integrated runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from engine.problems import data, start, tanh_flow
from engine.test_plateau import CASES

import flowtheory as ft
from flowtheory import Outcome
from flowtheory.engine.observables import unit_rows
from flowtheory.engine.passage import passage
from flowtheory.engine.plateau import hand_over, lead
from flowtheory.flow.descend import DEFAULT
from flowtheory.flow.task import Task
from flowtheory.flow.until import norm

ALIGNED = 0.999
WIDTH = 12


def alignment(snap: Any) -> Any:
    rows = unit_rows(snap.params["W"])
    return jnp.sqrt(jnp.sum((rows.T @ rows) ** 2)) / WIDTH - ALIGNED


def between(snap: Any) -> Any:
    """Negative for a norm between 1e-8 and 1e-6; of the order of 1e-12 there."""
    size = norm(snap.params)
    return (size - 1e-8) * (size - 1e-6)


def touch(snap: Any) -> Any:
    """Negative for a thousandth of an e-fold about a norm of 1e-7."""
    return (jnp.log(norm(snap.params)) - np.log(1e-7)) ** 2 - 0.25e-6


def tiny_sign(snap: Any) -> Any:
    return snap.params["v"][5] + 2 * snap.params["W"][0, 0]


def never(snap: Any) -> Any:
    return norm(snap.params) + 1.0


def closed_form(first: dict[str, np.ndarray]) -> Any:
    """The leading flow in mpmath: w_j' = v_j g, v_j' = g.w_j with g = mean of y_i x_i."""
    x, y = data()
    g = [mpmath.fsum(map(mpmath.mpf, y * column)) / len(y) for column in x.T]
    rate = mpmath.sqrt(mpmath.fsum(a**2 for a in g))
    unit = [a / rate for a in g]

    def state(t: Any) -> tuple[list[Any], list[Any]]:
        c, s = mpmath.cosh(rate * t), mpmath.sinh(rate * t)
        W, v = [], []
        for row, out in zip(first["W"], first["v"], strict=True):
            w, b = [mpmath.mpf(float(a)) for a in row], mpmath.mpf(float(out))
            along = mpmath.fsum(p * q for p, q in zip(w, unit, strict=True))
            grown = along * c + b * s
            W.append([p + (grown - along) * q for p, q in zip(w, unit, strict=True)])
            v.append(b * c + along * s)
        return W, v

    return rate, state


def size_of(W: Any, v: Any) -> Any:
    return mpmath.sqrt(mpmath.fsum(a**2 for row in (*W, v) for a in row))


def test_alignment_time_at_1e_minus_300_against_mpmath() -> None:
    first = start(1e-300, width=WIDTH)
    run = tanh_flow().solve(first, until=ft.event(alignment, 1))
    assert run.outcome is Outcome.EVENT
    assert [stage.method for stage in run.stages] == ["leading flow in closed form"]
    with mpmath.workdps(60):
        _, state = closed_form(first)

        def off(t: Any) -> Any:
            W, _ = state(t)
            sizes = [mpmath.sqrt(mpmath.fsum(a**2 for a in row)) for row in W]
            total = mpmath.fsum(
                (mpmath.fsum(p * q for p, q in zip(a, b, strict=True)) / (m * n)) ** 2
                for a, m in zip(W, sizes, strict=True)
                for b, n in zip(W, sizes, strict=True)
            )
            return mpmath.sqrt(total) / WIDTH - mpmath.mpf(ALIGNED)

        exact = mpmath.findroot(off, (run.t_end - 0.1, run.t_end + 0.1), solver="illinois")
        # Entries below 2e-308, 1e-8 of a neuron, may be zero in float64: the estimate says so.
        assert abs(run.t_end - exact) <= run.error_estimate < 1e-6
        assert abs(run.t_end - exact) < 1e-12 * exact


def test_a_weight_of_1e_minus_280_changes_sign_where_mpmath_has_it() -> None:
    first = start(1e-280, width=WIDTH)
    run = tanh_flow().solve(first, until=ft.event(tiny_sign))
    assert run.outcome is Outcome.EVENT
    with mpmath.workdps(60):
        _, state = closed_form(first)

        def sign(t: Any) -> Any:
            W, v = state(t)
            return (v[5] + 2 * W[0][0]) * mpmath.mpf(10) ** 280

        near = (run.t_end - 0.01, run.t_end + 0.01)
        exact = mpmath.findroot(sign, near, solver="illinois")
        assert abs(run.t_end - exact) <= run.error_estimate < 1e-12


def test_norms_on_the_way_from_1e_minus_300_against_mpmath() -> None:
    first = start(1e-300, width=WIDTH)
    levels = (1e-250, 1e-200)
    watch = ft.norm_above(levels[0]) | ft.norm_above(1e-200)
    times = np.array([100.0, 300.0])
    options: dict[str, Any] = {"times": times, "save": "norms"}
    run = tanh_flow().solve(first, 2000.0, until=ft.norm_above(1e-150), watch=watch, **options)
    assert [event.name for event in run.events] == [
        "norm above 1e-250",
        "norm above 1e-200",
        "norm above 1e-150",
    ]
    with mpmath.workdps(60):
        _, state = closed_form(first)
        for event, level in zip(run.events, (*levels, 1e-150), strict=True):
            exact = mpmath.findroot(
                lambda t, level=level: mpmath.log(size_of(*state(t)) / mpmath.mpf(level)),
                (event.time - 0.1, event.time + 0.1),
                solver="illinois",
            )
            assert abs(event.time - exact) < 1e-12 * exact
        assert abs(run.t_end - exact) <= run.error_estimate < 1e-10
        np.testing.assert_array_equal(run.times, [0.0, *times, run.t_end])
        for t, size in zip(run.times, run["norm"], strict=True):
            assert abs(size / size_of(*state(mpmath.mpf(float(t)))) - 1) < 1e-12
    # Nothing is integrated, however small the start.
    assert run.statistics.evaluations == 0
    assert run.checks.energy < 1e-15
    assert run.checks.rises == 0
    assert run.outcome is Outcome.EVENT


def test_every_kind_of_event_is_where_the_integrated_run_has_it() -> None:
    first = start(1e-10, seed=1)
    # Falls by 1e-12 of the plateau, below the square root of roundoff.
    watch = ft.norm_above(1e-9) | ft.event(between) | ft.event(touch) | ft.event(tiny_sign)
    watch = watch | ft.event(never) | ft.plateau_left(1e-11) | ft.norm_above(1e-3)
    until = ft.plateau_left(0.2)
    run = tanh_flow().solve(first, until=until, watch=watch)
    full = tanh_flow().solve(first, until=until, watch=watch, skip=False, rtol=1e-12)
    names = [event.name for event in run.events]
    assert names == [event.name for event in full.events]
    assert names.count("between") == names.count("touch") == 2
    assert names.count("norm above 1e-09") == names.count("norm above 0.001") == 1
    assert "never" not in names
    assert run.stages[0].end > run.events[-3].time - 1.0
    for one, other in zip(run.events, full.events, strict=True):
        # Rounding errors of the loss are 1e-16: a fall by 1e-11 is known to 1e-5 of itself.
        known = 1e-4 if "plateau" in one.name and "20" not in one.name else 0.0
        assert abs(one.time - other.time) <= run.error_estimate + 1e-9 * one.time + known
        assert one.rising == other.rising
    apart = [event.time for event in run.events if event.name == "touch"]
    rate = np.linalg.norm(np.mean(data()[1][:, None] * data()[0], axis=0))
    assert apart[1] - apart[0] == pytest.approx(1e-3 / rate, rel=1e-4)  # but for e^{-2 lambda t}
    crossed = [event.time for event in run.events if event.name == "between"]
    for level, time in zip((1e-8, 1e-6), crossed, strict=True):
        alone = tanh_flow().solve(first, until=ft.norm_above(level))
        assert alone.t_end == pytest.approx(time, rel=1e-13)


def test_what_is_past_at_the_start_is_noted_there_and_once() -> None:
    first = start(1e-10)
    run = tanh_flow().solve(first, 3.0, t_start=1.0, watch=ft.norm_above(1e-12) | ft.event(never))
    assert [(event.name, event.time) for event in run.events] == [("norm above 1e-12", 1.0)]
    assert run.stages[0].method == "leading flow in closed form"
    assert run.stages[0].start == run.times[0] == 1.0
    ended = tanh_flow().solve(first, 3.0, until=ft.norm_above(1e-12))
    assert (ended.outcome, ended.t_end) == (Outcome.EVENT, 0.0)


def test_degree_three_events_and_rows_in_the_plateau() -> None:
    flow, eps = CASES["three layers"]
    first = flow.init(scale=eps, seed=np.random.default_rng(1), width=4)
    until, watch = ft.norm_above(2.5e-5), ft.norm_above(1.5e-5) | ft.event(first_weight)
    times = np.array([2e5, 9e5])
    run = flow.solve(first, 2e6, until=until, watch=watch, times=times, save="parameters")
    full = flow.solve(
        first, 2e6, until=until, watch=watch, times=times, save="parameters", skip=False, rtol=1e-13
    )
    assert len(run.events) == len(full.events) == 3
    assert run.statistics.evaluations == 0
    for one, other in zip(run.events, full.events, strict=True):
        assert (one.name, one.rising) == (other.name, other.rising)
        assert one.time == pytest.approx(other.time, rel=1e-10)
    assert abs(run.t_end - full.t_end) <= run.error_estimate + full.error_estimate
    assert run.error_estimate < 1e-8 * run.t_end
    for name in ("W1", "W2", "v"):
        off = np.abs(run[name] - full[name]).max(axis=tuple(range(1, run[name].ndim)))
        assert np.all(off[:-1] < 1e-9 * run["norm"][:-1])


def first_weight(snap: Any) -> Any:
    return snap.params["v"][0]


def test_an_event_that_is_not_known_well_enough_is_left_to_the_integrator() -> None:
    flow, first = tanh_flow(), start(1e-10)
    leading = lead(flow.network, flow.loss, flow.clock.reduction)  # type: ignore[arg-type]
    assert leading is not None
    ahead = hand_over(leading, flow._smooth, first, 1e-3)
    assert ahead is not None
    level = 0.9 * float(norm(ahead.params))
    for rtol, found in ((1e-3, True), (1e-8, False)):
        settings = replace(DEFAULT, rtol=rtol)
        task = Task(flow._smooth, until=ft.norm_above(level), settings=settings)
        assert (passage(ahead, task, first, 0.0) is not None) is found


def test_an_event_just_before_the_final_time_has_an_error_too() -> None:
    """The second run meets it a little later: it is not to end, with NaN, at the final time."""
    first, until = start(1e-2, width=6), ft.plateau_left(0.5)
    open_ended = tanh_flow().solve(first, until=until)
    run = tanh_flow().solve(first, open_ended.t_end * (1 + 1e-13), until=until)
    assert run.outcome is Outcome.EVENT
    assert run.error_estimate == pytest.approx(open_ended.error_estimate, rel=1e-3)
