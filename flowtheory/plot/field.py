r"""The direction field of one neuron of the plane, and the directions at which it rests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError
from flowtheory.plot.style import FAINT, INK, NEGATIVE, PAPER, POSITIVE, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIZE = 1.35  # of half a panel; the circle has radius 1

Points = Float[np.ndarray, "k 2"]


class Resting(NamedTuple):
    """A direction at rest.

    Attributes:
        direction: the unit vector.
        stable: whether neighbours turn towards it.
        growing: whether neurons there grow.
    """

    direction: Float[np.ndarray, " 2"]
    stable: bool
    growing: bool


class Field(NamedTuple):
    """One panel.

    Attributes:
        title: above it.
        at: where the field is known.
        rate: the field there.
        kinks: angles at which the field has a kink.
        resting: directions at rest.
    """

    title: str
    at: Points
    rate: Points
    kinks: Float[np.ndarray, " j"]
    resting: Sequence[Resting]


@styled
def field_figure(
    fields: Sequence[Field], names: tuple[str, str] = (r"w_1", r"w_2"), columns: int = 2
) -> Figure:
    r"""$\dot w = s\nabla H(w)$ in the plane of $w$, $s$ the sign of the output weight.

    Arrows have the length of the root of the speed. Filled: stable and growing, where neurons
    condense; crosses: stable, but shrinking; open: unstable. Faint rays: kinks.

    Args:
        fields: the panels.
        names: of the coordinates, as LaTeX without dollars.
        columns: of the panels.

    Raises:
        DataError: no panel, or shapes that do not fit.
    """
    from flowtheory.plot._figure import panels

    wrong = [one.title for one in fields if one.at.shape != one.rate.shape or one.at.ndim != 2]
    if wrong or not fields:
        raise DataError(
            f"{len(fields)} panels; shapes do not fit at {wrong}",
            expected="one panel or more, at and rate of the shape (k, 2)",
            fix="flowtheory.phase.plane_field gives the rates",
        )
    rows = -(-len(fields) // columns)
    figure, grid = panels(0.6 + 2.6 * rows, rows, columns, sharex=True, sharey=True)
    flat = [axes for row in grid for axes in row]
    for axes, one in zip(flat, fields, strict=False):
        _panel(axes, one)
    for axes in flat[len(fields) :]:
        axes.set_axis_off()
    for row in grid:
        row[0].set_ylabel(f"${names[1]}$")
    for axes in grid[-1]:
        axes.set_xlabel(f"${names[0]}$")
    figure.legend(handles=_legend(), loc="outside lower center", ncols=3)
    return figure


def _panel(axes: Any, one: Field) -> None:
    angle = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(angle), np.sin(angle), color=FAINT, linewidth=0.7, zorder=0)
    for kink in one.kinks:
        ray = np.outer([0.0, 2 * _SIZE], [np.cos(kink), np.sin(kink)])
        axes.plot(*ray.T, color=FAINT, linewidth=0.7, linestyle=":", zorder=0)
    speed = np.linalg.norm(one.rate, axis=1)
    # The root: slow and fast arrows can both be read.
    scale = np.where(speed > 0, 1 / np.sqrt(np.where(speed > 0, speed * speed.max(), 1.0)), 0.0)
    arrows = one.rate * scale[:, None]
    look: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "color": INK, "alpha": 0.55}
    axes.quiver(*one.at.T, *arrows.T, scale=6.5, pivot="mid", width=0.004, **look)
    for point in one.resting:
        axes.plot(
            *point.direction, linestyle="none", zorder=4, **_look(point.stable, point.growing)
        )
    axes.set_aspect("equal")
    axes.set(xlim=(-_SIZE, _SIZE), ylim=(-_SIZE, _SIZE), xticks=[-1, 0, 1], yticks=[-1, 0, 1])
    axes.set_title(one.title, fontsize=8)


def _look(stable: bool, growing: bool) -> dict[str, Any]:
    if stable and growing:
        return {"marker": "o", "color": PAPER, "markerfacecolor": POSITIVE, "markersize": 8}
    if stable:
        return {"marker": "X", "color": PAPER, "markerfacecolor": NEGATIVE, "markersize": 7}
    return {"marker": "o", "color": INK, "markerfacecolor": PAPER, "markersize": 5}


def _legend() -> list[Any]:
    from matplotlib.lines import Line2D

    kinds = {
        "stable, growing": (True, True),
        "stable, shrinking": (True, False),
        "unstable": (False, True),
    }
    return [Line2D([], [], linestyle="none", label=n, **_look(*k)) for n, k in kinds.items()]
