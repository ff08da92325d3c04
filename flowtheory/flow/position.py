"""Where a run is, and all that the rest of it depends on: plain numbers and arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float

from flowtheory.flow.dormant import CALM, CALMER, TRUST, Dormant
from flowtheory.flow.radius import Radius
from flowtheory.flow.run import Happened, Stage
from flowtheory.flow.settings import Fixed
from flowtheory.flow.smooth import Moving, Params
from flowtheory.outcome import Outcome


class Position(NamedTuple):
    """Where a run is.

    Attributes:
        s: the loop's time, t less its origin, or log(1 + t).
        h: the next step to try.
        params: parameters.
        dissipated: loss dissipated so far.
        signs: of the events, see `Watched`.
        crossed: time at which each last changed its sign; -inf for never.
        runaway: norm at which to ask about a blow-up.
        marks: of the last row saved.
        accepted: steps taken.
        rejected: steps tried in vain.
        landed: steps tried to land on events.
        evaluations: of the field; a Jacobian-vector product counts as two.
        seconds: wall time so far.
        method: the method that goes on.
        radius: what a stabilised method knows of the spectral radius; else None.
        moved: relative change of the parameters since their growth was looked at.
        growth: the largest rate at which anything grows there unseen.
        still: change in a step below which that is looked at again.
        stale: the s from which on it is, if s is log(1 + t): late, rates fall like 1/t.
        lost: by how much a time may be wrong because rounding has excited what was dormant.
        lost_before: the same, without the present saddle.
        origin: of the loop's time.
        guess: of the fastest motion, where steps through kinks are taken (`march`); else None.
    """

    s: float
    h: float
    params: Params
    dissipated: float
    signs: Float[np.ndarray, " e"]
    crossed: Float[np.ndarray, " e"]
    runaway: float
    marks: Float[np.ndarray, " q"]
    accepted: int
    rejected: int
    landed: int
    evaluations: int
    seconds: float
    method: Fixed
    radius: Radius | None = None
    moved: float = math.inf
    growth: float = 0.0
    still: float = 0.0
    stale: float = math.inf
    lost: float = 0.0
    lost_before: float = 0.0
    origin: float = 0.0
    guess: Moving | None = None

    def looked(self, found: Dormant, change: float) -> Position:
        """After a look at what grows, before a step that would change the parameters by `change`.

        Of looks at one saddle the calmest counts; another saddle adds to those before.
        """
        before = self.lost if self.moved > TRUST else self.lost_before
        return self._replace(
            moved=0.0,
            growth=found.rate if found.unseen else 0.0,
            still=CALMER * change if found.rate > 0 else 0.0,
            stale=self.s + 1 if found.unseen else math.inf,
            lost=before + (found.lost if change < CALM else 0.0),
            lost_before=before,
            evaluations=self.evaluations + 2 * found.products,
        )


class Standing(NamedTuple):
    """What the host has made of a run so far.

    Attributes:
        outcome: how it ended; None if it goes on.
        blow_up_time: for `BLEW_UP`; else inf.
        due: how many of the given times were saved at.
        looked: steps taken at the last look at the Hessian.
        stretches: calls of the compiled loop.
        stages: methods used so far, the present one excepted.
        entered: time and evaluations at which the present stage began.
        why: why it did.
    """

    outcome: Outcome | None
    blow_up_time: float
    due: int
    looked: int
    stretches: int
    stages: tuple[Stage, ...]
    entered: tuple[float, int]
    why: str


class Frozen(NamedTuple):
    """A run in the making, between two stretches: all that the rest of it depends on.

    Attributes:
        position: where it is.
        times: times of the rows so far, shape (k,).
        rows: name -> one row a time, and `drift`, by name of the conserved quantity.
        happened: events passed so far.
        standing: what the host has made of it.
    """

    position: Position
    times: Float[np.ndarray, " k"]
    rows: dict[str, Any]
    happened: tuple[Happened, ...]
    standing: Standing


class Kept(NamedTuple):
    """A run through kinks in the making, between two stretches.

    Attributes:
        numbers: what JSON can hold; numbers that are not finite as `files.plain` writes them.
            `seconds` is the wall time so far, all else is the same for the same run.
        arrays: by name.
    """

    numbers: dict[str, Any]
    arrays: dict[str, np.ndarray]


Written = Frozen | Kept


class Keeper(Protocol):
    """Where a run is written down, part by part, and from where it is taken up again."""

    def former(self, part: str) -> Written | None:
        """What a part of the run had come to; None to begin it."""
        ...

    def keep(self, part: str, frozen: Callable[[], Written], *, last: bool) -> None:
        """Called after every stretch; `last` if no other call for this part follows."""
        ...


class Mark(NamedTuple):
    """How far a run was after its last whole stretch; lists are only ever appended to."""

    position: Position
    times: int
    blocks: int
    happened: int
    standing: Standing
