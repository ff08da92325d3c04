r"""The compiled adaptive loop: frozen pattern, one stretch of smooth flow, located events.

The only importer of diffrax (inside a function, so that importing this module is cheap): its
Runge-Kutta steps and their dense output are used; step control and events are ours, because

- the error norm is per neuron (a mean over all parameters hides the smallest neuron);
- events are looked for inside each step, at `_SAMPLES` points of the dense output, so that a
  double crossing is not missed;
- an event is *landed on* by a Runge-Kutta step that ends there (Newton on the step's length, the
  last 1e-8 of it along the tangent), so that neither its time nor its state carries the error of
  the dense output.

The independent variable is $s = t$, or $s = \log(1 + t)$ with field $e^s F$ (`log_time`).
One compilation per shape and model; everything else is an array.
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

from flowtheory.errors import DataError, ParameterError
from flowtheory.flow.field import (
    Model,
    Samples,
    TwoLayer,
    energy,
    frozen,
    margins,
    neuron_norms,
    vector_field,
)
from flowtheory.flow.recorder import SAVES
from flowtheory.flow.settings import Method, Settings
from flowtheory.outcome import Outcome
from flowtheory.precision import as_float64, float64

_SAMPLES = 8
_ORDER = {"dopri8": 8, "tsit5": 5}
STAGES = {"dopri8": 13, "tsit5": 6}
"""Field evaluations a step."""

_ROOT = 2e-15
_FLOOR = 4 * _ROOT  # below the kink by more than any landed neuron is left there by roundoff
_BISECTIONS, _CHORDS = 6, 3
_LANDINGS = 60
_NUDGE = 1e-8  # of a step: its square is below roundoff
_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 10.0


class Status(IntEnum):
    """Why a stretch came back to the host."""

    CHUNK = 0
    END = 1
    EVENT = 2
    SAVES_FULL = 3
    STEP_TOO_SMALL = 4
    NONFINITE = 5


class Levels(NamedTuple):
    """Levels watched beside the kinks; a level that is not `armed` is ignored.

    Attributes:
        escape: largest |f| of the early phase.
        loss: loss to stop at.
        armed: (escape, loss).
    """

    escape: Float[Array, ""]
    loss: Float[Array, ""]
    armed: Bool[Array, " 2"]


class Stops(NamedTuple):
    """Where a stretch must stop, in s: its end, and the next save points (padded with inf)."""

    end: Float[Array, ""]
    saves: Float[Array, " saves"]
    max_steps: Int[Array, ""]


class Tolerance(NamedTuple):
    """Per-neuron tolerances of a step."""

    rtol: Float[Array, ""]
    atol: Float[Array, ""]


class Carry(NamedTuple):
    """State of the loop; a stretch returns its last value."""

    s: Float[Array, ""]
    params: TwoLayer
    h: Float[Array, ""]
    stepper: Any
    status: Int[Array, ""]
    accepted: Int[Array, ""]
    rejected: Int[Array, ""]
    landed: Int[Array, ""]
    saved: Int[Array, ""]
    buffer: TwoLayer
    landing: Bool[Array, ""]
    target: Int[Array, ""]
    root: Float[Array, ""]
    low: Float[Array, ""]
    high: Float[Array, ""]


class _Trial(NamedTuple):
    """One attempted step."""

    s: Float[Array, ""]
    params: TwoLayer
    error: TwoLayer
    dense: Any
    stepper: Any


def _solver(method: Method) -> Any:
    import diffrax

    kinds = {"dopri8": diffrax.Dopri8, "tsit5": diffrax.Tsit5}
    return kinds[method](scan_kind="lax")


class Tableau(NamedTuple):
    """An explicit Runge-Kutta pair, without the stage that a pair repeats in its next step.

    Attributes:
        a: stages from those before them, strictly lower triangular.
        b: the step.
        error: the step minus that of the lower order.
    """

    a: Float[np.ndarray, "s s"]
    b: Float[np.ndarray, " s"]
    error: Float[np.ndarray, " s"]


def tableau(method: Method) -> Tableau:
    """The coefficients of a pair, for a loop over states too small for diffrax's own stages."""
    made = _solver(method).tableau
    size = STAGES[method]
    a = np.zeros((size, size))
    for row, values in enumerate(made.a_lower[: size - 1], start=1):
        a[row, :row] = values
    assert not np.any(made.b_sol[size:]), method
    return Tableau(a, np.asarray(made.b_sol[:size]), np.asarray(made.b_error[:size]))


class _Loop:
    """The functions of one stretch, closed over its data while it is being traced."""

    def __init__(
        self,
        model: Model,
        method: Method,
        log_time: bool,
        data: Samples,
        pattern: Float[Array, "h n"],
        levels: Levels,
        stops: Stops,
        tolerance: Tolerance,
    ) -> None:
        import diffrax

        self.solver = _solver(method)
        self.order, self.log_time = _ORDER[method], log_time
        self.model, self.data, self.pattern = model, data, pattern
        self.levels, self.stops, self.tolerance = levels, stops, tolerance
        self.term = diffrax.ODETerm(lambda s, y, args: self.field(jnp.asarray(s), y))

    def field(self, s: Float[Array, ""], params: TwoLayer) -> TwoLayer:
        """Derivative of the parameters with respect to s."""
        outputs = frozen(self.model, self.data, self.pattern)
        F = vector_field(self.model, self.data, outputs, params)
        return jax.tree.map(lambda a: jnp.exp(s) * a, F) if self.log_time else F

    def watch(self, params: TwoLayer) -> Float[Array, " levels"]:
        """All watched levels, positive before their event: every margin, escape, loss."""
        outputs = frozen(self.model, self.data, self.pattern)
        escape = 1 - jnp.max(jnp.abs(outputs(params))) / self.levels.escape
        loss = jnp.log(energy(self.model, self.data, outputs, params) / self.levels.loss)
        rest = jnp.where(self.levels.armed, jnp.stack([escape, loss]), 1.0)
        return jnp.concatenate([margins(params, self.data.x, self.pattern).ravel(), rest])

    def attempt(self, carry: Carry) -> _Trial:
        limit = jnp.minimum(self.stops.saves[carry.saved], self.stops.end)
        clipped = ~carry.landing & (carry.s + carry.h >= limit)
        ahead = carry.s + jnp.where(carry.landing, carry.root, carry.h)
        s = jnp.where(clipped, limit, ahead)
        params, error, dense, stepper, _ = self.solver.step(
            self.term, carry.s, s, carry.params, None, carry.stepper, made_jump=False
        )
        return _Trial(s, params, error, dense, stepper)

    def body(self, carry: Carry) -> Carry:
        trial = self.attempt(carry)
        return lax.cond(carry.landing, self.land, self.stride, carry, trial)

    def stride(self, carry: Carry, trial: _Trial) -> Carry:
        """Judge a free step by its error; look for events inside it when it is good."""
        norms = jnp.maximum(neuron_norms(carry.params), neuron_norms(trial.params))
        scale = self.tolerance.atol + self.tolerance.rtol * norms
        # A neuron at exactly zero never moves: 0 / 0 there must not reject every step.
        error = jnp.max(neuron_norms(trial.error) / jnp.where(scale > 0, scale, 1.0))
        finite = jnp.isfinite(error) & jnp.all(jnp.isfinite(norms))
        good = finite & (error <= 1)
        factor = jnp.clip(_SAFETY * error ** (-1 / self.order), _SHRINK, _GROW)
        factor = jnp.where(finite, factor, _SHRINK)
        return lax.cond(good, self.search, self.reject, carry, trial, factor)

    def reject(self, carry: Carry, trial: _Trial, factor: Float[Array, ""]) -> Carry:
        h = (trial.s - carry.s) * jnp.minimum(factor, _SAFETY)
        # A few ulps of s: below that s + h rounds up to s + ulp for ever.
        lost = h <= 4 * jnp.finfo(jnp.float64).eps * jnp.abs(carry.s) + jnp.finfo(jnp.float64).tiny
        finite = jnp.all(jnp.isfinite(neuron_norms(trial.params)))
        stuck = jnp.where(finite, int(Status.STEP_TOO_SMALL), int(Status.NONFINITE))
        return carry._replace(
            h=h, rejected=carry.rejected + 1, status=jnp.where(lost, stuck, carry.status)
        )

    def search(self, carry: Carry, trial: _Trial, factor: Float[Array, ""]) -> Carry:
        """Sample the levels inside a good step; land on the first that is crossed, or accept."""
        theta = jnp.arange(1, _SAMPLES + 1) / _SAMPLES
        inside = lax.map(lambda x: jnp.min(self.watch(self.dense(carry, trial, x))), theta[:-1])
        at_end = jnp.min(self.watch(trial.params))
        crossed = jnp.append(inside, at_end) < -_FLOOR
        first = jnp.argmax(crossed)
        taken = self.accept(carry, trial)
        h = (trial.s - carry.s) * factor
        # A step cut short by a save point says nothing against the step proposed before.
        taken = taken._replace(h=jnp.where(trial.s < carry.s + carry.h, jnp.maximum(h, carry.h), h))
        return lax.cond(jnp.any(crossed), self.aim, lambda *_: taken, carry, trial, first)

    def dense(self, carry: Carry, trial: _Trial, theta: Float[Array, ""]) -> TwoLayer:
        at = self.solver.interpolation_cls(t0=carry.s, t1=trial.s, **trial.dense)
        return at.evaluate(carry.s + theta * (trial.s - carry.s))

    def aim(self, carry: Carry, trial: _Trial, first: Int[Array, ""]) -> Carry:
        """Find the first crossing on the dense output, and start landing on it."""

        def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = bracket
            middle = (low + high) / 2
            over = jnp.min(self.watch(self.dense(carry, trial, middle))) < -_FLOOR
            return jnp.where(over, low, middle), jnp.where(over, middle, high)

        low, high = first / _SAMPLES, (first + 1) / _SAMPLES
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
            high=jnp.minimum(high + 1 / _SAMPLES, 1.0) * dt,
            landed=jnp.zeros_like(carry.landed),
        )

    def land(self, carry: Carry, trial: _Trial) -> Carry:
        """One safeguarded Newton iteration on the length of the step that ends at the event."""
        tangent = self.field(trial.s, trial.params)
        values, rates = jax.jvp(self.watch, (trial.params,), (tangent,))
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
            params=jax.tree.map(lambda p, d: p + nudge * d, trial.params, tangent),
        )
        arrived = self.accept(carry, nudged)._replace(
            status=jnp.array(int(Status.EVENT)), landed=carry.landed + 1
        )
        done = there & ~other
        return jax.tree.map(lambda a, b: jnp.where(done, a, b), arrived, closer)

    def accept(self, carry: Carry, trial: _Trial) -> Carry:
        saving = trial.s >= self.stops.saves[carry.saved]
        row = jnp.where(saving, carry.saved, SAVES)  # out of bounds: dropped
        buffer = jax.tree.map(
            lambda b, p: b.at[row].set(p, mode="drop"), carry.buffer, trial.params
        )
        saved = carry.saved + saving
        full = jnp.where(saved >= SAVES, int(Status.SAVES_FULL), int(Status.CHUNK))
        return carry._replace(
            s=trial.s,
            params=trial.params,
            stepper=trial.stepper,
            accepted=carry.accepted + 1,
            saved=saved,
            buffer=buffer,
            status=jnp.where(trial.s >= self.stops.end, int(Status.END), full),
        )

    def first(self, s: Float[Array, ""], params: TwoLayer, h: Float[Array, ""]) -> Carry:
        zero, none = jnp.zeros((), jnp.int64), jnp.zeros((), jnp.float64)
        rows = jax.tree.map(lambda p: jnp.zeros((SAVES, *p.shape), p.dtype), params)
        stepper = self.solver.init(self.term, s, s + h, params, None)
        off = jnp.array(False)
        counts = (zero, zero, zero, zero)
        return Carry(s, params, h, stepper, zero, *counts, rows, off, zero, none, none, none)


@partial(jax.jit, static_argnames=("model", "method", "log_time"))
def stretch(
    model: Model,
    method: Method,
    log_time: bool,
    data: Samples,
    pattern: Float[Array, "h n"],
    levels: Levels,
    stops: Stops,
    tolerance: Tolerance,
    s: Float[Array, ""],
    params: TwoLayer,
    h: Float[Array, ""],
) -> Carry:
    """Integrate with `pattern` frozen until an event, the end, a full buffer or spent steps.

    Args:
        model: network and loss (static).
        method: Runge-Kutta pair (static).
        log_time: whether s is log(1 + t) instead of t (static).
        data: samples.
        pattern: activation pattern, 0 or 1.
        levels: levels watched beside the kinks.
        stops: end and save points in s, step budget of this call.
        tolerance: per-neuron tolerances.
        s: independent variable at the start.
        params: parameters at the start.
        h: first step to try.

    Returns:
        The loop's last state; `status` is a `Status`, `target` the index of the level of an event:
        `j * n + i` for neuron j at the kink of datum i, then h n for escape, h n + 1 for loss.
    """
    loop = _Loop(model, method, log_time, data, pattern, levels, stops, tolerance)

    def go_on(carry: Carry) -> Bool[Array, ""]:
        spent = carry.accepted + carry.rejected >= stops.max_steps
        # A landing in progress is finished first: it is bounded, and its bracket is not kept.
        return (carry.status == int(Status.CHUNK)) & (carry.landing | ~spent)

    return lax.while_loop(go_on, loop.body, loop.first(s, params, h))


class SmoothEnd(NamedTuple):
    """Where a smooth flow is at the end.

    Attributes:
        state: the state at the final time (or at the last step reached), NumPy arrays.
        outcome: `REACHED_T`, `EVENT` (the flow was stopped), `STEP_LIMIT` (as in a blow-up),
            `STIFF` or `NONFINITE`.
        time: the time of `state`.
        steps: attempted steps.
    """

    state: Any
    outcome: Outcome
    time: float
    steps: int


def solve_smooth(
    field: Callable[[Any, Any], Any],
    start: Any,
    end: float,
    args: Any = None,
    *,
    rtol: float = 1e-12,
    max_steps: int = 4096,
    method: Method = "tsit5",
    stop: Callable[[Any, Any], Any] | None = None,
) -> SmoothEnd:
    r"""Integrate $\dot y = F(y)$ from $t = 0$ to a fixed time, for a smooth $F$.

    A step is accepted when the error of every entry is at
    most `rtol` times (its own modulus + the largest modulus at the start): scale the state to
    order 1, or keep parts of different size apart.

    Args:
        field: $F$ as a JAX function of (state, args); one compilation serves one function object
            and one set of shapes.
        start: the state at $t = 0$, arrays in any nesting of tuples and dictionaries.
        end: the final time, positive.
        args: arrays that `field` takes besides.
        rtol: relative tolerance of a step.
        max_steps: budget of steps.
        method: the Runge-Kutta pair; order 8 pays below about 1e-7.
        stop: a condition as a JAX function of (state, args); the flow ends after the first step at
            whose end it holds.

    Raises:
        ParameterError: `end` is not a positive number, or `rtol` not in [1e-14, 1e-2].
        DataError: the start is not finite, or zero.
    """
    if not (np.isfinite(end) and end > 0):
        raise ParameterError(f"end is {end!r}", expected="a time > 0", fix="integrate forwards")
    Settings(rtol=rtol, method=method)
    start = jax.tree.map(lambda a: as_float64(a, "start"), start)
    size = max(float(np.max(np.abs(a), initial=0.0)) for a in jax.tree.leaves(start))
    if size == 0:
        raise DataError(
            "the start is zero", expected="a start off the fixed point", fix="scale it to order 1"
        )
    with float64():
        numbers = (np.float64(end), args, np.float64(rtol), np.float64(size))
        result = _smooth(field, stop, method, start, *numbers, max_steps)
        state, time, steps, code = jax.tree.map(np.asarray, result)
    finite = all(np.isfinite(a).all() for a in jax.tree.leaves(state))
    outcome = _SMOOTH_OUTCOMES[int(code)] if finite else Outcome.NONFINITE
    return SmoothEnd(state, outcome, float(time), int(steps))


_SMOOTH_OUTCOMES = (Outcome.REACHED_T, Outcome.EVENT, Outcome.STEP_LIMIT, Outcome.STIFF)


@partial(jax.jit, static_argnames=("field", "stop", "method", "max_steps"))
def _smooth(
    field: Callable[[Any, Any], Any],
    stop: Callable[[Any, Any], Any] | None,
    method: Method,
    start: Any,
    end: Float[Array, ""],
    args: Any,
    rtol: Float[Array, ""],
    size: Float[Array, ""],
    max_steps: int,
) -> tuple[Any, Float[Array, ""], Int[Array, ""], Int[Array, ""]]:
    """State, time, attempted steps and place in `_SMOOTH_OUTCOMES`."""
    import diffrax

    def largest(scaled: Any) -> Array:
        return jnp.max(jnp.stack([jnp.max(jnp.abs(a)) for a in jax.tree.leaves(scaled)]))

    def stopped(t: Any, y: Any, args: Any, **_: Any) -> Any:
        return stop(y, args) if stop is not None else False

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, args: field(y, args)),
        _solver(method),
        t0=0.0,
        t1=end,
        dt0=None,
        y0=start,
        args=args,
        saveat=diffrax.SaveAt(t1=True),
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=rtol * size, norm=largest),
        adjoint=diffrax.ForwardMode(),
        event=None if stop is None else diffrax.Event(stopped),
        max_steps=max_steps,
        throw=False,
    )
    state, time = jax.tree.map(lambda a: a[-1], (solution.ys, solution.ts))
    names = diffrax.RESULTS
    known = (names.successful, names.event_occurred, names.max_steps_reached)
    is_known = jnp.stack([solution.result == name for name in known])
    code = jnp.where(jnp.any(is_known), jnp.argmax(is_known), len(known))
    return state, time, solution.stats["num_steps"], code
