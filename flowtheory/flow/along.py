r"""Events on a path that is known without steps (`trail`), with the care of the compiled loop.

Values and slopes of all events are taken at the places of the path's grid; where a value is
positive at both ends of a cell, falls at the first and rises at the second, the cubic says where
to look in between (`crossing.dips`). A cell with a passage is divided until the passage is known
to root accuracy.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from flowtheory.flow.crossing import dips, floors
from flowtheory.flow.smooth import Functions, SmoothFlow, snapshot
from flowtheory.flow.trail import Point
from flowtheory.flow.until import Event
from flowtheory.precision import float64

_CELLS = 32  # looked at together
_DIVISIONS = 4  # by 32 each: 1e-6 of a cell, then a secant
_APART = 1e-6


class Path(Protocol):
    """A path that is known at any place.

    Attributes:
        grid: places from 0 to the end, so dense that the path is smooth between two of them, but
            for kinks.
    """

    @property
    def grid(self) -> Float[np.ndarray, " g"]: ...  # noqa: D102 - above

    def point(self, s: float) -> Point:
        """The point at s, as NumPy arrays."""
        ...

    def points(self, places: Float[np.ndarray, " p"]) -> Point:
        """Points at rising places, stacked, as NumPy arrays."""
        ...


class Met(NamedTuple):
    """An event on the path.

    Attributes:
        event: which.
        place: s.
        time: t.
        slope: of its value in t, there.
        rising: whether its value rose through zero.
    """

    event: Event
    place: float
    time: float
    slope: float
    rising: bool


class Passages(NamedTuple):
    """What was met on the path.

    Attributes:
        met: in order of time; the one that ends the run last.
        signs: of the events after it.
    """

    met: tuple[Met, ...]
    signs: Float[np.ndarray, " e"]


class _Cells(NamedTuple):
    """Values and slopes in s of some events at some places, and the cells between two of them.

    Attributes:
        values: positive before the event.
        slopes: of the values.
        dip: where in a cell a value dips.
        depth: to what.
        floor: how far below zero a value of a cell has passed it.
    """

    values: Float[np.ndarray, "c+1 e"]
    slopes: Float[np.ndarray, "c+1 e"]
    dip: Float[np.ndarray, "c e"]
    depth: Float[np.ndarray, "c e"]
    floor: Float[np.ndarray, "c e"]


class _Bracket(NamedTuple):
    """Two places with the first passage between them, and the floors of the events there."""

    low: float
    high: float
    floor: Float[np.ndarray, " e"]


def passages(
    trail: Path,
    flow: SmoothFlow,
    events: tuple[Event, ...],
    signs: Float[np.ndarray, " e"],
    stops: frozenset[Event],
    wanted: Bool[np.ndarray, " e"],
) -> Passages:
    """Events on a path, up to the first that ends the run.

    Args:
        trail: the path.
        flow: network, loss and data that the events look at.
        events: with levels in numbers.
        signs: of each at the start, see `Watched`.
        stops: those that end the run.
        wanted: which to look for: not one that only falls and is not past at the end.
    """
    signs, of = signs.copy(), np.flatnonzero(wanted)
    search = _Search(trail, flow, tuple(events[i] for i in of))
    met: list[Met] = []
    place = float(trail.grid[0])
    while True:
        bracket = search.first_cell(place, signs[of])
        if bracket is None:
            return Passages(tuple(met), signs)
        place, which, slope = search.root(bracket, signs[of])
        index = int(of[which])
        event, sign = events[index], signs[index]
        asked, signs[index] = event.passed(sign)
        if asked:
            point = trail.point(place)
            numbers = float(point.time), sign * slope / float(point.pace)
            met.append(Met(event, place, *numbers, bool(sign < 0)))
            if event in stops:
                return Passages(tuple(met), signs)


class _Search:
    """Some events on a path."""

    def __init__(self, trail: Path, flow: SmoothFlow, events: tuple[Event, ...]) -> None:
        self.trail, self.flow = trail, flow
        self.keys = tuple(e.value for e in events)
        self.levels = np.array([e.level for e in events])

    def look(self, places: Float[np.ndarray, " p"], signs: Float[np.ndarray, " e"]) -> _Cells:
        """At up to `_CELLS` + 1 places, with the signs that make the values positive before."""
        count = len(places)
        padded = np.append(places, np.full(_CELLS + 1 - count, places[-1]))
        points = self.trail.points(padded)
        args = points.params, points.tangent, self.flow.data, self.levels, signs, padded
        with float64():
            found = _looked(self.flow.functions, self.keys, *args)
            at, cells = jax.tree.map(np.asarray, found)
        return _Cells(*(a[:count] for a in at), *(a[: count - 1] for a in cells))

    def first_cell(self, start: float, signs: Float[np.ndarray, " e"]) -> _Bracket | None:
        """The first passage after `start`; None if there is none."""
        grid = self.trail.grid
        # A place as close to a root as roundoff tells nothing of the sign after it.
        apart = _APART * float(np.min(np.diff(grid)))
        places = np.append(start, grid[grid > start + apart])
        for first in range(0, len(places) - 1, _CELLS):
            part = places[first : first + _CELLS + 1]
            cells = self.look(part, signs)
            crossed = np.any(cells.values[1:] < -cells.floor, axis=1)
            highs = part[1:].copy()
            for i in np.flatnonzero(np.any(cells.depth < -cells.floor, axis=1)):
                deepest = cells.dip[i, np.argmin(cells.depth[i] + cells.floor[i])]
                place = part[i] + deepest * (part[i + 1] - part[i])
                if np.any(self.look(np.array([place]), signs).values < -cells.floor[i]):
                    crossed[i], highs[i] = True, place
            if crossed.any():
                i = int(np.argmax(crossed))
                return _Bracket(float(part[i]), float(highs[i]), cells.floor[i])
        return None

    def root(self, bracket: _Bracket, signs: Float[np.ndarray, " e"]) -> tuple[float, int, float]:
        """Place and index of the first passage, and the slope in s of its value."""
        low, high, floor = bracket
        for _ in range(_DIVISIONS):
            places = np.linspace(low, high, _CELLS + 1)
            below = np.any(self.look(places, signs).values[1:] < -floor, axis=1)
            i = int(np.argmax(below)) if below.any() else _CELLS - 1
            low, high = float(places[i]), float(places[i + 1])
        ends = self.look(np.array([low, high]), signs)
        before, after = ends.values
        # All that are past at the upper end have passed; the first of them is the event.
        drop = np.where(before > after, before - after, 1.0)
        shares = np.where(after < -floor, np.clip(before / drop, 0.0, 1.0), np.inf)
        which = int(np.argmin(shares)) if np.any(after < -floor) else int(np.argmin(after + floor))
        share = min(float(shares[which]), 1.0)
        slope, secant = ends.slopes[0, which], (after[which] - before[which]) / (high - low)
        return low + share * (high - low), which, float(slope if np.isfinite(slope) else secant)


@partial(jax.jit, static_argnames=("functions", "keys"))
def _looked(
    functions: Functions,
    keys: tuple[Any, ...],
    params: Any,
    tangents: Any,
    data: Any,
    levels: Float[Array, " e"],
    signs: Float[Array, " e"],
    places: Float[Array, " p"],
) -> tuple[tuple[Array, Array], tuple[Array, Array, Array]]:
    def values(params: Any) -> Array:
        here = snapshot(functions, params, data)
        found = jnp.stack([value(here, levels[i]) for i, value in enumerate(keys)])
        return jnp.where(signs == 0, 1.0, signs * found)

    def one(at: tuple[Any, Any]) -> tuple[Array, Array]:
        return jax.jvp(values, at[:1], at[1:])

    found, slopes = lax.map(one, (params, tangents))
    widths = jnp.diff(places)[:, None]
    dip, depth = dips(found, slopes, widths)
    floor = floors(found, slopes, widths)
    return (found, slopes), (dip, depth, floor)
