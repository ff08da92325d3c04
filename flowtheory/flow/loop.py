r"""The compiled adaptive loop: one stretch of smooth flow, with located events.

One loop for every problem (`System`) and every method (`stepper`). Step control and events are
ours, because

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

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from flowtheory.flow.crossing import FLOOR, ROOT, dips, floors
from flowtheory.flow.radius import Radius
from flowtheory.flow.recorder import SAVES
from flowtheory.flow.rows import Rows, after, none_yet
from flowtheory.flow.settings import Fixed
from flowtheory.flow.stepper import spectrum, stepper
from flowtheory.flow.system import Start, State, Status, Stops, System, Tolerance, field_of

_SAMPLES = 8
_BISECTIONS, _CHORDS = 6, 3
_LANDINGS = 60
_NUDGE = 1e-8  # of a step: its square is below roundoff
_FADES = 1 - 1 / 16  # of `Carry.strain`, an attempt


class Carry(NamedTuple):
    """State of the loop; a stretch returns its last value.

    Beside the obvious: `stepper` what the method carries; `last` the error of the last good step;
    `local` the sum of the estimated local errors, a number a group; `most` the most evaluations in
    one step; `strain` the number of rejected ones among the last steps, fading with their age;
    `moved` as in `Start`; `change` the relative one of the last step that was tried.
    """

    s: Float[Array, ""]
    state: State
    h: Float[Array, ""]
    stepper: Any
    status: Int[Array, ""]
    last: Float[Array, ""]
    local: Float[Array, " g"]
    strain: Float[Array, ""]
    moved: Float[Array, ""]
    change: Float[Array, ""]
    accepted: Int[Array, ""]
    rejected: Int[Array, ""]
    landed: Int[Array, ""]
    evaluations: Int[Array, ""]
    products: Int[Array, ""]
    most: Int[Array, ""]
    rows: Rows
    landing: Bool[Array, ""]
    target: Int[Array, ""]
    root: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]
    floor: Float[Array, " levels"]


class _Trial(NamedTuple):
    """One attempted step."""

    s: Float[Array, ""]
    state: State
    error: State
    dense: Any
    stepper: Any
    evaluations: Int[Array, ""]


class _Crossing(NamedTuple):
    """Whether a level is crossed inside a step, between which fractions of it, and the floors."""

    inside: Bool[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]
    floor: Float[Array, " levels"]


class _Loop:
    """The functions of one stretch, closed over its data while it is being traced."""

    def __init__(
        self,
        system: System,
        method: Fixed,
        log_time: bool,
        args: Any,
        stops: Stops,
        tolerance: Tolerance,
    ) -> None:
        self.system, self.args = system, args
        self.stops, self.tolerance = stops, tolerance
        self.log_time = log_time
        self.field = field_of(system, log_time, args)
        self.stepper = stepper(method, self.field, system.core)
        self.watching = bool(system.levels or system.falling)

    def watch(self, state: State) -> Float[Array, " levels"]:
        return self.system.watch(state, self.args)

    def attempt(self, carry: Carry) -> _Trial:
        limit = jnp.minimum(self.stops.saves[carry.rows.due], self.stops.end)
        longest = self.stops.longest * (jnp.exp(-carry.s) if self.log_time else 1.0)
        longest = jnp.minimum(longest, self.stepper.longest(carry.stepper))
        free = jnp.minimum(carry.h, longest)
        clipped = ~carry.landing & (carry.s + free >= limit)
        ahead = carry.s + jnp.where(carry.landing, carry.root, free)
        s = jnp.where(clipped, limit, ahead)
        # All steps of one landing have the same stages: their end is then smooth in their length.
        span = jnp.where(carry.landing, free, s - carry.s)
        made = self.stepper.step(carry.s, s, carry.state, carry.stepper, span)
        return _Trial(s, *made)

    def body(self, carry: Carry) -> Carry:
        carried, products = self.stepper.ready(carry.s, carry.state, carry.stepper)
        carry = carry._replace(stepper=carried, products=carry.products + products)
        trial = self.attempt(carry)
        carry = carry._replace(
            evaluations=carry.evaluations + trial.evaluations,
            most=jnp.maximum(carry.most, trial.evaluations),
        )
        if not self.watching:
            return self.stride(carry, trial)
        return lax.cond(carry.landing, self.land, self.stride, carry, trial)

    def stride(self, carry: Carry, trial: _Trial) -> Carry:
        """Judge a free step by its error; look for events inside it when it is good."""
        pair = carry.state, trial.state
        error = self.system.error(*pair, trial.error, self.tolerance, self.args)
        norms = [self.system.sizes(state) for state in pair]
        finite = jnp.isfinite(error) & jnp.all(jnp.isfinite(jnp.maximum(*norms)))
        error = jnp.where(finite, error, jnp.inf)
        good = error <= 1
        moves = self.system.sizes(jax.tree.map(jnp.subtract, trial.state, carry.state))
        change = jnp.max(moves) / jnp.max(norms[1])
        old = (carry.moved > self.stops.trust) | (carry.s > self.stops.stale)
        rests = (change < self.stops.quiet) & old
        quiet = good & (rests | (change < self.stops.still))
        moved = carry.moved + jnp.where(good & ~quiet, change, 0.0)
        carry = carry._replace(moved=moved, change=change)
        ways = (self.reject, self.search, self.wait)
        return lax.switch(good.astype(int) + quiet, ways, carry, trial, error)

    def wait(self, carry: Carry, trial: _Trial, error: Float[Array, ""]) -> Carry:
        """Go back to the host, which is to say how long such a step may be."""
        return carry._replace(status=jnp.array(int(Status.QUIET)))

    def reject(self, carry: Carry, trial: _Trial, error: Float[Array, ""]) -> Carry:
        h = (trial.s - carry.s) * self.stepper.control.again(error)
        # A few ulps of s: below that s + h rounds up to s + ulp for ever.
        lost = h <= 4 * jnp.finfo(jnp.float64).eps * jnp.abs(carry.s) + jnp.finfo(jnp.float64).tiny
        finite = jnp.all(jnp.isfinite(self.system.sizes(trial.state)))
        stuck = jnp.where(finite, int(Status.STEP_TOO_SMALL), int(Status.NONFINITE))
        strain = _FADES * carry.strain + 1
        strained = jnp.where(strain > 16 * self.stops.strain, int(Status.STRAINED), carry.status)
        return carry._replace(
            h=h,
            stepper=self.stepper.rejected(carry.stepper),
            rejected=carry.rejected + 1,
            strain=strain,
            status=jnp.where(lost, stuck, strained),
        )

    def search(self, carry: Carry, trial: _Trial, error: Float[Array, ""]) -> Carry:
        """Look for events inside a good step; land on the first that is found, or accept."""
        taken = self.take(carry, trial, error)
        if not self.watching:
            return taken
        over, low, high = jnp.array(False), jnp.zeros(()), jnp.ones(())
        floor = jnp.full_like(carry.floor, FLOOR)
        if self.system.levels is not None:
            over, low, high, inside = self.first_crossing(carry, trial)
            floor = floor.at[: len(inside)].set(inside)
        if self.system.falling is not None:
            fell = jnp.min(self.system.falling(trial.state, self.args)) < -FLOOR
            # What is looked at only at the end may have been crossed anywhere in the step.
            low, over = jnp.where(fell, 0.0, low), over | fell
        found = _Crossing(over, low, high, floor)
        return lax.cond(over, self.aim, lambda *_: taken, carry, trial, found)

    def take(self, carry: Carry, trial: _Trial, error: Float[Array, ""]) -> Carry:
        """Accept a step and propose the next."""
        control = self.stepper.control
        h = (trial.s - carry.s) * control.after(error, carry.last)
        # A step cut short by a save point says nothing against the step proposed before.
        short = trial.s < carry.s + carry.h
        return self.accept(carry, trial)._replace(
            h=jnp.where(short, jnp.maximum(h, carry.h), h),
            last=jnp.where(short, carry.last, control.remembered(error)),
            strain=_FADES * carry.strain,
        )

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
        place, depth = dips(values, slopes, 1 / _SAMPLES)
        floor = jnp.full((_SAMPLES, values.shape[1]), FLOOR)
        if tiny := self.system.tiny:
            last = values[:, -tiny:], slopes[:, -tiny:]
            floor = floor.at[:, -tiny:].set(floors(*last, 1 / _SAMPLES))
        below = jnp.any(depth < -floor, axis=1)
        worst = jnp.argmin(depth / floor, axis=1)
        deepest = grid[:-1] + jnp.take_along_axis(place, worst[:, None], axis=1)[:, 0] / _SAMPLES
        real = lax.cond(
            jnp.any(below),
            lambda: below & jnp.any(lax.map(at, deepest) < -floor, axis=1),
            lambda: below & False,
        )
        crossed = real | jnp.any(values[1:] < -floor, axis=1)
        cell, inside = jnp.argmax(crossed), jnp.any(crossed)
        high = jnp.where(real[cell], deepest[cell], grid[cell + 1])
        return _Crossing(inside, grid[cell], jnp.where(inside, high, 1.0), floor[cell])

    def aim(self, carry: Carry, trial: _Trial, found: _Crossing) -> Carry:
        """Find the first crossing on the dense output, and start landing on it."""
        low, high, floor = found[1:]

        def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = bracket
            middle = (low + high) / 2
            over = jnp.any(self.watch(self.dense(carry, trial, middle)) < -floor)
            return jnp.where(over, low, middle), jnp.where(over, middle, high)

        a, b = lax.fori_loop(0, _BISECTIONS, halve, (low, high))
        target = jnp.argmin(self.watch(self.dense(carry, trial, b)) / floor)

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
            floor=floor,
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
        zero = ROOT / FLOOR * carry.floor[carry.target]
        there = near | (jnp.abs(value) <= zero) | narrow | (carry.landed >= _LANDINGS)
        nudge = jnp.where(near, newton - carry.root, 0.0)
        ahead = values + nudge * rates
        worst = jnp.argmin(ahead / carry.floor)
        past = ahead[worst] < -carry.floor[worst]
        other = (worst != carry.target) & past & (carry.landed < _LANDINGS)
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
        saves = self.stops.saves
        rows = after(self.system, self.args, saves, carry.rows, trial.s, trial.state)
        full = jnp.where(rows.saved >= SAVES, int(Status.SAVES_FULL), int(Status.CHUNK))
        return carry._replace(
            s=trial.s,
            state=trial.state,
            stepper=trial.stepper,
            local=carry.local + self.system.sizes(trial.error),
            accepted=carry.accepted + 1,
            rows=rows,
            status=jnp.where(trial.s >= self.stops.end, int(Status.END), full),
        )

    def first(self, start: Start, radius: Radius | None) -> Carry:
        s, state, h, marks, moved = start
        zero, none = jnp.zeros((), jnp.int64), jnp.zeros((), jnp.float64)
        return Carry(
            s=s,
            state=state,
            h=h,
            stepper=self.stepper.first(s, s + h, state, radius),
            status=zero,
            last=none + 1,
            local=jnp.zeros_like(self.system.sizes(state)),
            strain=none,
            moved=moved,
            change=none,
            accepted=zero,
            rejected=zero,
            landed=zero,
            evaluations=zero + self.stepper.opening,
            products=zero,
            most=zero,
            rows=none_yet(self.system, self.args, state, marks),
            landing=jnp.array(False),
            target=zero,
            root=none,
            low=none,
            high=none,
            floor=jnp.full(self.watch(state).shape if self.watching else (0,), FLOOR),
        )


@partial(jax.jit, static_argnames=("system", "method", "log_time"))
def stretch(
    system: System,
    method: Fixed,
    log_time: bool,
    args: Any,
    stops: Stops,
    tolerance: Tolerance,
    start: Start,
    radius: Radius | None = None,
) -> Carry:
    """Integrate until an event, the end, a full buffer or spent steps.

    Args:
        system: the flow (static).
        method: Runge-Kutta method (static).
        log_time: whether s is log(1 + t) instead of t (static).
        args: arrays that the system takes besides the state.
        stops: end and save points in s, step budget of this call.
        tolerance: of a step, per group.
        start: where it begins.
        radius: spectral radius so far; a stabilised method takes it and carries it on.

    Returns:
        The loop's last state. `rows` are what was saved; `status` is a `Status`, `target` the index
        of the level of an event, `system.levels` first.
    """
    loop = _Loop(system, method, log_time, args, stops, tolerance)

    def go_on(carry: Carry) -> Bool[Array, ""]:
        spent = carry.accepted + carry.rejected >= stops.max_steps
        # A landing in progress is finished first: it is bounded, and its bracket is not kept.
        return (carry.status == int(Status.CHUNK)) & (carry.landing | ~spent)

    return lax.while_loop(go_on, loop.body, loop.first(start, radius))


@partial(jax.jit, static_argnames=("system", "log_time"))
def look(
    system: System,
    log_time: bool,
    args: Any,
    s: Float[Array, ""],
    state: State,
    radius: Radius,
) -> tuple[Radius, Int[Array, ""]]:
    """The spectral radius at a state, in s, and the Jacobian-vector products it took."""
    field = field_of(system, log_time, args)
    return spectrum(field, system.core, s, state, radius)
