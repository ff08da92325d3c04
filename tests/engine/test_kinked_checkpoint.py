"""Runs through kinks that are interrupted at any moment and taken up again, slides included."""

from __future__ import annotations

import shutil
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine import small_kinked
from engine.test_checkpoint import assert_same, killed_at

import flowtheory as ft
from flowtheory import files
from flowtheory.engine.checkpoint import KIND, VERSION
from flowtheory.engine.kinked import kinked_flow
from flowtheory.flow import TwoLayer, solve
from flowtheory.flow.position import Written
from flowtheory.outcome import Outcome

FLOW = small_kinked.flow()


@pytest.fixture(scope="module")
def whole() -> ft.Run:
    """The run that is never interrupted."""
    return small_kinked.solve(FLOW)


class Shelf:
    """A keeper in memory that remembers every state, and stops a run after so many of them."""

    def __init__(self, former: Written | None = None, stop: float = np.inf) -> None:
        self.first, self.stop, self.states = former, stop, []

    def former(self, part: str) -> Written | None:
        return self.first

    def keep(self, part: str, frozen: Any, *, last: bool) -> None:
        self.states.append(frozen())
        if not last and len(self.states) >= self.stop:
            raise KeyboardInterrupt


def test_from_any_state_the_run_is_the_same_to_the_bit() -> None:
    """Switches, rows and the end; also from within a slide, of which the run has two."""
    start = small_kinked.first(FLOW)
    flow = kinked_flow(FLOW.network, FLOW.loss, FLOW.clock.reduction, FLOW.data)
    first = TwoLayer(start["W"], start["v"])
    options = {"settings": small_kinked.SETTINGS, "watch": small_kinked.WATCHED}
    shelf = Shelf()
    whole = solve(flow, first, small_kinked.T_END, **options, keeper=shelf)
    sliding = [k for k, state in enumerate(shelf.states) if state.arrays["sliding"].any()]
    assert len(shelf.states) > 30
    assert len(sliding) > 5
    for k in {0, *np.linspace(1, len(shelf.states) - 2, 8, dtype=int), sliding[2], sliding[-2]}:
        again = Shelf(shelf.states[k], stop=3)
        with suppress(KeyboardInterrupt):
            solve(flow, first, small_kinked.T_END, **options, keeper=again)
        then = Shelf(again.states[-1])
        run = solve(flow, first, small_kinked.T_END, **options, keeper=then)
        for name in ("switches", "params"):
            for one, other in zip(getattr(run, name), getattr(whole, name), strict=True):
                np.testing.assert_array_equal(one, other)
        for name in ("times", "kinds", "pattern", "sliding", "shares", "loss"):
            np.testing.assert_array_equal(getattr(run, name), getattr(whole, name))
        assert run.events == whole.events
        assert run.statistics[:4] == whole.statistics[:4]


def interrupted(path: Path, part: int, **changed: Any) -> None:
    """Run until the progress callback was called `part` times, then stop as Ctrl-C does."""
    calls = 0

    def progress(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == part:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flowtheory.flow.recorder._QUIET", -1.0)
        with pytest.raises(KeyboardInterrupt):
            small_kinked.solve(FLOW, path, every=1e9, progress=progress, **changed)


def test_resume_after_interrupts(whole: ft.Run, tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    for part in (3, 20, 7):
        interrupted(path, part)
    assert 20 < files.read_file(path, KIND, VERSION)[0]["parts"]["run"]["kept"]["stretches"] < 30
    assert_same(FLOW.resume(path), whole)
    stamp = path.stat().st_mtime_ns
    assert_same(FLOW.resume(path), whole)
    assert path.stat().st_mtime_ns == stamp


def test_budgets_may_be_raised(whole: ft.Run, tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    late = replace(small_kinked.SETTINGS, time_limit=0.0)
    assert small_kinked.solve(FLOW, path, settings=late).outcome is Outcome.TIME_LIMIT
    assert_same(FLOW.resume(path, time_limit=1e6), whole)
    few = replace(small_kinked.SETTINGS, max_switches=2)
    path = tmp_path / "few.npz"
    assert small_kinked.solve(FLOW, path, settings=few).outcome is Outcome.EVENT_LIMIT
    assert_same(small_kinked.solve(FLOW, path), whole)


def test_a_closed_form_to_begin_with_is_made_again(tmp_path: Path) -> None:
    path, watch = tmp_path / "run.npz", ft.norm_above(1e-7) | ft.norm_above(1e-2)
    options = {"skip": True, "start": small_kinked.first(FLOW, 1e-8), "watch": watch}
    whole = small_kinked.solve(FLOW, t_end=100.0, **options)
    assert whole.stages[0].method == "event-exact"
    assert [e.time < whole.stages[0].end for e in whole.events] == [True, False]
    interrupted(path, 9, t_end=100.0, **options)
    assert_same(FLOW.resume(path), whole)
    with pytest.raises(ft.errors.ParameterError, match="differs in skip"):
        small_kinked.solve(FLOW, path, t_end=100.0, **options | {"skip": False})


def test_steps_through_kinks_that_are_not_located(tmp_path: Path) -> None:
    """A deeper network: the direction of the fastest motion is kept too."""
    deep = ft.GradientFlow(ft.fully_connected(3, "relu"), loss="half_mse", **FLOW.data)
    start, calls = deep.init(scale=0.5, seed=3, width=3), 0
    options = {"watch": ft.norm_above(2.5), "settings": replace(small_kinked.SETTINGS, chunk=20)}
    whole = deep.solve(start, 6.0, **options)
    path = tmp_path / "run.npz"

    def progress(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls in (4, 11):
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flowtheory.flow.drive._QUIET", -1.0)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                deep.solve(start, 6.0, **options, checkpoint=path, every=1e9, progress=progress)
    run = deep.resume(path)
    assert_same(run, whole)
    np.testing.assert_array_equal(run.loss, whole.loss)


@pytest.mark.skipif(not hasattr(sys, "abiflags"), reason="fork and SIGKILL are POSIX")
def test_killed(whole: ft.Run, tmp_path: Path) -> None:
    moments = np.random.default_rng().uniform(0, 0.05, 2)
    assert killed_at(tmp_path, "small_kinked", moments)[0] == "run True"
    stretches = []
    for k in range(len(moments)):
        path = tmp_path / f"{k}.npz"
        shutil.copy(tmp_path / f"run-{k}.npz", path)
        parts = files.read_file(path, KIND, VERSION)[0]["parts"]
        stretches.append(sum(part["kept"]["stretches"] for part in parts.values()))
        assert_same(FLOW.resume(path), whole)
    assert stretches == sorted(stretches)


@pytest.mark.parametrize("rtol", [1e-3])
def test_the_cheap_mode(tmp_path: Path, rtol: float) -> None:
    """Both runs of it, the coarser one first."""
    rng = np.random.default_rng(0)
    flow = ft.GradientFlow(
        ft.fully_connected(2, "relu"),
        loss="half_mse",
        x=rng.standard_normal((8, 2)),
        y=rng.standard_normal(8),
    )
    start = flow.init(scale=0.3, seed=1, width=20)

    def run(**options: Any) -> ft.Run:
        return flow.solve(start, 100.0, rtol=rtol, skip=False, **options)

    expected = run()
    assert expected.stages[0].method.startswith("midpoint")
    path, calls = tmp_path / "run.npz", 0

    def progress(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls in (3, 9):
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flowtheory.flow.recorder._QUIET", -1.0)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                run(checkpoint=path, every=1e9, progress=progress)
    parts = files.read_file(path, KIND, VERSION)[0]["parts"]
    assert all(part["kept"]["steps"] > 0 for part in parts.values())
    found = flow.resume(path)
    np.testing.assert_array_equal(found.times, expected.times)
    np.testing.assert_array_equal(found.loss, expected.loss)
    assert found.error_estimate == expected.error_estimate
