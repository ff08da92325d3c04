r"""The compiled adaptive loop: one stretch of smooth flow, with located events.

One loop for every problem (`System`): the Runge-Kutta steps and their dense output are diffrax's;
step control and events are ours, because

- the error norm is per group of parameters (a mean over all of them hides the smallest neuron);
- events are looked for inside each step, at `_SAMPLES` points of the dense output and where the
  cubics through them dip, so that a double crossing is not missed; what can only fall along the
  flow, such as the loss, is looked at once a step;
- an event is *landed on* by a Runge-Kutta step that ends there (Newton on the step's length, the
  last 1e-8 of it along the tangent), so that neither its time nor its state carries the error of
  the dense output.

The independent variable is $s = t$, or $s = \log(1 + t)$ with field $e^s F$ (`log_time`).
One compilation per system and shape; everything else is an array.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from flowtheory.flow.integrate import ORDER, Stepper
from flowtheory.flow.recorder import SAVES
from flowtheory.flow.settings import Method

_SAMPLES = 8
_ROOT = 2e-15
_FLOOR = 4 * _ROOT  # below the kink by more than any landed neuron is left there by roundoff
_BISECTIONS, _CHORDS = 6, 3
_LANDINGS = 60
_NUDGE = 1e-8  # of a step: its square is below roundoff
_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 10.0

NO_MARKS: Any = np.zeros(1)
State = Any
"""Parameters (arrays in any nesting of tuples and dictionaries), or what a flow carries beside."""


class System(NamedTuple):
    """A flow as JAX functions; hashable, and static in the compiled loop.

    Two systems made of the same function objects share their compiled loop. Make the functions
    once (module level), not inside a sweep.

    Attributes:
        rate: (state, args) -> derivative of the state in t.
        sizes: (state) -> one norm per group of entries that share a tolerance, shape (g,).
        levels: (state, args) -> levels, positive before their event, shape (k,); looked at inside
            each step. None if there are none.
        falling: as `levels`, for levels that never rise along the flow: looked at once a step.
        marks: (s, state, args) -> numbers; a row is saved whenever one of them has moved by 1.
        record: (state, args) -> the row to save; by default the state.
    """

    rate: Callable[[State, Any], State]
    sizes: Callable[[State], Float[Array, " g"]]
    levels: Callable[[State, Any], Float[Array, " k"]] | None = None
    falling: Callable[[State, Any], Float[Array, " m"]] | None = None
    marks: Callable[[Array, State, Any], Float[Array, " q"]] | None = None
    record: Callable[[State, Any], Any] | None = None


class Status(IntEnum):
    """Why a stretch came back to the host."""

    CHUNK = 0
    END = 1
    EVENT = 2
    SAVES_FULL = 3
    STEP_TOO_SMALL = 4
    NONFINITE = 5


class Stops(NamedTuple):
    """Where a stretch must stop, in s: its end, and the next save points (padded with inf)."""

    end: Float[Array, ""]
    saves: Float[Array, " saves"]
    max_steps: Int[Array, ""]


class Tolerance(NamedTuple):
    """Tolerances of a step; `atol` is one number, or one a group."""

    rtol: Float[Array, ""]
    atol: Float[Array, ...]


class Carry(NamedTuple):
    """State of the loop; a stretch returns its last value."""

    s: Float[Array, ""]
    state: State
    h: Float[Array, ""]
    stepper: Any
    status: Int[Array, ""]
    accepted: Int[Array, ""]
    rejected: Int[Array, ""]
    landed: Int[Array, ""]
    saved: Int[Array, ""]
    due: Int[Array, ""]
    buffer: Any
    moments: Float[Array, " saves"]
    marks: Float[Array, " q"]
    landing: Bool[Array, ""]
    target: Int[Array, ""]
    root: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]


class _Trial(NamedTuple):
    """One attempted step."""

    s: Float[Array, ""]
    state: State
    error: State
    dense: Any
    stepper: Any


class _Crossing(NamedTuple):
    """Whether a level is crossed inside a step, and between which fractions of it."""

    inside: Bool[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]


class _Loop:
    """The functions of one stretch, closed over its data while it is being traced."""

    def __init__(
        self,
        system: System,
        method: Method,
        log_time: bool,
        args: Any,
        stops: Stops,
        tolerance: Tolerance,
    ) -> None:
        self.order, self.log_time = ORDER[method], log_time
        self.system, self.args = system, args
        self.stops, self.tolerance = stops, tolerance
        self.stepper = Stepper(method, self.field)

    def field(self, s: Float[Array, ""], state: State) -> State:
        """Derivative of the state with respect to s."""
        rate = self.system.rate(state, self.args)
        return jax.tree.map(lambda a: jnp.exp(s) * a, rate) if self.log_time else rate

    def watch(self, state: State) -> Float[Array, " levels"]:
        """All watched levels, positive before their event: `levels`, then `falling`."""
        found = [f(state, self.args) for f in (self.system.levels, self.system.falling) if f]
        return jnp.concatenate(found) if found else jnp.ones(1)

    def attempt(self, carry: Carry) -> _Trial:
        limit = jnp.minimum(self.stops.saves[carry.due], self.stops.end)
        clipped = ~carry.landing & (carry.s + carry.h >= limit)
        ahead = carry.s + jnp.where(carry.landing, carry.root, carry.h)
        s = jnp.where(clipped, limit, ahead)
        return _Trial(s, *self.stepper.step(carry.s, s, carry.state, carry.stepper))

    def body(self, carry: Carry) -> Carry:
        trial = self.attempt(carry)
        return lax.cond(carry.landing, self.land, self.stride, carry, trial)

    def stride(self, carry: Carry, trial: _Trial) -> Carry:
        """Judge a free step by its error; look for events inside it when it is good."""
        norms = jnp.maximum(self.system.sizes(carry.state), self.system.sizes(trial.state))
        scale = self.tolerance.atol + self.tolerance.rtol * norms
        # A neuron at exactly zero never moves: 0 / 0 there must not reject every step.
        error = jnp.max(self.system.sizes(trial.error) / jnp.where(scale > 0, scale, 1.0))
        finite = jnp.isfinite(error) & jnp.all(jnp.isfinite(norms))
        good = finite & (error <= 1)
        factor = jnp.clip(_SAFETY * error ** (-1 / self.order), _SHRINK, _GROW)
        factor = jnp.where(finite, factor, _SHRINK)
        return lax.cond(good, self.search, self.reject, carry, trial, factor)

    def reject(self, carry: Carry, trial: _Trial, factor: Float[Array, ""]) -> Carry:
        h = (trial.s - carry.s) * jnp.minimum(factor, _SAFETY)
        # A few ulps of s: below that s + h rounds up to s + ulp for ever.
        lost = h <= 4 * jnp.finfo(jnp.float64).eps * jnp.abs(carry.s) + jnp.finfo(jnp.float64).tiny
        finite = jnp.all(jnp.isfinite(self.system.sizes(trial.state)))
        stuck = jnp.where(finite, int(Status.STEP_TOO_SMALL), int(Status.NONFINITE))
        return carry._replace(
            h=h, rejected=carry.rejected + 1, status=jnp.where(lost, stuck, carry.status)
        )

    def search(self, carry: Carry, trial: _Trial, factor: Float[Array, ""]) -> Carry:
        """Look for events inside a good step; land on the first that is found, or accept."""
        over = jnp.min(self.watch(trial.state)) < -_FLOOR
        low, high = jnp.zeros(()), jnp.ones(())
        if self.system.levels is not None:
            found = self.first_crossing(carry, trial)
            over, low = found.inside | over, jnp.where(found.inside, found.low, 1 - 1 / _SAMPLES)
            high = jnp.where(found.inside, found.high, 1.0)
        taken = self.accept(carry, trial)
        h = (trial.s - carry.s) * factor
        # A step cut short by a save point says nothing against the step proposed before.
        taken = taken._replace(h=jnp.where(trial.s < carry.s + carry.h, jnp.maximum(h, carry.h), h))
        return lax.cond(over, self.aim, lambda *_: taken, carry, trial, low, high)

    def dense(self, carry: Carry, trial: _Trial, theta: Float[Array, ""]) -> State:
        return self.stepper.dense(carry.s, trial.s, trial.dense, theta)

    def first_crossing(self, carry: Carry, trial: _Trial) -> _Crossing:
        """The first cell of the step in which a level of `levels` is negative somewhere.

        A level that is positive at both ends of a cell, falls at the first and rises at the second
        may dip below zero in between: the cubic through its values and slopes says where to look.
        """

        def at(theta: Array) -> Array:
            assert self.system.levels is not None
            return self.system.levels(self.dense(carry, trial, theta), self.args)

        grid = jnp.arange(_SAMPLES + 1) / _SAMPLES
        values, slopes = lax.map(lambda x: jax.jvp(at, (x,), (jnp.ones_like(x),)), grid)
        place, depth = _dips(values, slopes / _SAMPLES)
        dips = jnp.min(depth, axis=1) < -_FLOOR
        worst = jnp.argmin(depth, axis=1)
        deepest = grid[:-1] + jnp.take_along_axis(place, worst[:, None], axis=1)[:, 0] / _SAMPLES
        real = lax.cond(
            jnp.any(dips),
            lambda: dips & (lax.map(lambda x: jnp.min(at(x)), deepest) < -_FLOOR),
            lambda: dips & False,
        )
        crossed = real | (jnp.min(values[1:], axis=1) < -_FLOOR)
        cell = jnp.argmax(crossed)
        return _Crossing(
            jnp.any(crossed), grid[cell], jnp.where(real[cell], deepest[cell], grid[cell + 1])
        )

    def aim(
        self, carry: Carry, trial: _Trial, low: Float[Array, ""], high: Float[Array, ""]
    ) -> Carry:
        """Find the first crossing on the dense output, and start landing on it."""

        def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = bracket
            middle = (low + high) / 2
            over = jnp.min(self.watch(self.dense(carry, trial, middle))) < -_FLOOR
            return jnp.where(over, low, middle), jnp.where(over, middle, high)

        a, b = lax.fori_loop(0, _BISECTIONS, halve, (low, high))
        target = jnp.argmin(self.watch(self.dense(carry, trial, b)))

        def level(theta: Array) -> Array:
            return self.watch(self.dense(carry, trial, theta))[target]

        def chord(_: int, pair: tuple[Array, ...]) -> tuple[Array, ...]:
            x, fx, y, fy = pair
            z = jnp.where(fx == fy, y, y - fy * (y - x) / jnp.where(fx == fy, 1.0, fy - fx))
            z = jnp.clip(z, a, b)
            return y, fy, z, level(z)

        root = lax.fori_loop(0, _CHORDS, chord, (a, level(a), b, level(b)))[2]
        dt = trial.s - carry.s
        # One more cell above: the dense output may place a crossing before its sample by its error.
        return carry._replace(
            landing=jnp.array(True),
            target=target,
            root=root * dt,
            low=low * dt,
            high=jnp.minimum(2 * high - low, 1.0) * dt,
            landed=jnp.zeros_like(carry.landed),
        )

    def land(self, carry: Carry, trial: _Trial) -> Carry:
        """One safeguarded Newton iteration on the length of the step that ends at the event."""
        tangent = self.field(trial.s, trial.state)
        values, rates = jax.jvp(self.watch, (trial.state,), (tangent,))
        value, rate = values[carry.target], rates[carry.target]
        low = jnp.where(value < 0, carry.low, carry.root)
        high = jnp.where(value < 0, carry.root, carry.high)
        newton = carry.root - value / rate
        inside = (newton > low) & (newton < high)
        narrow = high - low <= 2 * jnp.finfo(jnp.float64).eps * (jnp.abs(trial.s) + high)
        near = (jnp.abs(newton - carry.root) <= _NUDGE * carry.root) & (newton <= carry.high)
        there = near | (jnp.abs(value) <= _ROOT) | narrow | (carry.landed >= _LANDINGS)
        nudge = jnp.where(near, newton - carry.root, 0.0)
        ahead = values + nudge * rates
        worst = jnp.argmin(ahead)
        other = (worst != carry.target) & (ahead[worst] < -_FLOOR) & (carry.landed < _LANDINGS)
        other = there & other
        closer = carry._replace(
            target=jnp.where(other, worst, carry.target),
            root=jnp.where(other | inside, jnp.where(other, carry.root, newton), (low + high) / 2),
            low=jnp.where(other, 0.0, low),
            high=jnp.where(other, carry.root, high),
            landed=carry.landed + 1,
        )
        nudged = trial._replace(
            s=trial.s + nudge,
            state=jax.tree.map(lambda p, d: p + nudge * d, trial.state, tangent),
        )
        arrived = self.accept(carry, nudged)._replace(
            status=jnp.array(int(Status.EVENT)), landed=carry.landed + 1
        )
        done = there & ~other
        return jax.tree.map(lambda a, b: jnp.where(done, a, b), arrived, closer)

    def accept(self, carry: Carry, trial: _Trial) -> Carry:
        due = trial.s >= self.stops.saves[carry.due]
        marks = self.marks(trial.s, trial.state)
        saving = due | jnp.any(jnp.abs(marks - carry.marks) >= 1)
        saved = carry.saved + saving
        full = jnp.where(saved >= SAVES, int(Status.SAVES_FULL), int(Status.CHUNK))
        return carry._replace(
            s=trial.s,
            state=trial.state,
            stepper=trial.stepper,
            accepted=carry.accepted + 1,
            saved=saved,
            due=carry.due + due,
            buffer=lax.cond(saving, self.write, lambda c, _: c.buffer, carry, trial.state),
            moments=carry.moments.at[carry.saved].set(trial.s),
            marks=jnp.where(saving, marks, carry.marks),
            status=jnp.where(trial.s >= self.stops.end, int(Status.END), full),
        )

    def marks(self, s: Float[Array, ""], state: State) -> Float[Array, " q"]:
        return self.system.marks(s, state, self.args) if self.system.marks else jnp.zeros(1)

    def row(self, state: State) -> Any:
        return self.system.record(state, self.args) if self.system.record else state

    def write(self, carry: Carry, state: State) -> Any:
        row = self.row(state)
        return jax.tree.map(lambda b, p: b.at[carry.saved].set(p), carry.buffer, row)

    def first(self, s: Float[Array, ""], state: State, h: Float[Array, ""], marks: Array) -> Carry:
        zero, none = jnp.zeros((), jnp.int64), jnp.zeros((), jnp.float64)
        shapes = jax.eval_shape(self.row, state)
        rows = jax.tree.map(lambda p: jnp.zeros((SAVES, *p.shape), p.dtype), shapes)
        return Carry(
            s=s,
            state=state,
            h=h,
            stepper=self.stepper.first(s, s + h, state),
            status=zero,
            accepted=zero,
            rejected=zero,
            landed=zero,
            saved=zero,
            due=zero,
            buffer=rows,
            moments=jnp.zeros(SAVES),
            marks=marks,
            landing=jnp.array(False),
            target=zero,
            root=none,
            low=none,
            high=none,
        )


def _dips(
    values: Float[Array, "c+1 k"], slopes: Float[Array, "c+1 k"]
) -> tuple[Float[Array, "c k"], Float[Array, "c k"]]:
    """Place in (0, 1) and depth of the minimum inside each cell of the cubic through its ends.

    1 where the cubic has none: there the ends say all.
    """
    f, g, df, dg = values[:-1], values[1:], slopes[:-1], slopes[1:]
    a, b = 2 * (f - g) + df + dg, 3 * (g - f) - 2 * df - dg
    # The root of 3 a x^2 + 2 b x + df at which the second derivative is positive.
    root = jnp.sqrt(jnp.maximum(b * b - 3 * a * df, 0.0))
    below = b + root
    x = jnp.where(below > 0, -df / jnp.where(below > 0, below, 1.0), 0.0)
    inside = (df < 0) & (dg > 0) & (x > 0) & (x < 1)
    depth = f + x * (df + x * (b + x * a))
    return x, jnp.where(inside, depth, 1.0)


@partial(jax.jit, static_argnames=("system", "method", "log_time"))
def stretch(
    system: System,
    method: Method,
    log_time: bool,
    args: Any,
    stops: Stops,
    tolerance: Tolerance,
    s: Float[Array, ""],
    state: State,
    h: Float[Array, ""],
    marks: Float[Array, " q"] = NO_MARKS,
) -> Carry:
    """Integrate until an event, the end, a full buffer or spent steps.

    Args:
        system: the flow (static).
        method: Runge-Kutta pair (static).
        log_time: whether s is log(1 + t) instead of t (static).
        args: arrays that the system takes besides the state.
        stops: end and save points in s, step budget of this call.
        tolerance: of a step, per group.
        s: independent variable at the start.
        state: state at the start.
        h: first step to try.
        marks: marks of the last row saved.

    Returns:
        The loop's last state. The first `saved` rows of `buffer` were saved at `moments`; `status`
        is a `Status`, `target` the index of the level of an event, `system.levels` first.
    """
    loop = _Loop(system, method, log_time, args, stops, tolerance)

    def go_on(carry: Carry) -> Bool[Array, ""]:
        spent = carry.accepted + carry.rejected >= stops.max_steps
        # A landing in progress is finished first: it is bounded, and its bracket is not kept.
        return (carry.status == int(Status.CHUNK)) & (carry.landing | ~spent)

    return lax.while_loop(go_on, loop.body, loop.first(s, state, h, marks))
