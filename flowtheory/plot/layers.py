r"""Diagrams of deeper networks: slopes of every layer over $\gamma$, over the plane, and RD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.plot.phase import COLOURS, span_of
from flowtheory.plot.style import CYCLE, FAINT, INK, MARKERS, PAPER, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Values = Float[np.ndarray, " k"]
Grid = Float[np.ndarray, "gamma_2 gamma"]

_APART = 0.011  # of the range of gamma, between the marks of two layers


class Layer(NamedTuple):
    """Slopes of one layer along a row.

    Attributes:
        measured: one a value of gamma.
        error: half its interval; NaN for none.
        theory: at the values of `fine`.
    """

    measured: Values
    error: Values
    theory: Values


@styled
def layers_figure(
    gamma: Values,
    layers: Mapping[str, Layer],
    fine: Values,
    *,
    boundary: float,
    other: tuple[str, Values] | None = None,
) -> Figure:
    r"""Slopes over $\gamma$, a colour and a marker a layer; lines are the theory.

    Args:
        gamma: of the measured slopes.
        layers: label -> its slopes.
        fine: $\gamma$ at which the theory is drawn.
        boundary: where $W_1$ begins to condense.
        other: another theory, drawn faintly: its name, and its slopes at `fine`.
    """
    from flowtheory.plot._figure import legend_below, panels

    figure, ((axes,),) = panels(3.3, width=4.6)
    axes.axhline(0.0, color=FAINT, lw=0.6, zorder=0)
    axes.axvline(boundary, color=FAINT, lw=0.6, linestyle=":", zorder=0)
    for k, (name, layer) in enumerate(layers.items()):
        look: dict[str, Any] = {"color": CYCLE[k], "marker": MARKERS[k], "markerfacecolor": PAPER}
        bars = np.nan_to_num(layer.error)
        axes.plot(fine, layer.theory, color=CYCLE[k], lw=0.9)
        # Beside one another: layers with one exponent would cover one another.
        place = gamma + (k - (len(layers) - 1) / 2) * _APART * (gamma[-1] - gamma[0])
        axes.errorbar(place, layer.measured, bars, ls="none", capsize=1.5, label=name, **look)
    if other is not None:
        axes.plot(fine, other[1], color=FAINT, linestyle="--", label=other[0], zorder=0)
    axes.set(xlabel=r"$\gamma$", ylabel="slope of log RD in log $m$")
    legend_below(figure, axes, columns=3)
    return figure


@styled
def layer_widths_figure(
    widths: Values, curves: Mapping[str, Sequence[tuple[float, Values, float]]]
) -> Figure:
    r"""RD over the width, a panel a layer and a curve a value of $\gamma$.

    Args:
        widths: $m$.
        curves: name of a layer -> ($\gamma$, RD, slope of the theory) of every curve; the theory is
            drawn faintly through the largest width.
    """
    from flowtheory.plot._figure import decades, panels

    figure, rows = panels(4.4, 2, 2, width=6.4, sharex=True)
    flat = [axes for row in rows for axes in row]
    for axes, (name, entries) in zip(flat, curves.items(), strict=True):
        for k, (gamma, rd, theory) in enumerate(entries):
            look: dict[str, Any] = {"color": CYCLE[k], "marker": MARKERS[k]}
            axes.plot(widths, rd, markerfacecolor="none", label=f"{gamma:.3g}", **look)
            axes.plot(
                widths, rd[-1] * (widths / widths[-1]) ** theory, color=FAINT, lw=0.7, zorder=0
            )
        axes.set(xscale="log", yscale="log")
        axes.set_title(name, fontsize=8)
        decades(axes.xaxis)
        decades(axes.yaxis)
    for axes in rows[-1]:
        axes.set_xlabel("width $m$")
    for row in rows:
        row[0].set_ylabel("RD")
    handles, labels = flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", title=r"$\gamma$")
    return figure


@styled
def layer_maps_figure(
    gamma: Values,
    gamma_2: Values,
    maps: Mapping[str, tuple[Grid, Grid]],
    *,
    zeros: Values,
    fields: tuple[Values, Values, Sequence[Grid]],
) -> Figure:
    r"""Maps of slopes, measured above and theory below, a column a layer.

    Dashed: where the theory's slope of that layer is 0. Stars, on the first map: measured zero
    crossings. A point where nothing was reached is grey.

    Args:
        gamma: the columns.
        gamma_2: the rows.
        maps: name of a layer -> measured slopes and those of the theory.
        zeros: $\gamma$ of the zero crossing of $W_1$ in each row, NaN for none.
        fields: columns and rows of a fine grid, and on it the theory's slopes of every layer.
    """
    import matplotlib as mpl
    from matplotlib.colors import TwoSlopeNorm

    from flowtheory.plot._figure import panels

    largest = max(float(np.nanmax(np.abs(grid))) for pair in maps.values() for grid in pair)
    norm = TwoSlopeNorm(0.0, -largest, largest)
    colours = mpl.colormaps[COLOURS].with_extremes(bad=FAINT)
    figure, rows = panels(3.7, 2, len(maps), sharex=True, sharey=True, width=7.2)
    extent = (*span_of(gamma), *span_of(gamma_2))
    look: dict[str, Any] = {"origin": "lower", "extent": extent, "aspect": "auto", "norm": norm}
    image: Any = None
    for k, (name, pair) in enumerate(maps.items()):
        for row, grid, kind in zip(rows, pair, ("measured", "theory"), strict=True):
            image = row[k].imshow(grid, cmap=colours, **look)
            field = fields[2][k]
            if np.nanmin(field) < 0 < np.nanmax(field):
                contour: dict[str, Any] = {"linestyles": "--", "linewidths": 0.9}
                row[k].contour(*fields[:2], field, [0.0], colors=INK, **contour)
            row[k].set(xlim=extent[:2], ylim=extent[2:])
            if k == 0:
                row[k].set_ylabel(rf"{kind}     $\gamma_2$")
        rows[0][k].set_title(name, fontsize=8)
        rows[-1][k].set_xlabel(r"$\gamma$")
    stars: dict[str, Any] = {"marker": "*", "markersize": 7, "markerfacecolor": PAPER}
    rows[0][0].plot(zeros, gamma_2, color=INK, linestyle="none", **stars)
    figure.colorbar(image, ax=[axes for row in rows for axes in row], label="slope", pad=0.015)
    return figure
