r"""The host's side of a run through kinks: stretches, switches, slides, events, budgets.

Everything that the rest of a run depends on is in what `frozen` gives, so that a run can be taken
up again after any stretch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from flowtheory.files import plain
from flowtheory.flow.cells import Piece, cell_system, start_values, view_of
from flowtheory.flow.field import TwoLayer, neuron_norms
from flowtheory.flow.integrate import STAGES
from flowtheory.flow.kinked_task import KinkedTask, first_horizon
from flowtheory.flow.loop import Carry, stretch
from flowtheory.flow.pattern import OPEN, classify
from flowtheory.flow.position import Kept
from flowtheory.flow.recorder import SAVES, Progress, Recorder
from flowtheory.flow.run import Happened
from flowtheory.flow.schedule import log_times
from flowtheory.flow.settings import Explicit
from flowtheory.flow.slides import KinkedTrajectory
from flowtheory.flow.standing import rests
from flowtheory.flow.surfaces import Crossing, Surfaces, Target, switch_kinds
from flowtheory.flow.system import Start, Status, Stops, Tolerance
from flowtheory.flow.trajectory import Statistics, Switches
from flowtheory.flow.until import Event
from flowtheory.outcome import Outcome
from flowtheory.precision import float64

_FIRST_STEP = 1e-2
# At rest the shares of fitted data are rounding, so that their kinks switch for ever.
_MAY_REST = (Outcome.CHATTERING, Outcome.EVENT_LIMIT)
_APART = 1e-12  # of the time: events closer than this are at one time
_SOON, _MORE, _MOST = 10, 4.0, 1e8  # back within so many steps: its noise, by this factor, up to
_AT_ORIGIN = 1e-10  # |w_j| over |v_j| where events without end are those of the origin
_FURTHER = 2.0
_AHEAD = 1e3  # of the time so far: at rest is what does not get there in this time


class _Mark(NamedTuple):
    """How far a run was after its last whole stretch; lists are only ever appended to."""

    numbers: dict[str, Any]
    arrays: dict[str, np.ndarray]
    times: int
    switches: int
    happened: int


class Switching:
    """One run in the making; `advance` until `outcome` is not None."""

    def __init__(self, task: KinkedTask, params: TwoLayer, surfaces: Surfaces) -> None:
        self.task, self.flow, self.settings = task, task.flow, task.settings
        self.params, self.surfaces = params, surfaces
        self.began, self.seconds = time.monotonic(), 0.0
        self.recorder = Recorder(task.flow, task.observe)
        self.pair: Explicit = task.settings.pair
        self.data = task.flow.samples
        with float64():
            self.atol = self.settings.absolute(np.asarray(neuron_norms(params)))
        self.t, self.s = task.t_start, self._to_s(task.t_start)
        self.switches: list[tuple[float, int, int, bool, int]] = []
        self.happened: list[Happened] = []
        self.still, self.last_event, self.before = 0, -math.inf, 0
        self.visits: dict[tuple[int, int], int] = {}  # never changed in place
        self.saved = self.accepted = self.rejected = self.landed = self.stretches = 0
        self.escape_time = math.inf
        self.outcome: Outcome | None = None
        self.length, self.saves = 0.0, np.zeros(0) if task.times is None else task.times
        self._extend()
        self._begin()
        self._mark = self._here()

    def _extend(self) -> None:
        """The next time at which to look whether the flow rests, or the final time."""
        task = self.task
        if math.isfinite(task.t_end):
            self.horizon = task.t_end
        else:
            first = first_horizon(self.flow, self.params)
            self.length = _FURTHER * self.length if self.length else first
            self.horizon = self.t + self.length
        if task.times is None:
            self.saves = np.append(self.saves, log_times(self.t, self.horizon)[1:])
        self.before = len(self.switches)

    def _begin(self) -> None:
        """The first step, and events that have happened before the run begins."""
        task, events = self.task, self.task.events
        sides = self.surfaces.pattern.astype(np.float64)
        with float64():
            where = self.data, sides, self.params, task.levels
            found = start_values(self.flow.model, task.keys, *where)
            peak, loss, rate, values = map(np.asarray, found)
        rate = float(rate) * (math.exp(self.s) if task.log_time else 1.0)
        # A rate of 0: all neurons are dead, any step will do.
        self.h = _FIRST_STEP / rate if rate > 0 else self.horizon - self.t
        if not math.isfinite(self.h) or not math.isfinite(loss):
            self.outcome = Outcome.NONFINITE
        if peak >= task.escape:
            self.escape_time = self.t
        seen = list(zip(events, map(float, values), strict=True))
        self.signs = np.array([e.sign(v) for e, v in seen]) if task.signs is None else task.signs
        self.crossed = np.full(len(events), -math.inf)
        for e, v in seen:
            if task.signs is None and e.past(v):
                self._note(e, e.direction > 0)
        self._stop_if_classified()
        self.recorder.add_one(self.t, self.params)

    def advance(self) -> None:
        """One stretch of the compiled loop, and what the host makes of it."""
        self._advance()
        if self.outcome in _MAY_REST and math.isinf(self.task.t_end):
            self.outcome = self._rest() or self.outcome
        self._mark = self._here()

    def _advance(self) -> None:
        budget = self.settings.max_steps - self.accepted - self.rejected
        if budget <= 0:
            self.outcome = Outcome.STEP_LIMIT
            return
        if time.monotonic() - self.began > self.settings.time_limit:
            self.outcome = Outcome.TIME_LIMIT
            return
        with float64():
            carry = stretch(
                cell_system(self.flow.model, self.task.keys),
                self.pair,
                self.task.log_time,
                self._piece(),
                self._stops(min(budget, self.settings.chunk)),
                Tolerance(np.float64(self.settings.rtol), np.float64(self.atol)),  # type: ignore[arg-type]
                Start(np.float64(self.s), self.params, np.float64(self.h)),  # type: ignore[arg-type]
            )
            self._take(jax.tree.map(np.asarray, carry))

    def _rest(self) -> Outcome | None:
        """Whether what is waited for will not come; None to go on."""
        falls = all(event.falling for event in self.task.until.events)
        target = self.task.until.loss if falls else None
        where = self.flow, self._piece().cell, self.params
        return rests(*where, _AHEAD * self.horizon, target)

    def _piece(self) -> Piece:
        cell = self.surfaces.cell(np.where(np.asarray(self.params.v) < 0, -1.0, 1.0))
        early = np.float64(self.task.escape), np.bool_(math.isinf(self.escape_time))
        return Piece(self.data, cell, *early, self.task.levels, self.signs)  # type: ignore[arg-type]

    def _stops(self, steps: int) -> Stops:
        saves = np.full(SAVES, np.inf)
        coming = self.saves[self.saved : self.saved + SAVES]
        saves[: len(coming)] = [self._to_s(t) for t in coming]
        return Stops(np.float64(self._to_s(self.horizon)), saves, np.int64(steps))  # type: ignore[arg-type]

    def _take(self, carry: Carry) -> None:
        """Book what a stretch did."""
        self.s, self.h, self.params = float(carry.s), float(carry.h), carry.state
        self.t = math.expm1(self.s) if self.task.log_time else self.s
        self.accepted += int(carry.accepted)
        self.rejected += int(carry.rejected)
        self.landed += int(carry.landed)
        self.stretches += 1
        count = int(carry.rows.saved)
        self.recorder.add(self.saves[self.saved : self.saved + count].tolist(), carry.rows.buffer)
        self.saved += count
        match Status(int(carry.status)):
            case Status.END:
                self.t = float(self.horizon)
                self._arrive()
            case Status.EVENT:
                self._event(int(carry.target))
            case Status.STEP_TOO_SMALL:
                self.outcome = Outcome.STIFF
            case Status.NONFINITE:
                self.outcome = Outcome.NONFINITE

    def _arrive(self) -> None:
        """At the final time, or where the flow may rest."""
        if math.isfinite(self.task.t_end):
            self.outcome = Outcome.REACHED_T
            return
        self.outcome = self._rest()
        if self.outcome is None:
            self._extend()

    def _event(self, target: int) -> None:
        found, first = self.surfaces.decode(target), self.surfaces.levels
        if found is not None:
            self._switch(found)
        elif target == first:
            self.escape_time = self.t
        else:
            self._passed(target - first - 1)

    def _passed(self, index: int) -> None:
        """An event was landed on: note it if its direction is asked for, and turn its sign."""
        event, rising = self.task.events[index], bool(self.signs[index] < 0)
        noted, self.signs, self.crossed = event.turned(index, self.t, self.signs, self.crossed)
        if noted:
            self._note(event, rising)

    def _note(self, event: Event, rising: bool) -> None:
        self.happened.append(Happened(event.name, self.t, rising))
        if event in self.task.until.events:
            self.outcome = Outcome.EVENT

    def _switch(self, found: Target) -> None:
        j = found.neuron
        if found.crossing is None:
            self.outcome = Outcome.NONUNIQUE  # attracting kinks become repelling
            return
        self._ease(j, found.datum)
        before, rank = self._sides(j), self.surfaces.rank(j)
        view = view_of(self.flow, self.surfaces, self.params, j)
        if not self.surfaces.settle(j, view, found.datum, found.crossing):
            self.outcome = Outcome.NONUNIQUE
            return
        W = np.array(self.params.W)
        W[j] = self.surfaces.project(j, W[j])
        self.params = self.params._replace(W=W)
        self._log(j, before)
        line = found.crossing is Crossing.KINK and 0 < rank == W.shape[1] - 1
        if line or self.surfaces.rank(j) == W.shape[1]:
            self.outcome = Outcome.NONUNIQUE  # a line meets one more kink at the origin only
            return
        if len(self.switches) - self.before >= self._most_switches():
            self.outcome = Outcome.EVENT_LIMIT
        self._stop_if_classified()

    def _most_switches(self) -> int:
        limit = self.settings.max_switches
        return 2 * self.surfaces.pattern.size + 100 if limit is None else limit

    def _ease(self, j: int, i: int) -> None:
        """Allow for more noise in the shares of a neuron that comes back to a kink at once.

        Where what pushes it is fitted, its field is what steps and rounding leave of a residual.
        """
        recent = {k: step for k, step in self.visits.items() if self.accepted - step < _SOON}
        eased = min(_MORE * self.surfaces.ease[j], _MOST)
        self.surfaces.ease[j] = eased if (j, i) in recent else 1.0
        self.visits = {**recent, (j, i): self.accepted}

    def _sides(self, j: int) -> tuple[np.ndarray, np.ndarray]:
        return self.surfaces.pattern[j].copy(), self.surfaces.sliding[j].copy()

    def _log(self, j: int, before: tuple[np.ndarray, np.ndarray]) -> None:
        # Counted for events that leave all sides as they are too: these would never end.
        moved = self.t - self.last_event > _APART * abs(self.t)
        self.still, self.last_event = (0 if moved else self.still + 1), self.t
        if self.still > 4 * self.surfaces.pattern.size + 16:
            w, v = self.params.W[j], self.params.v[j]
            lost = np.max(np.abs(w)) <= _AT_ORIGIN * abs(v)
            self.outcome = Outcome.NONUNIQUE if lost else Outcome.CHATTERING
        after = self._sides(j)
        for i, kind in switch_kinds(before, after):
            self.switches.append((self.t, j, i, bool(after[0][i]), int(kind)))

    def _stop_if_classified(self) -> None:
        if self.task.until.classified:
            sides = self.surfaces
            classes = classify(sides.pattern, np.asarray(self.params.v), self.flow.y)
            if np.all(classes != OPEN) and not np.any(sides.sliding):
                self.outcome = Outcome.EVENT

    def _to_s(self, t: float) -> float:
        return math.log1p(t) if self.task.log_time else float(t)

    def report(self, progress: Progress | None) -> None:
        """Tell the progress callback, not too often while the run goes on."""
        self.recorder.report(progress, self.t, self.params, self.outcome)

    def _here(self) -> _Mark:
        numbers = {name: getattr(self, name) for name in (*_COUNTS, *_NUMBERS)}
        sides = self.surfaces
        arrays = {name: getattr(sides, name).copy() for name in _SIDES}
        arrays |= {"W": self.params.W, "v": self.params.v, "saves": self.saves}
        arrays |= {"signs": self.signs, "crossed": self.crossed}
        numbers["outcome"], numbers["visits"] = self.outcome, self.visits
        counts = len(self.recorder.times), len(self.switches), len(self.happened)
        return _Mark(numbers, arrays, *counts)

    def frozen(self) -> Kept:
        """The run after its last whole stretch, whenever it is asked for."""
        at = self._mark
        numbers: dict[str, Any] = {name: at.numbers[name] for name in _COUNTS}
        numbers |= {name: plain(at.numbers[name]) for name in _NUMBERS}
        numbers["visits"] = [[*place, step] for place, step in at.numbers["visits"].items()]
        outcome: Outcome | None = at.numbers["outcome"]
        numbers["outcome"] = outcome.value if outcome else None
        numbers["happened"] = [
            [e.name, plain(e.time), e.rising] for e in self.happened[: at.happened]
        ]
        numbers["seconds"] = plain(self._elapsed())
        rows = np.array(self.switches[: at.switches], dtype=np.float64).reshape(-1, 5)
        return Kept(numbers, {**at.arrays, "switches": rows, **self.recorder.frozen(at.times)})

    def thaw(self, former: Kept) -> None:
        """Go on from `former`, a run of the same task; a spent budget may have been raised."""
        numbers, arrays = former
        for name in _COUNTS:
            setattr(self, name, numbers[name])
        for name in _NUMBERS:
            setattr(self, name, float(numbers[name]))
        self.seconds, self.began = float(numbers["seconds"]), time.monotonic()
        self.visits = {(j, i): step for j, i, step in numbers["visits"]}
        self.happened = [Happened(name, float(t), on) for name, t, on in numbers["happened"]]
        self.params = TwoLayer(arrays["W"], arrays["v"])  # type: ignore[arg-type]
        self.signs, self.crossed, self.saves = (arrays[k] for k in ("signs", "crossed", "saves"))
        self.surfaces = self.surfaces.at(*(arrays[name].copy() for name in _SIDES))
        self.switches = [(t, int(j), int(i), bool(on), int(k)) for t, j, i, on, k in _rows(arrays)]
        self.recorder.thaw(arrays)
        self.outcome = Outcome(numbers["outcome"]) if numbers["outcome"] else None
        if self.outcome in (Outcome.STEP_LIMIT, Outcome.TIME_LIMIT) or self._may_switch_on():
            self.outcome = None
        self._mark = self._here()

    def _may_switch_on(self) -> bool:
        """Whether the run ended for a number of switches that has been raised since."""
        spent = self.outcome is Outcome.EVENT_LIMIT
        return spent and len(self.switches) - self.before < self._most_switches()

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.began

    def result(self) -> KinkedTrajectory:
        """What came of it; the end is the last row."""
        if self.recorder.times[-1] < self.t:
            self.recorder.add_one(self.t, self.params)
        columns = list(zip(*self.switches, strict=True)) or [()] * 5
        types = (np.float64, np.int64, np.int64, np.bool_, np.int64)
        *switches, kinds = (np.array(c, t) for c, t in zip(columns, types, strict=True))
        attempts = self.accepted + self.rejected + self.landed
        evaluations = attempts * STAGES[self.pair]
        cost = self.accepted, self.rejected, evaluations, self.stretches, self._elapsed()
        return KinkedTrajectory(
            times=np.array(self.recorder.times),
            observables=self.recorder.columns(),
            errors={},
            params=self.params,
            pattern=self.surfaces.pattern,
            switches=Switches(*switches),
            kinds=kinds,
            sliding=self.surfaces.sliding,
            shares=self._shares(),
            escape_time=self.escape_time,
            escape_level=self.task.escape,
            outcome=self.outcome or Outcome.REACHED_T,
            clock=self.flow.clock,
            method=self.pair + (" in log(1 + t)" if self.task.log_time else ""),
            rtol=self.settings.rtol,
            atol=self.atol,
            statistics=Statistics(*cost),
            events=tuple(self.happened),
        )

    def _shares(self) -> Float[np.ndarray, "h n"]:
        sides = self.surfaces
        shares = sides.pattern.astype(np.float64)
        for j in map(int, np.flatnonzero(sides.sliding.any(axis=1))):
            shares[j] = sides.shares(j, view_of(self.flow, sides, self.params, j))
        return shares


def _rows(arrays: Mapping[str, np.ndarray]) -> list[list[float]]:
    """The switches so far: time, neuron, datum, on, kind."""
    return arrays["switches"].tolist()


_SIDES = ("pattern", "sliding", "ease")
_COUNTS = ("still", "before", "saved", "accepted", "rejected", "landed", "stretches")
_NUMBERS = ("t", "s", "h", "last_event", "escape_time", "length", "horizon")
