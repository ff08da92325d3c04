r"""The host's side of a smooth run: stretches of the compiled loop, events, budgets, outcomes.

After every stretch the host books what happened and decides how to go on. Everything that the rest
of a run depends on is in `Frozen`, so that a run can be taken up again after any of them.
"""

from __future__ import annotations

import math
import time
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from flowtheory.flow.choice import time_left
from flowtheory.flow.diagnose import Verdict, runaway, standstill
from flowtheory.flow.dormant import BLUNT, CALM, SHARP, TRUST, dormant, moves, reach
from flowtheory.flow.keeping import RUN, carry
from flowtheory.flow.loop import Carry, look, stretch
from flowtheory.flow.pilot import Leg, Pilot
from flowtheory.flow.polar import chosen
from flowtheory.flow.position import Frozen, Keeper, Mark, Position, Standing
from flowtheory.flow.radius import MARGIN, Radius, unknown
from flowtheory.flow.recorder import SAVES, Progress
from flowtheory.flow.rows import Rows
from flowtheory.flow.run import Happened, Stage
from flowtheory.flow.settings import STABILISED, Fixed
from flowtheory.flow.sight import first_look, seen
from flowtheory.flow.smooth import (
    ROUNDING,
    Moving,
    Params,
    Watched,
    resolved,
    system,
)
from flowtheory.flow.system import Start, Status, Stops, System, Tolerance
from flowtheory.flow.task import NOTHING, Before, Driven, Faint, Task, require_task
from flowtheory.flow.until import Event, Until
from flowtheory.outcome import Outcome
from flowtheory.precision import float64

_FIRST_STEP = 1e-2
_RUNAWAY = 1e4
_PATIENCE = 2000  # steps between two looks at the Hessian
_QUIET = 0.1  # seconds between two calls of a progress callback


class Drive:
    """One run in the making; `advance` until `outcome` is not None."""

    def __init__(
        self, task: Task, params: Params, t_start: float = 0.0, before: Before = NOTHING
    ) -> None:
        require_task(task, t_start)
        self.task, self.flow = task, task.flow
        self.began = time.monotonic()
        params = self.flow.start(params)
        plateau = self.flow.plateau(params)
        self.rounding = ROUNDING * max(abs(plateau), abs(self.flow.energy(params)))
        every = (*task.until.events, *task.watch.events)
        self.events = resolved(every, plateau)
        self.stops = frozenset(e.resolved(plateau) for e in task.until.events)
        self.times: list[float] = []
        self.blocks: list[Any] = []
        self.happened: list[Happened] = []
        self.outcome: Outcome | None = None
        self.ended: float | None = None
        self.blow_up_time = math.inf
        self.due = self.looked = self.stretches = 0
        self.stages: list[Stage] = []
        self.faint = before.faint
        self.spoke = self.began
        self._begin(params, t_start, before)
        self._mark = self._here()

    def _begin(self, params: Params, t_start: float, before: Before) -> None:
        flow, task = self.flow, self.task
        with float64():
            first = first_look(flow.functions, self.keys, params, flow.data, self.levels)
            speed, size, values, groups, self.kept = jax.tree.map(np.asarray, first)
        self.coordinates, far = chosen(task.settings.coordinates, flow, params, groups)
        self.why = f"smooth network; {far}" if far else "smooth network"
        self.pilot = Pilot(task.settings.method, eager=bool(far))
        dense = task.times is None
        self.systems = [
            self.coordinates.system(system(flow.functions, self.keys, task.observe, dense, late))
            for late in (False, True)
        ]
        self.atol = task.settings.absolute(groups)
        s = math.log1p(t_start) if task.log_time else 0.0
        rate = float(speed / size) * (1 + t_start if task.log_time else 1.0)
        self.unit = _FIRST_STEP / rate if rate > 0 else 1.0
        h = self.unit if rate > 0 else min(task.t_end - t_start, 1e300)
        seen = list(zip(self.events, map(float, values), strict=True))
        signs = before.signs
        if signs is None:
            signs = np.array([e.sign(v) for e, v in seen])
        self.position = Position(
            s=s,
            h=h,
            params=params,
            dissipated=before.dissipated,
            signs=signs,
            crossed=np.full(len(signs), -math.inf),
            runaway=_RUNAWAY * max(1.0, float(size)),
            marks=np.zeros(0),
            accepted=0,
            rejected=0,
            landed=0,
            evaluations=0,
            seconds=0.0,
            method=self.pilot.first,
            radius=self._unknown(params, self.pilot.first),
            # From 0 on: at t = 1e99 a step of order one is below the resolution of the time.
            origin=0.0 if task.log_time else t_start,
        )
        self._begin_stage()
        first_row, marks = self._seen()
        self.position = self.position._replace(marks=marks)
        self._save_one(t_start, first_row)
        if not (math.isfinite(rate) and np.all(np.isfinite(self.blocks[-1]["loss"]))):
            self.outcome = Outcome.NONFINITE
        elif rate == 0 and math.isinf(task.t_end):
            self.outcome = Outcome.STALLED
        for e, v in seen:
            if before.signs is None and e.past(v):
                self._note(e, t_start)

    @property
    def keys(self) -> tuple[Any, ...]:
        """The functions of the events, as `system` takes them."""
        return tuple((e.value, e.falling) for e in self.events)

    @property
    def levels(self) -> Float[np.ndarray, " e"]:
        """The level of every event."""
        return np.array([e.level for e in self.events])

    @property
    def system(self) -> System:
        """The flow as the present method takes it."""
        return self.systems[self.position.method in STABILISED]

    @property
    def t(self) -> float:
        """Present time, in the flow's clock."""
        # expm1(log1p(t)) may differ from t by roundoff.
        return self._to_t(self.position.s) if self.ended is None else self.ended

    def _to_t(self, s: float) -> float:
        return math.expm1(s) if self.task.log_time else self.position.origin + s

    def _to_s(self, t: float) -> float:
        return math.log1p(t) if self.task.log_time else t - self.position.origin

    def _watched(self) -> Watched:
        at = self.position
        numbers = (self.levels, at.signs, at.runaway, self.unit, self.rounding)
        return Watched(self.flow.data, self.kept, *map(np.float64, numbers))  # type: ignore[arg-type]

    def _moving(self) -> Moving:
        return Moving(self.position.params, np.float64(self.position.dissipated))  # type: ignore[arg-type]

    def _inside(self) -> tuple[Any, Any]:
        """The state and the arguments, as the system takes them."""
        return self.coordinates.into(self._moving(), self._watched())

    def _seen(self) -> tuple[Any, Float[np.ndarray, " q"]]:
        """What is saved of the present state, and its marks."""
        s = np.float64(self.position.s)
        with float64():
            # Whichever method takes the steps, the first of the two systems saves the same.
            found = seen(self.systems[0], s, *self._inside())
            return jax.tree.map(np.asarray, found)

    def _save_one(self, t: float, found: Any) -> None:
        self.blocks.append(jax.tree.map(lambda a: a[None], found))
        self.times.append(t)
        self.saved_at = self.position.s

    def _here(self) -> Mark:
        counts = len(self.times), len(self.blocks), len(self.happened)
        standing = Standing(
            self.outcome,
            self.blow_up_time,
            self.due,
            self.looked,
            self.stretches,
            tuple(self.stages),
            self.entered,
            self.why,
        )
        return Mark(self.position, *counts, standing)

    def frozen(self) -> Frozen:
        """The run after its last whole stretch, whenever it is asked for."""
        at = self._mark
        seconds = self.position.seconds + time.monotonic() - self.began
        rows = jax.tree.map(lambda *parts: np.concatenate(parts), *self.blocks[: at.blocks])
        times, happened = np.array(self.times[: at.times]), tuple(self.happened[: at.happened])
        position = at.position._replace(seconds=seconds)
        return Frozen(position, times, rows, happened, at.standing)

    def thaw(self, former: Frozen) -> None:
        """Go on from `former`, a run of the same task; a spent budget may have been raised."""
        self.position, self.blocks = former.position, [former.rows]
        self.times, self.happened = former.times.tolist(), list(former.happened)
        was = former.standing
        spent = was.outcome in (Outcome.STEP_LIMIT, Outcome.TIME_LIMIT)
        self.outcome = None if spent else was.outcome
        self.blow_up_time, self.due, self.looked = was.blow_up_time, was.due, was.looked
        self.stretches, self.entered, self.why = was.stretches, was.entered, was.why
        self.stages = list(was.stages)
        if self.outcome is Outcome.REACHED_T:
            self.ended = self.task.t_end
        radius = self._unknown(self.position.params, self.position.method)
        self.position = self.position._replace(radius=radius)
        self.saved_at = self.position.s if self.times[-1] == self.t else -math.inf
        self.began = time.monotonic()
        self._mark = self._here()

    def advance(self) -> None:
        """One stretch of the compiled loop, and what the host makes of it."""
        self._advance()
        self._mark = self._here()

    def _advance(self) -> None:
        at, settings, left = self.position, self.task.settings, self._steps_left()
        if self.outcome is not None:
            return
        state, args = self._inside()
        with float64():
            carry = stretch(
                self.system,
                at.method,
                self.task.log_time,
                args,
                self._stops(min(left, self.pilot.chunk(at.method, settings.chunk))),
                Tolerance(np.float64(settings.rtol), np.float64(self.atol)),  # type: ignore[arg-type]
                Start(np.float64(at.s), state, np.float64(at.h), at.marks, np.float64(at.moved)),  # type: ignore[arg-type]
                at.radius,
            )
            carry = jax.tree.map(np.asarray, carry)
        self._take(carry, self.coordinates.back(carry.state, args))

    def _steps_left(self) -> int:
        """Of the budget; the run ends where that or its wall time is spent."""
        at, settings = self.position, self.task.settings
        left = settings.max_steps - at.accepted - at.rejected
        if left <= 0 or time.monotonic() - self.began > settings.time_limit:
            self.outcome = Outcome.STEP_LIMIT if left <= 0 else Outcome.TIME_LIMIT
        return left

    def _stops(self, steps: int) -> Stops:
        saves = np.full(SAVES, np.inf)
        if self.task.times is not None:
            coming = self.task.times[self.due : self.due + SAVES]
            saves[: len(coming)] = [self._to_s(t) for t in coming]
        at, rtol = self.position, self.task.settings.rtol
        end, strain = self._to_s(self.task.t_end), self.pilot.strain(at.method)
        numbers = (strain, self._longest(at.method), moves(at.method, rtol), TRUST, at.still)
        stale = at.stale if self.task.log_time else math.inf
        return Stops(np.float64(end), saves, np.int64(steps), *map(np.float64, (*numbers, stale)))  # type: ignore[arg-type]

    def _longest(self, method: Fixed) -> float:
        """The longest step, in t, that has the growth of what is dormant right."""
        growth = self.position.growth
        return reach(method, self.task.settings.rtol) / growth if growth > 0 else math.inf

    def _take(self, carry: Carry, moving: Moving) -> None:
        """Book what a stretch did."""
        at = self.position
        self.stretches += 1
        self.position = at._replace(
            s=float(carry.s),
            h=float(carry.h),
            params=moving.params,
            dissipated=float(moving.dissipated),
            marks=carry.rows.marks,
            accepted=at.accepted + int(carry.accepted),
            rejected=at.rejected + int(carry.rejected),
            landed=at.landed + int(carry.landed),
            evaluations=at.evaluations + int(carry.evaluations + 2 * carry.products),
            radius=carry.stepper.radius if at.method in STABILISED else None,
            moved=float(carry.moved),
        )
        self._keep(carry.rows)
        status = Status(int(carry.status))
        self._judge(status, int(carry.target), float(carry.change))
        if self.outcome is None:
            counts = [int(n) for n in (carry.accepted, carry.rejected, carry.evaluations)]
            steps, rejected, evaluations = counts
            advance = self.position.s - at.s
            room = self._longest("rock4") * (
                math.exp(-self.position.s) if self.task.log_time else 1.0
            )
            ahead = self.position.h, room
            self._choose(Leg(at.method, status, steps, rejected, evaluations, advance, *ahead))

    def _keep(self, rows: Rows) -> None:
        """The rows that a call of a compiled loop has saved."""
        count = int(rows.saved)
        self.due += int(rows.due)
        if count:
            self.times.extend(map(self._to_t, rows.moments[:count].tolist()))
            self.blocks.append(jax.tree.map(lambda a: a[:count], rows.buffer))
            self.saved_at = float(rows.moments[count - 1])

    def _choose(self, leg: Leg) -> None:
        """Go on with the method that pays."""
        choice = self.pilot.consider(leg, self._radius, self._left)
        if choice.method == leg.method:
            return
        self._end_stage()
        self.why = choice.why
        radius = self._unknown(self.position.params, choice.method)
        self.position = self.position._replace(method=choice.method, radius=radius)
        self._begin_stage()

    def _unknown(self, params: Params, method: Fixed) -> Radius | None:
        """What is carried into the first step of a method."""
        return unknown(self.coordinates.entries(params)) if method in STABILISED else None

    def _radius(self) -> float:
        """The spectral radius here, in s."""
        at = self.position
        if at.radius is not None:
            return float(at.radius.value) / MARGIN
        state, args = self._inside()
        new = unknown(self.coordinates.entries(at.params))
        with float64():
            found, products = look(
                self.system, self.task.log_time, args, np.float64(at.s), state, new
            )
        self.position = at._replace(evaluations=at.evaluations + 2 * int(products))
        return float(found.value) / MARGIN

    def _left(self) -> float:
        """The rest of the run in s, as far as it can be told."""
        at, flow = self.position, self.flow
        loss, force = flow.energy(at.params), flow.vector_field(at.params)
        power = sum(float(np.sum(a**2)) for a in jax.tree.leaves(force))
        left = time_left(self.t, self.task.t_end, loss, power, Until(tuple(self.stops)).loss)
        return math.log1p(self.t + left) - at.s if self.task.log_time else left

    def _begin_stage(self) -> None:
        self.entered = (self.t, self.position.evaluations)

    def _end_stage(self) -> None:
        start, before = self.entered
        if self.position.evaluations > before or not self.stages:
            method = self.position.method + self.coordinates.name
            method += " in log(1 + t)" if self.task.log_time else ""
            evaluations = self.position.evaluations - before
            self.stages.append(Stage(method, start, self.t, evaluations, 0.0, self.why))

    def _judge(self, status: Status, target: int, change: float = 0.0) -> None:
        match status:
            case Status.END:
                self.outcome = Outcome.REACHED_T
                self.ended = self.task.t_end
            case Status.EVENT if target < len(self.events):
                self._passed(target)
            case Status.EVENT:
                self._settle(runaway(self.flow, self.position.params, self.t, asked=True))
                level = self.position.runaway
                self.position = self.position._replace(runaway=level * _RUNAWAY)
            case Status.STEP_TOO_SMALL if self._rebased():
                pass
            case Status.STEP_TOO_SMALL | Status.NONFINITE:
                self._settle(runaway(self.flow, self.position.params, self.t, asked=False))
                failed = Outcome.STIFF if status is Status.STEP_TOO_SMALL else Outcome.NONFINITE
                self.outcome = self.outcome or failed
            case Status.QUIET:
                self._listen(change)
            case _:
                self._look_around()

    def _rebased(self) -> bool:
        """Time counts from here on: after 1e20 a step of order one was below its resolution."""
        at = self.position
        if self.task.log_time or at.s <= 0:
            return False
        saved = self.saved_at == at.s
        self.position = at._replace(origin=self.t, s=0.0)
        self.saved_at = 0.0 if saved else -math.inf
        return True

    def _listen(self, change: float) -> None:
        """What may be growing unseen, before a step that changes the parameters little."""
        at, limits = self.position, SHARP if change < CALM else BLUNT
        found = dormant(self.flow.functions, at.params, self.flow.data, limits)
        if self.faint and found.unseen:
            raise Faint
        self.position = at.looked(found, change)

    def _look_around(self) -> None:
        """Now and then: whether what is waited for can still happen within the budget."""
        steps = self.position.accepted
        if math.isfinite(self.task.t_end) or steps - self.looked < _PATIENCE:
            return
        self.looked = steps
        reach = self.position.h * (self.task.settings.max_steps - steps)
        levels = Until(tuple(self.stops)).loss
        params, before = self.position.params, float(self.blocks[0]["norm"][0])
        self._settle(standstill(self.flow, params, reach, levels, before))

    def _settle(self, verdict: Verdict) -> None:
        self.outcome, self.blow_up_time = verdict

    def _passed(self, index: int) -> None:
        """An event was landed on: note it if its direction is asked for, and turn its sign."""
        event, at = self.events[index], self.position
        noted, signs, crossed = event.turned(index, self.t, at.signs, at.crossed)
        if noted:
            self._note(event, self.t, rising=bool(at.signs[index] < 0))
        self.position = at._replace(signs=signs, crossed=crossed)

    def _note(self, event: Event, t: float, rising: bool | None = None) -> None:
        self.happened.append(
            Happened(event.name, t, event.direction > 0 if rising is None else rising)
        )
        if event in self.stops:
            self.outcome = Outcome.EVENT

    def report(self, progress: Progress | None) -> None:
        """Tell the progress callback, not too often while the run goes on."""
        now = time.monotonic()
        if progress and (self.outcome or now - self.spoke > _QUIET):
            self.spoke = now
            loss = self.flow.energy(self.position.params)
            progress(self.t, math.log10(loss) if loss > 0 else -math.inf, self.outcome)

    def result(self) -> Driven:
        """What came of it; the end is the last row."""
        if self.saved_at < self.position.s:
            self._save_one(self.t, self._seen()[0])
        self.times[-1] = self.t
        elapsed = time.monotonic() - self.began + self.position.seconds
        rows = jax.tree.map(lambda *parts: np.concatenate(parts), *self.blocks)
        self._end_stage()
        return Driven(
            self.position._replace(seconds=elapsed),
            self.outcome or Outcome.REACHED_T,
            self.times,
            rows,
            self.happened,
            self.blow_up_time,
            tuple(self.stages),
        )


def drive(
    task: Task,
    params: Params,
    t_start: float = 0.0,
    before: Before = NOTHING,
    *,
    progress: Progress | None = None,
    keeper: Keeper | None = None,
    part: str = RUN,
) -> Drive:
    """Run a task from `params` to its end.

    Args:
        task: what is asked for.
        params: parameters at `t_start`.
        t_start: where the run begins.
        before: what was before it.
        progress: called now and then.
        keeper: writes the run down as it goes, also when it is interrupted.
        part: what the keeper calls this run.

    Raises:
        Faint: `before` has lost what would grow at a saddle that the run has come to.
    """
    run = Drive(task, params, t_start, before)
    carry(run, progress, keeper, part)
    return run
