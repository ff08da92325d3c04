r"""The plane $(\gamma, \gamma')$: its regimes, named initializations, a place of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError
from flowtheory.plot.style import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    OCHRE,
    ORANGE,
    PAPER,
    PURPLE,
    SKY,
    VERMILION,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# As in the maps of slopes: red where S_w < 0, blue where S_w > 0.
_LAZY, _CONDENSED, _TINT = (VERMILION, ORANGE, OCHRE, PURPLE), (BLUE, SKY, GREEN), 0.3
_LETTER, _FLAT = 0.012, 0.6  # width of a letter, part of the panel; of a name's height and width
_PLACES = 25  # tried in each direction for a name

Point = tuple[float, float]
Points = Float[np.ndarray, "k 2"]


class Region(NamedTuple):
    """A regime within the picture, a convex polygon.

    Attributes:
        name: of the regime.
        corners: (gamma, gamma'), in order.
        condensed: whether $S_w > 0$ in its middle.
    """

    name: str
    corners: Points
    condensed: bool


class Family(NamedTuple):
    r"""Initializations with a free exponent $b$: a ray from the origin.

    Attributes:
        name: of the family.
        step: $(\gamma, \gamma')/b$.
    """

    name: str
    step: Point


@styled
def regimes_figure(
    regions: Sequence[Region],
    boundary: Points,
    points: Mapping[str, Point],
    families: Sequence[Family] = (),
    own: Point | None = None,
) -> Figure:
    r"""Regimes in colour with the boundary dashed, and initializations as points and rays.

    Args:
        regions: of a rectangle; together they are what is drawn.
        boundary: $(\gamma, \gamma')$ along the line where $S_w$ becomes positive.
        points: initializations in the limit; those outside the rectangle are left out.
        families: drawn as dash-dotted rays.
        own: a place marked with a star.

    Raises:
        DataError: no region, or a place of one's own outside the rectangle.
    """
    from flowtheory.plot._figure import panels

    corners = np.concatenate([region.corners for region in regions] or [np.empty((0, 2))])
    if not len(corners) or (own is not None and not _within(own, corners)):
        raise DataError(
            f"{len(regions)} regions, and the place {own}",
            expected="one region or more, with the place inside the rectangle of all",
            fix="flowtheory.phase.regions of a larger rectangle",
        )
    figure, ((axes,),) = panels(3.8)
    low, high = corners.min(axis=0), corners.max(axis=0)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel=r"$\gamma$")
    axes.set_ylabel(r"$\gamma'$")
    shown = {name: place for name, place in points.items() if _within(place, corners)}
    rays = {one.name: ray for one in families if (ray := _ray(one, low, high)) is not None}
    occupied = [*rays.values(), *(_label(n, p, low, high) for n, p in shown.items())]
    if own is not None:
        occupied.append(np.array([own]))
    _fill(axes, regions, np.concatenate([*occupied, boundary]), high - low)
    axes.plot(*boundary.T, color=INK, linestyle="--", linewidth=1.2, label="$S_w = 0$")
    _mark(axes, shown, rays)
    if own is not None:
        look: dict[str, Any] = {"color": INK, "markerfacecolor": VERMILION, "zorder": 5}
        axes.plot(*own, "*", markersize=11, label="yours", clip_on=False, **look)
    figure.legend(loc="outside upper right", ncols=2)
    return figure


def _fill(axes: Axes, regions: Sequence[Region], occupied: Points, size: np.ndarray) -> None:
    tints = {True: iter(_CONDENSED), False: iter(_LAZY)}
    for region in regions:
        tint = next(tints[region.condensed])
        axes.fill(*region.corners.T, color=tint, alpha=_TINT, linewidth=0, zorder=-1)
        axes.fill(*region.corners.T, facecolor="none", edgecolor=FAINT, linewidth=0.7)
        x, y = _free_place(region.corners, occupied, size)
        name = region.name.replace(", ", ",\n")
        axes.text(x, y, name, ha="center", va="center", fontsize=8, fontstyle="italic")


def _mark(axes: Axes, points: Mapping[str, Point], rays: Mapping[str, Points]) -> None:
    offset: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7}
    for name, ray in rays.items():
        axes.plot(*ray[[0, -1]].T, color=INK, linewidth=0.8, linestyle=(0, (6, 2, 1, 2)))
        axes.annotate(name, tuple(ray[-1]), (-20, -4), ha="right", va="top", **offset)
    for name, place in points.items():
        axes.plot(*place, "o", color=INK, markerfacecolor=PAPER, markersize=4)
        if _side(place) > 0:
            axes.annotate(name, place, (6, -9), **offset)
        else:
            axes.annotate(name, place, (-6, 4), ha="right", **offset)


def _ray(family: Family, low: np.ndarray, high: np.ndarray) -> Points | None:
    """Points from the origin to the edge of the rectangle; None if the origin is not in it."""
    step = np.array(family.step)
    if np.any(low > 0) or np.any(high < 0):
        return None
    limits = np.where(step > 0, high, low)[step != 0] / step[step != 0]
    return np.linspace(0, limits.min(), 60)[:, None] * step


def _side(place: Point) -> int:
    """1 for a label below a point and to its right, -1 for one above and to its left.

    Boundaries begin at (1, 0), to the right.
    """
    return 1 if place[0] < 1 else -1


def _label(name: str, place: Point, low: np.ndarray, high: np.ndarray) -> Points:
    """Points along the label of a point."""
    reach = np.linspace(0, _LETTER * len(name), 9)
    along = np.stack([reach, np.full(9, -0.03)], axis=1)
    return np.array(place) + _side(place) * along * (high - low)


def _free_place(corners: Points, occupied: Points, size: np.ndarray) -> Points:
    """The place within a convex polygon that is farthest from its edges and from `occupied`."""
    unit = size * [1.0, _FLAT]
    polygon, others = corners / unit, occupied / unit
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    axes = (np.linspace(a, b, _PLACES + 2)[1:-1] for a, b in zip(low, high, strict=True))
    tried = np.stack([part.ravel() for part in np.meshgrid(*axes)], axis=1)
    along = np.roll(polygon, -1, axis=0) - polygon
    along = along / np.linalg.norm(along, axis=1)[:, None]
    to = tried[:, None] - polygon
    sides = along[:, 0] * to[..., 1] - along[:, 1] * to[..., 0]
    centre = polygon.mean(axis=0) - polygon
    inner = np.sign(along[:, 0] * centre[:, 1] - along[:, 1] * centre[:, 0])
    free = np.min(sides * inner, axis=1)
    gap = np.linalg.norm(tried[:, None] - others, axis=2).min(axis=1)
    return tried[np.argmax(np.minimum(free, gap))] * unit


def _within(place: Point, corners: Points) -> bool:
    return bool(np.all(corners.min(axis=0) <= place) and np.all(place <= corners.max(axis=0)))
