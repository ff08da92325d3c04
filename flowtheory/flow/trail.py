r"""A path that is known without steps: $\theta$ and $t$ as functions of one variable $s$.

Two kinds: a linear flow in closed form, $\theta(t) = |\theta(0)|\,Qe^{tT}e_1$ with $s = t$
(`propagators`), and a homogeneous flow in Sundman time, $s = \sigma$ (`coordinates`). Of the second
the steps of one integration are kept; a point between two of them is one more Runge-Kutta step from
the last, so that it has the error of the steps and none of an interpolation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from flowtheory.flow.blowup import METHOD, RTOL, finer, force
from flowtheory.flow.coordinates import COLLAPSE, Polar, Scalar, Sundman, SundmanFlow, Units, inner
from flowtheory.flow.integrate import Pair
from flowtheory.flow.loop import stretch
from flowtheory.flow.propagator import Propagator
from flowtheory.flow.rows import Rows
from flowtheory.flow.system import Start, Status, Stops, System, Tolerance
from flowtheory.precision import float64

CELLS = 4
"""Places an e-fold (of the fastest mode, or of the norm) at which a path is looked at."""

_PER_STEP = 8
_FIRST_STEP = 1e-2
_CHUNK = 1000
_NEWTON = 60
_PADDED = 64
_EVERY_STEP = 1e30  # of s: any step moves a mark by more than 1


class Point(NamedTuple):
    """A point of a path.

    Attributes:
        time: t.
        params: theta.
        pace: dt/ds, positive.
        tangent: dtheta/ds.
    """

    time: Float[Array, ""]
    params: Any
    pace: Float[Array, ""]
    tangent: Any


class Trail(NamedTuple):
    """A path from a start on.

    Attributes:
        at: (s, args) -> point, a JAX function; equal for paths of one kind, static in JAX.
        args: arrays that it takes.
        grid: places from 0 to the end, so dense that the path is smooth between two of them.
        places: some values of s from 0 to the end, rising.
        times: t there.
    """

    at: Callable[[Float[Array, ""], Any], Point]
    args: Any
    grid: Float[np.ndarray, " g"]
    places: Float[np.ndarray, " k"]
    times: Float[np.ndarray, " k"]

    def place(self, t: float) -> float:
        """The s at which the time is t, by Newton's iteration between two known places."""
        cell = int(np.clip(np.searchsorted(self.times, t) - 1, 0, len(self.places) - 2))
        low, high = map(float, self.places[cell : cell + 2])
        begin, end = map(float, self.times[cell : cell + 2])
        s = low + (high - low) * min(max((t - begin) / (end - begin), 0.0), 1.0)
        for _ in range(_NEWTON):
            here = self.point(s)
            off = t - float(here.time)
            low, high = (s, high) if off > 0 else (low, s)
            newton = s + off / float(here.pace)
            if abs(newton - s) <= 4e-16 * abs(s) or not low < newton < high:
                break
            s = newton
        return s

    def point(self, s: float) -> Point:
        """The point at s, as NumPy arrays."""
        with float64():
            found = _point(self.at, self.args, np.float64(s))
            return jax.tree.map(np.asarray, found)

    def points(self, places: Float[np.ndarray, " p"]) -> Point:
        """Points at some s, stacked, as NumPy arrays."""
        with float64():
            found = _points(self.at, self.args, places)
            return jax.tree.map(np.asarray, found)

    def state(self, t: float) -> Any:
        """theta at time t."""
        return self.point(self.place(t)).params


@partial(jax.jit, static_argnames=("at",))
def _point(at: Callable[..., Point], args: Any, s: Array) -> Point:
    return at(s, args)


@partial(jax.jit, static_argnames=("at",))
def _points(at: Callable[..., Point], args: Any, places: Array) -> Point:
    return jax.lax.map(lambda s: at(s, args), places)


class _Modes(NamedTuple):
    """A propagator with its basis in the shapes of the parameters."""

    basis: Any
    rates: Any
    modes: Any
    log_size: Scalar


def closed_trail(found: Propagator, back: Callable[[Any], Any], end: float) -> Trail:
    """The path of a linear flow.

    Args:
        found: its closed form.
        back: from a vector to the parameters.
        end: last time.
    """
    lane = found.lane
    rows = [back(row) for row in lane.basis[0]]
    basis = jax.tree.map(lambda *parts: np.stack(parts), *rows)
    fastest = float(np.max(np.abs(found.rates)))
    grid = np.linspace(0.0, end, max(2, math.ceil(CELLS * fastest * end) + 1))
    args = _Modes(basis, lane.rates[0], lane.modes[0], np.float64(found.log_size))
    ends = grid[[0, -1]]
    return Trail(_closed, args, grid, ends, ends)


def _closed(s: Float[Array, ""], args: _Modes) -> Point:
    exponents = args.rates * s
    shift = jnp.max(exponents)
    shares = jnp.exp(exponents - shift) * args.modes[0]
    size = jnp.exp(args.log_size + shift)

    def sum_of(weights: Array) -> Any:
        weights = args.modes @ weights
        return jax.tree.map(lambda b: size * jnp.tensordot(weights, b, 1), args.basis)

    return Point(s, sum_of(shares), jnp.ones_like(s), sum_of(args.rates * shares))


class _Knots(NamedTuple):
    """The steps of a flow in Sundman time.

    Attributes:
        s: where they end.
        states: the states there.
        units: what the field takes.
        log_norm: of the start.
        unit: of the time.
    """

    s: Any
    states: Sundman
    units: Units
    log_norm: Scalar
    unit: Scalar


def sundman_trail(flow: SundmanFlow, start: Polar, gain: float, args: Any = None) -> Trail | None:
    r"""The path of a homogeneous flow until $\ln|\theta|$ has grown by `gain`.

    None if it does not grow so far, or the time leaves the range of float64.

    Args:
        flow: the field.
        start: direction and log-norm.
        gain: to grow by.
        args: what the field takes besides.
    """
    speed = force(flow, start.direction, args)[0]
    if not (math.isfinite(speed) and speed > 0):
        return None
    units = Units(args, np.float64(speed), np.float64(gain), np.float64(0.0))
    found = _steps(flow, start, units)
    if found is None:
        return None
    s, states = found
    with np.errstate(over="ignore"):
        unit = float(np.exp(-(flow.degree - 2) * start.log_norm)) / speed
    times = unit * np.asarray(states.time)
    if not np.isfinite(times[-1]):
        return None
    grid = _refined(s, np.asarray(states.gain))
    # A compiled path serves all counts of steps up to the next multiple.
    more = -len(s) % _PADDED
    padded = np.append(s, np.full(more, np.inf))
    states = jax.tree.map(lambda a: np.concatenate([a, np.repeat(a[-1:], more, axis=0)]), states)
    knots = _Knots(padded, states, units, np.float64(start.log_norm), np.float64(unit))
    return Trail(_sundman(flow), knots, grid, s, times)


def _refined(s: Float[np.ndarray, " k"], gain: Float[np.ndarray, " k"]) -> Float[np.ndarray, " g"]:
    """Places in every step, `CELLS` an e-fold and eight at least."""
    counts = np.maximum(_PER_STEP, np.ceil(CELLS * np.abs(np.diff(gain)))).astype(int)
    parts = [
        np.linspace(a, b, n, endpoint=False) for a, b, n in zip(s[:-1], s[1:], counts, strict=True)
    ]
    return np.append(np.concatenate(parts), s[-1])


def _steps(
    flow: SundmanFlow, start: Polar, units: Units
) -> tuple[Float[np.ndarray, " k"], Sundman] | None:
    """All steps of one integration, the last of them landed on the gain."""
    system, zero = _system(flow), np.float64(0.0)
    state = Sundman(start.direction, zero, zero)
    never = np.full(1, np.inf)
    tolerance = Tolerance(np.float64(finer(RTOL)), zero)  # type: ignore[arg-type]
    at = Start(zero, state, np.float64(_FIRST_STEP), np.zeros(1))  # type: ignore[arg-type]
    moments: list[np.ndarray] = [np.zeros(1)]
    parts = [jax.tree.map(lambda a: np.asarray(a)[None], state)]
    status = Status.CHUNK
    while status in (Status.CHUNK, Status.SAVES_FULL):
        if float(at.s) > _CHUNK:
            return None
        stops = Stops(np.float64(np.inf), never, np.int64(_CHUNK))  # type: ignore[arg-type]
        with float64():
            carry = stretch(system, METHOD, False, units, stops, tolerance, at)
            carry = jax.tree.map(np.asarray, carry)
        rows: Rows = carry.rows
        count, status = int(rows.saved), Status(int(carry.status))
        moments.append(np.asarray(rows.moments)[:count])
        parts.append(jax.tree.map(lambda a, n=count: a[:n], rows.buffer))
        at = Start(carry.s, carry.state, carry.h, rows.marks)
    if status is not Status.EVENT or float(at.state.gain) < 0:
        return None
    return np.concatenate(moments), jax.tree.map(lambda *a: np.concatenate(a), *parts)


@lru_cache(maxsize=64)
def _system(flow: SundmanFlow) -> System:
    """A homogeneous flow in Sundman time, for the compiled loop; it ends at a gain."""

    def sizes(state: Sundman) -> Array:
        largest = [jnp.max(jnp.abs(a)) for a in jax.tree.leaves(state.xi)]
        return jnp.stack([jnp.max(jnp.stack(largest)), jnp.abs(state.gain), jnp.abs(state.time)])

    def norm(_: Any, new: Sundman, error: Sundman, tolerance: Tolerance, __: Any) -> Array:
        # The gain is a logarithm: its absolute error is the relative one of the norm.
        units = jnp.stack([1.0, 1.0, jnp.maximum(new.time, jnp.finfo(jnp.float64).tiny)])
        return jnp.max(sizes(error) / units) / tolerance.rtol

    def left(state: Sundman, units: Units) -> Array:
        shrunk = state.gain + COLLAPSE
        return jnp.stack([units.level - state.gain, shrunk])

    return System(flow, sizes, falling=left, marks=lambda s, *_: _EVERY_STEP * s[None], norm=norm)


@lru_cache(maxsize=64)
def _sundman(flow: SundmanFlow) -> Callable[[Float[Array, ""], _Knots], Point]:
    def at(s: Float[Array, ""], args: _Knots) -> Point:
        i = jnp.clip(jnp.searchsorted(args.s, s, side="right") - 1, 0, args.s.shape[0] - 1)
        knot, state = args.s[i], jax.tree.map(lambda a: a[i], args.states)
        pair = Pair(METHOD, lambda _, y: flow(y, args.units))
        carried = pair.first(knot, s, state, None)
        new: Sundman = pair.step(knot, s, state, carried, s - knot)[0]
        rate = flow(new, args.units)
        length = jnp.sqrt(inner(new.xi, new.xi))
        size = jnp.exp(args.log_norm + new.gain) / length
        params = jax.tree.map(lambda a: size * a, new.xi)
        tangent = jax.tree.map(lambda a, d: size * (d + rate.gain * a), new.xi, rate.xi)
        return Point(
            jnp.asarray(args.unit * new.time), params, jnp.asarray(args.unit * rate.time), tangent
        )

    return at
