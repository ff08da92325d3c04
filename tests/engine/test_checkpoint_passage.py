"""Checkpoints of runs whose first plateau is passed in closed form, with events inside it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine.problems import start, tanh_flow
from engine.test_checkpoint import assert_same
from engine.test_passage import WIDTH, between

import flowtheory as ft
from flowtheory.flow.settings import Settings

FLOW, FIRST = tanh_flow(), start(1e-12, width=WIDTH)
ASKED: dict[str, Any] = {
    "until": ft.plateau_left(0.5),
    "watch": ft.event(between) | ft.norm_above(1e-5) | ft.norm_above(0.1),
    "settings": Settings(chunk=5),
}


def kills(path: Path, **asked: Any) -> list[Path]:
    """What a kill would leave after each stretch of the run: the file as it is there."""
    left: list[Path] = []

    def progress(*_: object) -> None:
        if path.exists():
            left.append(path.with_name(f"{len(left)}.npz"))
            shutil.copy(path, left[-1])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flowtheory.flow.drive._QUIET", -1.0)
        FLOW.solve(FIRST, **asked, checkpoint=path, every=0.0, progress=progress)
    return left


@pytest.mark.parametrize("times", [None, np.linspace(5.0, 60.0, 23)])
def test_events_and_rows_of_the_plateau_come_back(tmp_path: Path, times: Any) -> None:
    t_end = np.inf if times is None else 60.0
    asked = {**ASKED, "times": times, "t_end": t_end}
    whole = FLOW.solve(FIRST, **asked)
    assert whole.stages[0].method == "leading flow in closed form"
    inside = [event for event in whole.events if event.time < whole.stages[0].end]
    assert [event.name for event in inside] == ["between", "between", "norm above 1e-05"]
    assert len(whole.events) == 5
    assert np.count_nonzero(whole.times < whole.stages[0].end) > 5
    left = kills(tmp_path / "run.npz", **asked)
    assert len(left) > 5
    for path in left[:: len(left) // 4]:
        options = {"until": asked["until"], "watch": asked["watch"]}
        assert_same(FLOW.resume(path, **options), whole)


def test_a_run_that_ends_in_the_plateau_is_the_same_again(tmp_path: Path) -> None:
    asked = {**ASKED, "until": ft.norm_above(1e-7)}
    whole = FLOW.solve(FIRST, **asked)
    assert [stage.method for stage in whole.stages] == ["leading flow in closed form"]
    path = tmp_path / "run.npz"
    for _ in range(2):
        assert_same(FLOW.solve(FIRST, **asked, checkpoint=path), whole)
