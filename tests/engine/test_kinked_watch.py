"""Events of networks with kinks: the same times, names and order as where a run is stopped.

All runs of one network look for the same kinds of events, so that their loop is compiled once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from engine import small_kinked

import flowtheory as ft
from flowtheory import Outcome
from flowtheory.flow.settings import Settings
from flowtheory.flow.until import Event, Until

FLOW = small_kinked.flow()
PAIR = {"settings": Settings(method="tsit5"), "rtol": 1e-9, "estimate": False}
WAYS = {"both": 0, "up": 1, "down": -1}
WAVES = tuple(ft.event(small_kinked.wave, d, n).events[0] for n, d in WAYS.items())  # type: ignore[arg-type]
LOSSES = (ft.loss_below(0.15) | ft.loss_below(0.16)).events
NORMS = (ft.norm_above(0.01) | ft.norm_above(0.5) | ft.norm_above(0.6)).events
TINY = (ft.norm_above(1e-18) | ft.norm_above(1e-10) | ft.norm_above(0.3)).events


def solved(
    eps: float, t_end: float, norms: tuple[Event, ...], *until: Event, **more: Any
) -> ft.Run:
    """A run that ends at the events of `until`, if any, and notes all others."""
    watch = [e for e in (*norms, *WAVES, *LOSSES) if e not in until]
    rules = {"until": Until(until), "watch": Until(tuple(watch))}
    return FLOW.solve(small_kinked.first(FLOW, eps), t_end, **{**PAIR, **more}, **rules)


def plain(run: ft.Run) -> list[tuple[str, float, bool]]:
    """The events but those of the wave."""
    return [tuple(e) for e in run.events if e.name not in WAYS]  # type: ignore[misc]


RUNS = {"watched": (1e-3, small_kinked.T_END, NORMS), "early": (1e-20, 260.0, TINY)}


@pytest.fixture(scope="module")
def watched() -> ft.Run:
    return solved(*RUNS["watched"])


@pytest.mark.parametrize("at", [*NORMS, *LOSSES], ids=lambda e: e.name)
def test_what_is_noted_is_where_a_run_is_stopped(watched: ft.Run, at: Event) -> None:
    """Between and after switches, and while a neuron slides."""
    assert watched.outcome is Outcome.REACHED_T
    assert [e.time for e in watched.events] == sorted(e.time for e in watched.events)
    (noted,) = (e for e in watched.events if e.name == at.name)
    run = solved(1e-3, small_kinked.T_END, NORMS, at)
    assert run.outcome is Outcome.EVENT
    assert run.events[-1].name == at.name
    assert run.t_end == run.events[-1].time == pytest.approx(noted.time, rel=1e-9)
    assert noted.rising == (at.direction > 0)
    value = run.loss[-1] if at.falling else run["norm"][-1]
    assert value == pytest.approx(at.level, rel=1e-11)
    # What was passed before is noted there too, and nothing else.
    assert [e.name for e in run.events] == [e.name for e in watched.events][: len(run.events)]


def test_of_two_levels_the_one_that_is_met_is_named() -> None:
    run = solved(1e-3, small_kinked.T_END, NORMS, *LOSSES)
    assert run.events[-1].name == "loss below 0.16"
    assert "loss below 0.15" not in [e.name for e in run.events]


def test_any_event_may_end_a_run_without_a_final_time(watched: ft.Run) -> None:
    run = solved(1e-3, np.inf, NORMS, NORMS[1])
    assert run.outcome is Outcome.EVENT
    (noted,) = (e for e in watched.events if e.name == NORMS[1].name)
    assert run.t_end == pytest.approx(noted.time, rel=1e-8)
    assert [e.name for e in run.events] == [e.name for e in watched.events][: len(run.events)]


@pytest.fixture(scope="module")
def early() -> ft.Run:
    """From 1e-20, with a closed form to begin with."""
    return solved(*RUNS["early"])


@pytest.fixture(scope="module")
def full() -> ft.Run:
    """The same flow integrated from its start."""
    return solved(*RUNS["early"], skip=False)


@pytest.mark.parametrize("which", ["watched", "early"])
def test_directions_repeated_and_at_once(which: str, request: pytest.FixtureRequest) -> None:
    run: ft.Run = request.getfixturevalue(which)
    times = {name: [e.time for e in run.events if e.name == name] for name in WAYS}
    logs = np.log(run["norm"])
    assert len(times["both"]) >= np.floor(2 * (logs.max() - logs[0])) - 1 > 6
    np.testing.assert_allclose(times["both"], np.sort(times["up"] + times["down"]), rtol=1e-12)
    assert all(e.rising for e in run.events if e.name == "up")
    assert not any(e.rising for e in run.events if e.name == "down")
    # The norm of the flow integrated from the start is a power of sqrt(e) at all of them.
    eps, t_end, norms = RUNS[which]
    rows = solved(eps, t_end, norms, times=np.array(times["both"]))
    powers = 2 * np.log(rows["norm"][1:-1])
    np.testing.assert_allclose(powers, np.round(powers), atol=1e-5)


def test_events_in_the_closed_form(early: ft.Run, full: ft.Run) -> None:
    assert early.stages[0].method == "event-exact"
    assert len(full.stages) == 1
    inside = [time < early.stages[0].end for _, time, _ in plain(early)]
    assert inside[:3] == [True, True, False]
    assert [(e.name, e.rising) for e in early.events] == [(e.name, e.rising) for e in full.events]
    found, expected = ([e.time for e in run.events] for run in (early, full))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_an_event_may_end_a_run_in_the_closed_form(full: ft.Run) -> None:
    run = solved(1e-20, np.inf, TINY, TINY[1], estimate=True)
    assert run.outcome is Outcome.EVENT
    assert [stage.method for stage in run.stages] == ["event-exact"]
    assert run.t_end == run.events[-1].time == pytest.approx(plain(full)[1][1], rel=1e-7)
    assert [e.name for e in run.events] == [e.name for e in full.events][: len(run.events)]
    assert run["norm"][-1] == pytest.approx(1e-10, rel=1e-9)
    assert 0 < run.error_estimate < 1e-8 * run.t_end
    assert np.all(np.diff(run.times) > 0)


@pytest.mark.parametrize("direction", [0, 1, -1])
def test_a_root_that_rounding_blurs_is_one_passage(direction: Any) -> None:
    """Up, down and up within a few roundings of the time is up; down later is another passage."""
    event = ft.event(small_kinked.wave, direction).events[0]
    signs, crossed, noted = np.array([1.0, -1.0]), np.full(2, -np.inf), []
    for t in (15.0, np.nextafter(15.0, 16.0), 15.0 * (1 + 1e-15), 15.001):
        rising = bool(signs[1] < 0)
        new, signs, crossed = event.turned(1, t, signs, crossed)
        noted += [rising] * new
    assert noted == {0: [True, False], 1: [True], -1: [False]}[direction]
    assert signs.tolist() == [1.0, -1.0]
    assert crossed.tolist() == [-np.inf, 15.001]


def bump(at: Any) -> Any:
    return at.params["v"][0] - 0.7


def test_as_smooth_networks_do() -> None:
    """A ReLU network whose neurons see all data is a linear one: the same events, name by name."""
    x, y = np.array([[1.0, 0.5], [0.3, 1.0], [0.8, 0.9]]), np.array([1.0, 2.0, 1.5])
    start = {"W": np.array([[0.3, 0.2], [0.1, 0.4]]), "v": np.array([0.5, 0.2])}
    watch = (
        ft.norm_above(0.1)
        | ft.norm_above(1.2)
        | ft.event(bump, name="bump")
        | ft.event(small_kinked.wave, 1, "wave")
        | ft.plateau_left(0.3)
        | ft.loss_below(100.0)
    )
    runs = [
        ft.GradientFlow(ft.fully_connected(2, sigma), loss="half_mse", x=x, y=y).solve(
            dict(start), 30.0, watch=watch, until=ft.loss_below(1e-2), **PAIR
        )
        for sigma in ("relu", "identity")
    ]
    kinked, smooth = ([(e.name, e.rising) for e in run.events] for run in runs)
    assert kinked == smooth
    assert len(kinked) == 7
    times = [[e.time for e in run.events] for run in runs]
    np.testing.assert_allclose(times[0], times[1], rtol=1e-7, atol=0)
    assert runs[0].outcome is runs[1].outcome is Outcome.EVENT
