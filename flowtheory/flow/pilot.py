"""Watches the stretches of a run for `choice`, and remembers what was asked when."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from flowtheory.flow.choice import EXPLICIT, SETTLED, SOON, STRAIN, Choice, Seen, choose
from flowtheory.flow.settings import PAIRS, Fixed, Method
from flowtheory.flow.system import Status

_SLEEP = 50  # attempted steps between two looks
_PATIENCE = 500  # attempted steps after a way back
_EARLY = 24  # attempted steps before the first look of an eager one
_SHORT = 100  # steps of a stabilised method between two visits of the host


class Leg(NamedTuple):
    """What a stretch did.

    Attributes:
        method: by which method.
        status: how it came back.
        steps: steps taken.
        rejected: steps tried in vain.
        evaluations: of the field, in these steps.
        advance: in s.
        h: the next step to try.
        room: the longest step of a stabilised method that the growth of what is dormant permits.
    """

    method: Fixed
    status: Status
    steps: int
    rejected: int
    evaluations: int
    advance: float
    h: float
    room: float = math.inf


class Pilot:
    """Chooses the method of the next stretch.

    Args:
        method: what is asked for.
        eager: whether to look early: where a plateau is few steps, it is over before a rule for
            hundreds of them has judged any.
    """

    def __init__(self, method: Method, eager: bool = False) -> None:
        self._eager, self._enough = eager, SOON if eager else SETTLED
        self.auto = method == "auto"
        self.first: Fixed = EXPLICIT if method == "auto" else method
        self._nap = _EARLY if eager else _SLEEP
        self._attempts, self._asleep = 0, _EARLY if eager else 0
        self._patience = _SLEEP if eager else _PATIENCE
        self._settled: list[Leg] = []

    def strain(self, method: Fixed) -> float:
        """The share of rejected steps at which a stretch is to come back; inf for never."""
        awake = self.auto and method in PAIRS and self._attempts >= self._asleep
        return STRAIN if awake and not self._eager else math.inf

    def chunk(self, method: Fixed, chunk: int) -> int:
        """Attempted steps of the next stretch, at most."""
        if not self.auto:
            return chunk
        if method in PAIRS:
            return min(chunk, max(1, self._asleep - self._attempts)) if self._eager else chunk
        return min(chunk, self._enough if self._enough < SETTLED else _SHORT)

    def consider(self, leg: Leg, radius: Callable[[], float], left: Callable[[], float]) -> Choice:
        r"""The method that goes on.

        Args:
            leg: the stretch before.
            radius: the spectral radius now, in s.
            left: the rest of the run in s, as far as it can be told.
        """
        self._attempts += leg.steps + leg.rejected
        if not self.auto:
            return Choice(leg.method)
        asked = self._explicit if leg.method in PAIRS else self._stabilised
        return asked(leg, radius, left)

    def _explicit(self, leg: Leg, radius: Callable[[], float], left: Callable[[], float]) -> Choice:
        asking = leg.status in (Status.STRAINED, Status.CHUNK) and leg.steps > 0
        if not asking or self._attempts < self._asleep:
            return Choice(leg.method)
        tried = leg.steps + leg.rejected
        strained = leg.status is Status.STRAINED
        # A stretch may have begun with short steps; the last was the longest that stability took.
        h = max(leg.advance / leg.steps, leg.h if strained or self._eager else 0.0)
        share = math.inf if strained else leg.rejected / tried
        rho = radius()
        seen = Seen(
            leg.method,
            leg.steps,
            share,
            leg.evaluations / tried,
            rho * h,
            rho * left(),
            room=rho * leg.room,
        )
        choice = choose(seen)
        self._asleep = self._attempts + self._nap
        if self._eager:
            # A look costs some evaluations: the later, the fewer.
            self._nap = min(2 * self._nap, _SLEEP)
            self._eager = self._nap < _SLEEP
        return choice

    def _stabilised(
        self, leg: Leg, radius: Callable[[], float], left: Callable[[], float]
    ) -> Choice:
        self._settled.append(leg)
        steps = sum(one.steps for one in self._settled)
        if steps < self._enough:
            return Choice(leg.method)
        legs, self._settled = self._settled, []
        tried = steps + sum(one.rejected for one in legs)
        rho = radius()
        seen = Seen(
            leg.method,
            steps,
            1 - steps / tried,
            sum(one.evaluations for one in legs) / tried,
            rho * sum(one.advance for one in legs) / steps,
            rho * left(),
            self._enough,
        )
        choice = choose(seen)
        if choice.method != leg.method:
            # What comes back soon comes back again: ask less and less often.
            self._asleep = self._attempts + self._patience
            self._patience *= 2
        return choice
