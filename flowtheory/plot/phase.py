r"""Phase diagrams: slopes over $(\gamma, \gamma')$, and RD over the width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.plot.style import CYCLE, FAINT, INK, MARKERS, PAPER, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Grid = Float[np.ndarray, "gamma_prime gamma"]
Values = Float[np.ndarray, " k"]


class Lines(NamedTuple):
    """Fields over a fine grid whose zero sets are drawn.

    Attributes:
        gamma: its columns.
        gamma_prime: its rows.
        slope: 0 on the boundary.
        edges: one a line, NaN away from it.
    """

    gamma: Values
    gamma_prime: Values
    slope: Grid
    edges: tuple[Grid, ...]


COLOURS = "RdBu"  # diverging, safe for the colour-blind; red below 0, blue above


@styled
def phase_figure(
    gamma: Values,
    gamma_prime: Values,
    panels_of: Mapping[str, Grid],
    *,
    zeros: Values,
    points: Mapping[str, tuple[float, float]],
    lines: Lines,
    span: float | None = None,
) -> Figure:
    r"""Maps of slopes $S_w$, side by side, in one diverging scale with 0 in its middle.

    Dashed: where the theory's $S_w$ is 0. Dotted: the edges of its regimes. Stars, on the first
    panel: measured zero crossings. A point where nothing was reached is grey.

    Args:
        gamma: the columns.
        gamma_prime: the rows.
        panels_of: title -> slopes.
        zeros: $\gamma$ of the zero crossing in each row, NaN for none.
        points: named initializations, $(\gamma, \gamma')$; those outside the map are left out.
        lines: where the theory changes.
        span: largest slope of the scale; by default the largest of all panels.
    """
    import matplotlib as mpl
    from matplotlib.colors import TwoSlopeNorm

    from flowtheory.plot._figure import panels

    largest = span or max(float(np.nanmax(np.abs(grid))) for grid in panels_of.values())
    norm = TwoSlopeNorm(0.0, -largest, largest)
    colours = mpl.colormaps[COLOURS].with_extremes(bad=FAINT)
    figure, (row,) = panels(2.35, 1, len(panels_of), sharex=True, sharey=True, width=7.2)
    extent = (*span_of(gamma), *span_of(gamma_prime))
    image: Any = None
    for k, (axes, (title, grid)) in enumerate(zip(row, panels_of.items(), strict=True)):
        image = axes.imshow(
            grid, origin="lower", extent=extent, aspect="auto", norm=norm, cmap=colours
        )
        _lines(axes, lines)
        _named(axes, extent, points, labels=k == len(panels_of) - 1)
        if k == 0:
            look: dict[str, Any] = {"marker": "*", "markersize": 7, "linestyle": "none"}
            axes.plot(zeros, gamma_prime, color=INK, markerfacecolor=PAPER, **look)
            axes.set_ylabel(r"$\gamma'$")
        axes.set(xlim=extent[:2], ylim=extent[2:], xlabel=r"$\gamma$")
        axes.set_title(title, fontsize=8)
    figure.colorbar(image, ax=row, label=r"$S_w$", pad=0.015)
    return figure


@styled
def widths_figure(
    widths: Values, curves: Sequence[tuple[str, Values, float]], predicted: Sequence[float]
) -> Figure:
    r"""RD of the input weights over the width, at some points, with fitted lines.

    Args:
        widths: $m$.
        curves: name of the point, RD, and the fitted slope.
        predicted: the slopes of the theory, drawn faintly through the largest width.
    """
    from flowtheory.plot._figure import decades, panels

    figure, ((axes,),) = panels(3.0, width=5.0)
    x = np.log(widths)
    for k, ((name, rd, slope), theory) in enumerate(zip(curves, predicted, strict=True)):
        colour, marker = CYCLE[k % len(CYCLE)], MARKERS[k % len(MARKERS)]
        line = np.exp(np.log(rd).mean() + slope * (x - x.mean()))
        label = f"{name}: {slope:.3f} ({theory:.3f})"
        look: dict[str, Any] = {"color": colour, "marker": marker, "markerfacecolor": "none"}
        axes.plot(widths, rd, linestyle="none", label=label, **look)
        axes.plot(widths, line, color=colour)
        axes.plot(widths, rd[-1] * (widths / widths[-1]) ** theory, color=FAINT, lw=0.7, zorder=0)
    axes.set(xscale="log", yscale="log", xlabel="width $m$", ylabel="RD of the input weights")
    decades(axes.xaxis)
    decades(axes.yaxis)
    figure.legend(loc="outside right upper", title=r"$(\gamma, \gamma')$: slope (theory)")
    return figure


def span_of(values: Values) -> tuple[float, float]:
    """From the edge of the first cell to that of the last."""
    half = (values[-1] - values[0]) / (len(values) - 1) / 2 if len(values) > 1 else 0.05
    return float(values[0] - half), float(values[-1] + half)


def _lines(axes: Any, lines: Lines) -> None:
    """Zero sets: the boundary dashed, other edges of regimes dotted."""
    edges: dict[str, Any] = {"linestyles": ":", "linewidths": 0.7}
    main: dict[str, Any] = {"linestyles": "--", "linewidths": 0.9}
    for field, look in (*((edge, edges) for edge in lines.edges), (lines.slope, main)):
        if np.nanmin(field) < 0 < np.nanmax(field):
            axes.contour(lines.gamma, lines.gamma_prime, field, [0.0], colors=INK, **look)


def _named(
    axes: Any,
    extent: tuple[float, float, float, float],
    points: Mapping[str, tuple[float, float]],
    labels: bool,
) -> None:
    left, right, low, high = extent
    for name, (gamma, other) in points.items():
        if not (left <= gamma <= right and low <= other <= high):
            continue
        axes.plot(gamma, other, marker="o", color=INK, markerfacecolor=PAPER, markersize=3.2)
        if not labels:
            continue
        beside = {"textcoords": "offset points", "fontsize": 6}
        if gamma < 1:
            axes.annotate(name, (gamma, other), (3, 3), **beside)
        else:  # the boundaries are on the right
            axes.annotate(name, (gamma, other), (-4, -3), ha="right", va="top", **beside)
