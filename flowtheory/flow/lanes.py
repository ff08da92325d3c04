r"""The compiled loop of an ensemble: many gradient flows in a few slots, each with its own step.

All slots attempt a step together (one batched evaluation a stage), but each has its own time, step
length and state of affairs. A slot whose lane has ended takes the next lane of the queue, so that
the slots stay full; only at the very end of the queue some idle. Slots do not interact: the only
operations across them are "has any ended?" and "does any look for its event?".
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from flowtheory.flow.dop853 import ORDER, Lanes, PerLane, error_norm, step
from flowtheory.flow.flat import flat_elementwise
from flowtheory.flow.landing import Bracket, Edge, aim, hermite

_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 10.0
_FIRST = 4.0  # first step times fastest rate, over rtol^(1/8)
_LOST = 1e-20  # of the first step
_GROUPS = 4
_GREW, _DOUBLING = 1e6, 1e-9


class Code(IntEnum):
    """How a lane ended; `RUNNING` while it has not."""

    RUNNING = 0
    EVENT = 1
    END = 2
    STEP_LIMIT = 3
    STUCK = 4
    BLEW_UP = 5
    NONFINITE = 6
    STATIONARY = 7
    RESTS = 8


class Problem(NamedTuple):
    """What is compiled in: functions of one problem, and how its arrays are laid out.

    Attributes:
        rate: (params, args) to the derivative of params.
        level: (params, args) to a scalar, positive before the event; or None.
        sizes: params to the norms [groups] that errors are compared with.
        axes: 0 for each leaf of args with an axis of lanes, None for one that is shared.
        samples: interior points of a step at which the level is looked at too.
    """

    rate: Callable[[Any, Any], Any]
    level: Callable[[Any, Any], Any] | None
    sizes: Callable[[Any], Any]
    axes: tuple[int | None, ...]
    samples: int


class Queue(NamedTuple):
    """The lanes, in the order in which they are to be taken (NumPy or JAX arrays).

    Attributes:
        starts: parameters, a first axis of lanes in every array.
        args: as `Problem.axes` says.
        t: times of the starts [lanes].
        end: final times [lanes].
        atol: absolute tolerances [lanes].
        rtol: relative tolerance, a scalar.
        max_steps: budget of attempts of a lane, a scalar.
        moved: relative change of the state since it was looked at [lanes].
        quiet: a lane ends before a step that changes it by less than this [lanes], if
        trust: it has moved by more than this since, a scalar.
    """

    starts: Any
    args: Any
    t: Any
    end: Any
    atol: Any
    rtol: Any
    max_steps: Any
    moved: Any
    quiet: Any
    trust: Any


class Ends(NamedTuple):
    """What is known of lanes, running or ended.

    Attributes:
        y: flat state.
        t: time.
        code: a `Code`.
        accepted: steps taken.
        attempts: steps tried, those of the landing included.
        shift: sum over steps of |local error| / |rate|, an error in time.
        change: relative change of the state in the last step that was tried.
    """

    y: Lanes
    t: PerLane
    code: Int[Array, " lanes"]
    accepted: Int[Array, " lanes"]
    attempts: Int[Array, " lanes"]
    shift: PerLane
    change: PerLane


class _Slots(NamedTuple):
    """What the slots hold; a slot without a lane has the index behind the last lane.

    Attributes:
        lane: index in the queue.
        ends: state, time, counters.
        k: rate at the state.
        g: level at the state.
        h: length of the next attempt.
        landings: attempts made to land on the event, 0 in free flight.
        moved: as in `Queue`.
        bracket: lengths between which the event lies, when landing.
    """

    lane: Int[Array, " slots"]
    ends: Ends
    k: Lanes
    g: PerLane
    h: PerLane
    landings: Int[Array, " slots"]
    moved: PerLane
    bracket: Bracket


class _Begun(NamedTuple):
    """Flat start, rate, level, first step and code of every lane, before any is taken."""

    y: Lanes
    k: Lanes
    g: PerLane
    h: PerLane
    code: Int[Array, " lanes"]


class _Trial(NamedTuple):
    """An attempted step: length, rate and level at its end, errors, change, what they say."""

    h: PerLane
    y: Lanes
    k: Lanes
    g: PerLane
    error: PerLane
    shift: PerLane
    change: PerLane
    finite: Bool[Array, " slots"]


class _Loop:
    """The functions of one ensemble, closed over its queue while it is being traced."""

    def __init__(self, problem: Problem, queue: Queue, slots: int) -> None:
        self.problem, self.queue, self.width = problem, queue, slots
        self.lanes = queue.t.size
        self.restore = ravel_pytree(jax.tree.map(lambda a: a[0], queue.starts))[1]
        leaves, self.args_tree = jax.tree.flatten(queue.args)
        axes = problem.axes
        self.own = [a for a, axis in zip(leaves, axes, strict=True) if axis == 0]
        self.shared = [a for a, axis in zip(leaves, axes, strict=True) if axis is None]

    def arguments(self, own: list[Array]) -> Any:
        """The args of one lane from its own leaves and the shared ones."""
        mine, shared = iter(own), iter(self.shared)
        leaves = [next(mine) if axis == 0 else next(shared) for axis in self.problem.axes]
        return jax.tree.unflatten(self.args_tree, leaves)

    def rate(self, y: Array, own: list[Array]) -> Array:
        return ravel_pytree(self.problem.rate(self.restore(y), self.arguments(own)))[0]

    def level(self, y: Array, own: list[Array]) -> Float[Array, ""]:
        if self.problem.level is None:
            return jnp.ones((), y.dtype)
        return jnp.asarray(self.problem.level(self.restore(y), self.arguments(own)), y.dtype)

    def slope(self, y: Array, k: Array, own: list[Array]) -> Float[Array, ""]:
        """Derivative of the level along the flow."""
        return jax.jvp(lambda a: self.level(a, own), (y,), (k,))[1]

    def slopes(self, y: Lanes, k: Lanes, own: list[Array]) -> PerLane:
        return flat_elementwise(jax.vmap(self.slope))(y, k, own)

    def rates(self, y: Lanes, own: list[Array]) -> Lanes:
        return flat_elementwise(jax.vmap(self.rate))(y, own)

    def levels(self, y: Lanes, own: list[Array]) -> PerLane:
        return flat_elementwise(jax.vmap(self.level))(y, own)

    def sizes(self, y: Lanes) -> Float[Array, "lanes groups"]:
        return jax.vmap(lambda a: jnp.ravel(self.problem.sizes(self.restore(a))))(y)

    def begin(self) -> _Begun:
        """Rate and level of every lane, and a first step from the rate and its change."""
        q = self.queue
        y = jax.vmap(lambda a: ravel_pytree(a)[0])(q.starts)
        k, g = self.rates(y, self.own), self.levels(y, self.own)
        size, speed = self.sizes(y), self.sizes(k)
        growth = jnp.max(_ratio(speed, size), axis=1)
        probe = 1e-3 * _ratio(jnp.ones_like(growth), growth, 1.0)
        change = self.sizes(self.rates(y + probe[:, None] * k, self.own) - k)
        bend = jnp.max(_ratio(change / probe[:, None], speed), axis=1)
        fastest = jnp.maximum(growth, jnp.where(jnp.isfinite(bend), bend, 0.0))
        h = _FIRST * q.rtol ** (1 / ORDER) * _ratio(jnp.ones_like(fastest), fastest, 1.0)
        finite = jnp.all(jnp.isfinite(k), axis=1) & jnp.isfinite(g) & jnp.isfinite(h)
        code = jnp.where(jnp.any(k != 0, axis=1), int(Code.RUNNING), int(Code.STATIONARY))
        code = jnp.where(q.t >= q.end, int(Code.END), code)
        code = jnp.where(g <= 0, int(Code.EVENT), code)
        return _Begun(y, k, g, h, jnp.where(finite, code, int(Code.NONFINITE)))

    def attempt(self, slots: _Slots, own: list[Array]) -> _Trial:
        """One step of every slot, and its error over the tolerance."""
        q, lane, now = self.queue, self.existing(slots.lane), slots.ends
        h = jnp.where(slots.landings > 0, slots.h, jnp.minimum(slots.h, q.end[lane] - now.t))
        out = step(lambda y: self.rates(y, own), now.y, slots.k, h)
        k, g = self.rates(out.y, own), self.levels(out.y, own)
        norms = jnp.maximum(self.sizes(now.y), self.sizes(out.y))
        scale = q.atol[lane, None] + q.rtol * norms
        fifth, third = self.sizes(out.fifth), self.sizes(out.third)
        error = jnp.max(error_norm(_ratio(fifth, scale), _ratio(third, scale)), axis=1)
        length = error_norm(_norm(out.fifth), _norm(out.third))
        change = jnp.max(self.sizes(out.y - now.y), axis=1) / jnp.max(norms, axis=1)
        finite = jnp.isfinite(error) & jnp.all(jnp.isfinite(k) & jnp.isfinite(out.y), axis=1)
        finite = finite & jnp.isfinite(g)
        return _Trial(h, out.y, k, g, error, _ratio(length, _norm(slots.k)), change, finite)

    def existing(self, lane: Int[Array, " slots"]) -> Int[Array, " slots"]:
        """The lane, or some lane for a slot that has none."""
        return jnp.minimum(lane, self.lanes - 1)

    def body(self, slots: _Slots) -> _Slots:
        """Attempt a step in every slot, and see in each what follows."""
        own = [a[self.existing(slots.lane)] for a in self.own]
        trial = self.attempt(slots, own)
        landing = slots.landings > 0
        good = trial.finite & (landing | (trial.error <= 1))
        quiet = self.queue.quiet[self.existing(slots.lane)]
        calm = (trial.change < quiet) & (slots.moved > self.queue.trust)
        rests = good & ~landing & calm
        good = good & ~rests
        part = self.first_below(slots, trial, own)
        inside = good & ~landing & (part < 1)  # crossed before its end: end there, to be sure
        seeking = good & ~inside & (landing | (trial.g <= 0)) & (slots.lane < self.lanes)
        root, there, bracket = self.seek(slots, trial, own, seeking)
        taken = (good & ~inside & ~seeking) | there
        moved = self.move(slots, trial, taken, jnp.where(there, root - trial.h, 0.0))
        h = jnp.where(seeking, root, self.next_length(trial, good))
        h = jnp.where(inside, part * trial.h, h)
        code = self.judge(slots, moved, trial, h, taken, there, seeking)
        code = jnp.where(rests & (slots.lane < self.lanes), int(Code.RESTS), code)
        return moved._replace(
            moved=slots.moved + jnp.where(taken, trial.change, 0.0),
            ends=moved.ends._replace(code=code),
            h=h,
            landings=jnp.where(seeking, slots.landings + 1, 0),
            bracket=bracket,
        )

    def next_length(self, trial: _Trial, good: Bool[Array, " slots"]) -> PerLane:
        error = jnp.where(trial.finite, trial.error, jnp.inf)
        factor = jnp.clip(_SAFETY * error ** (-1 / ORDER), _SHRINK, _GROW)
        return trial.h * jnp.where(good, factor, jnp.minimum(factor, _SAFETY))

    def first_below(self, slots: _Slots, trial: _Trial, own: list[Array]) -> PerLane:
        """The first sampled part of the step at which the level is not positive (1: none)."""
        part, count = jnp.ones_like(trial.h), self.problem.samples
        for i in range(count, 0, -1):
            theta = i / (count + 1)
            y = hermite(theta, trial.h, slots.ends.y, slots.k, trial.y, trial.k)
            part = jnp.where(self.levels(y, own) <= 0, theta, part)
        return part

    def seek(
        self, slots: _Slots, trial: _Trial, own: list[Array], seeking: Bool[Array, " slots"]
    ) -> tuple[PerLane, Bool[Array, " slots"], Bracket]:
        """Next length of the step that lands on the event, and whether it needs no further one.

        A few slots at a time: seldom more than a few seek at once, and slopes are dear.
        """
        if self.problem.level is None:
            return trial.h, seeking, slots.bracket
        group = -(-self.width // _GROUPS)

        def some(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            pending, found = carry
            at = jnp.argsort(~pending, stable=True)[:group]
            now, end, mine = jax.tree.map(lambda a: a[at], (slots, trial, own))
            both = jax.tree.map(lambda *a: jnp.concatenate(a), (now.ends.y, now.k, mine),
                                (end.y, end.k, mine))  # fmt: skip
            slope = self.slopes(*both)
            near, far = Edge(now.g, slope[:group]), Edge(end.g, slope[group:])
            new = aim(now.ends.t, end.h, near, far, now.bracket, now.landings, self.queue.rtol)
            found = jax.tree.map(lambda a, b: a.at[at].set(b), found, new)
            return pending.at[at].set(False), found

        nothing = (trial.h, jnp.zeros_like(seeking), slots.bracket)
        (root, there, bracket) = lax.while_loop(
            lambda carry: jnp.any(carry[0]), some, (seeking, nothing)
        )[1]
        return root, there & seeking, bracket

    def move(
        self, slots: _Slots, trial: _Trial, taken: Bool[Array, " slots"], nudge: PerLane
    ) -> _Slots:
        """The slots after the steps that are `taken`, each `nudge` further along the tangent."""
        now, end = slots.ends, self.queue.end[self.existing(slots.lane)]
        t = jnp.where((slots.landings == 0) & (slots.h >= end - now.t), end, now.t + trial.h)
        y = trial.y + nudge[:, None] * trial.k
        ends = Ends(
            y=jnp.where(taken[:, None], y, now.y),
            t=jnp.where(taken, t + nudge, now.t),
            code=now.code,
            accepted=now.accepted + taken,
            attempts=now.attempts + 1,
            shift=now.shift + jnp.where(taken, trial.shift, 0.0),
            change=trial.change,
        )
        k = jnp.where(taken[:, None], trial.k, slots.k)
        return slots._replace(ends=ends, k=k, g=jnp.where(taken, trial.g, slots.g))

    def judge(
        self,
        before: _Slots,
        after: _Slots,
        trial: _Trial,
        h: PerLane,
        taken: Bool[Array, " slots"],
        there: Bool[Array, " slots"],
        seeking: Bool[Array, " slots"],
    ) -> Int[Array, " slots"]:
        """Whether and how each lane has ended."""
        q, lane, t = self.queue, self.existing(before.lane), after.ends.t
        resolution = 4 * jnp.finfo(t.dtype).eps * jnp.abs(t) + _LOST * self.begun.h[lane]
        size, start = _norm(after.ends.y), _norm(self.begun.y[lane])
        explodes = (size >= _GREW * start) & (size <= _DOUBLING * jnp.abs(t) * _norm(after.k))
        stuck = jnp.where(trial.finite, int(Code.STUCK), int(Code.NONFINITE))
        stuck = jnp.where(explodes, int(Code.BLEW_UP), stuck)
        lost = ~taken & ~seeking & (h <= resolution)
        spent = after.ends.attempts >= q.max_steps
        code = jnp.where(spent, int(Code.STEP_LIMIT), int(Code.RUNNING))
        code = jnp.where(lost, stuck, code)
        code = jnp.where(taken & (t >= q.end[lane]), int(Code.END), code)
        code = jnp.where(there, int(Code.EVENT), code)
        return jnp.where(before.lane < self.lanes, code, int(Code.RUNNING))

    def run(self) -> Ends:
        """Take every lane through a slot."""
        self.begun = begun = self.begin()
        none, zero = jnp.zeros(self.lanes, jnp.int64), jnp.zeros_like(begun.h)
        ends = Ends(begun.y, self.queue.t, begun.code, none, none, zero, zero)
        order = jnp.argsort(begun.code != Code.RUNNING, stable=True)
        waiting = jnp.sum(begun.code == Code.RUNNING)

        def load(place: Int[Array, " slots"]) -> _Slots:
            lane = order[self.existing(place)]
            off = jnp.zeros_like(begun.h[lane])
            return _Slots(
                jnp.where(place < waiting, lane, self.lanes),
                jax.tree.map(lambda a: a[lane], ends)._replace(code=jnp.zeros_like(lane)),
                begun.k[lane],
                begun.g[lane],
                begun.h[lane],
                jnp.zeros_like(lane),
                self.queue.moved[lane],
                Bracket(off, off),
            )

        def ended(slots: _Slots) -> Bool[Array, " slots"]:
            return slots.ends.code != Code.RUNNING

        def turn(carry: tuple[_Slots, Ends, Array]) -> tuple[_Slots, Ends, Array]:
            slots, results, taken = carry
            slots = lax.while_loop(lambda s: ~jnp.any(ended(s)), self.body, slots)
            over = ended(slots)
            row = jnp.where(over, slots.lane, self.lanes)  # out of bounds: dropped
            results = jax.tree.map(
                lambda all_, mine: all_.at[row].set(mine, mode="drop"), results, slots.ends
            )
            fresh = load(taken + jnp.cumsum(over) - 1)
            slots = jax.tree.map(lambda a, b: _where(over, a, b), fresh, slots)
            return slots, results, taken + jnp.sum(over)

        first = (load(jnp.arange(self.width)), ends, jnp.asarray(self.width))
        return lax.while_loop(lambda c: jnp.any(c[0].lane < self.lanes), turn, first)[1]


def run(problem: Problem, queue: Queue, slots: int) -> Ends:
    """Take every lane of the queue through one of `slots` slots; to be compiled by the caller."""
    return _Loop(problem, queue, slots).run()


def _ratio(a: Array, b: Array, other: float = 0.0) -> Array:
    """a / b, and `other` where b is 0: a group that is exactly zero never moves."""
    return jnp.where(b == 0, other, a / jnp.where(b == 0, 1.0, b))


def _norm(y: Lanes) -> PerLane:
    """Scaled before it is squared: a start of size 1e-300 has no square."""
    largest = jnp.max(jnp.abs(y), axis=-1, keepdims=True)
    return largest[..., 0] * jnp.sqrt(jnp.sum(_ratio(y, largest) ** 2, axis=-1))


def _where(mask: Bool[Array, " slots"], a: Array, b: Array) -> Array:
    return jnp.where(mask.reshape(mask.shape + (1,) * (a.ndim - 1)), a, b)
