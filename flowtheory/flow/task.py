"""What a smooth run is asked for, and what comes of it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.errors import ParameterError
from flowtheory.flow.position import Position
from flowtheory.flow.run import Happened, Stage
from flowtheory.flow.schedule import require_span
from flowtheory.flow.settings import Settings
from flowtheory.flow.smooth import Observe, SmoothFlow
from flowtheory.flow.until import NEVER, Until
from flowtheory.outcome import Outcome


class Task(NamedTuple):
    """What a run is asked for.

    Attributes:
        flow: functions and data.
        t_end: final time; inf to go on until an event.
        until: events that end the run.
        watch: events that are noted.
        times: times to save at; None to save by change.
        observe: what to save beside loss and norm.
        log_time: integrate in log(1 + t).
        settings: tolerances and budgets.
    """

    flow: SmoothFlow
    t_end: float = math.inf
    until: Until = NEVER
    watch: Until = NEVER
    times: np.ndarray | None = None
    observe: Observe | None = None
    log_time: bool = False
    settings: Settings = Settings()


class Faint(Exception):  # noqa: N818 - it says what is the case, and never leaves the package
    """What grows next was lost in rounding before the run began (`Before.faint`)."""


class Before(NamedTuple):
    """What a part of the flow that was not integrated leaves to the run after it.

    Attributes:
        dissipated: the loss that it dissipated.
        signs: of the events, as in `Watched`, in the order of `resolved`; None for a run that
            begins here: what is past at its start is then noted there.
        faint: whether slower modes were lost in rounding: a run that comes to a saddle at which
            one of them would take over raises `Faint`.
    """

    dissipated: float = 0.0
    signs: Float[np.ndarray, " e"] | None = None
    faint: bool = False


NOTHING = Before()


class Driven(NamedTuple):
    """What came of it.

    Attributes:
        position: the end.
        outcome: how it ended.
        times: times of the rows.
        rows: name -> one row a time.
        happened: events passed.
        blow_up_time: for `BLEW_UP`; else inf.
        stages: the methods used.
    """

    position: Position
    outcome: Outcome
    times: list[float]
    rows: dict[str, Any]
    happened: list[Happened]
    blow_up_time: float
    stages: tuple[Stage, ...]


def require_task(task: Task, t_start: float) -> None:
    """Raise `ParameterError` unless the task has an end and begins before it."""
    if math.isinf(task.t_end):
        if not task.until.events:
            raise ParameterError(
                "the run has neither a final time nor an event to end it",
                expected="t_end, or until=..., or both",
                fix="until=ft.loss_below(...), or t_end=100.0",
            )
        if task.log_time:
            raise ParameterError(
                "logarithmic time without a final time",
                expected="a finite t_end with log_time",
                fix="give t_end, for example 1e12",
            )
        if not (math.isfinite(t_start) and t_start >= 0):
            require_span(t_start, math.inf)
    else:
        require_span(t_start, task.t_end)
