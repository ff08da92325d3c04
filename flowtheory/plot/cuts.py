r"""Cuts through a phase diagram: RD and its slope in the width, across a boundary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError
from flowtheory.plot.style import BLUE, INK, VERMILION, shades, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Values = Float[np.ndarray, " k"]


class Cut(NamedTuple):
    r"""One line through a diagram.

    Attributes:
        axis: the coordinate along it, as LaTeX without dollars.
        at: where the other coordinate is, as LaTeX without dollars.
        place: values of the coordinate.
        rd: RD of the input weights, one row a width.
        slope: measured $S_w$.
        error: half the 95 % interval of `slope`; NaN for none.
        fine: values of the coordinate for the theory.
        theory: $S_w$ of infinite width there.
        boundary: where the theory's $S_w$ changes its sign; NaN for nowhere.
    """

    axis: str
    at: str
    place: Values
    rd: Float[np.ndarray, "widths k"]
    slope: Values
    error: Values
    fine: Values
    theory: Values
    boundary: float


@styled
def cuts_figure(cuts: Sequence[Cut], widths: Float[np.ndarray, " widths"]) -> Figure:
    r"""The order parameter RD along cuts, one curve a width, the wider the darker; below, $S_w$.

    Where RD does not depend on the width the curves cross: that is the boundary. Dashed: the
    theory's. Points: measured $S_w$ with their intervals; line: the theory of infinite width.

    Args:
        cuts: one a column.
        widths: $m$, increasing.

    Raises:
        DataError: no cut, or one whose RD has not one row a width.
    """
    from flowtheory.plot._figure import legend_below, panels

    wrong = [cut.at for cut in cuts if cut.rd.shape != (len(widths), len(cut.place))]
    if wrong or not cuts:
        raise DataError(
            f"{len(cuts)} cuts and {len(widths)} widths; shapes do not fit at {wrong}",
            expected="one cut or more, rd of shape (widths, places)",
            fix="flowtheory.phase.cuts(diagram)",
        )
    grid: dict[str, Any] = {"sharex": "col", "sharey": "row", "height_ratios": [1.6, 1]}
    figure, (above, below) = panels(3.7, 2, len(cuts), width=7.2, **grid)
    for cut, rd, slopes in zip(cuts, above, below, strict=True):
        _curves(rd, cut, widths)
        _slopes(slopes, cut)
        for axes in (rd, slopes):
            axes.axvline(cut.boundary, color=INK, linestyle="--", linewidth=0.9, zorder=0)
        rd.set_title(f"${cut.at}$", fontsize=8)
        rd.set_yscale("log")
        slopes.set_xlabel(f"${cut.axis}$")
    above[0].set_ylabel("RD of the input weights")
    below[0].set_ylabel("$S_w$")
    legend_below(figure, above[0], columns=min(len(widths), 9), title="width $m$")
    return figure


def _curves(axes: Any, cut: Cut, widths: np.ndarray) -> None:
    for m, rd, shade in zip(widths, cut.rd, shades(len(widths)), strict=True):
        axes.plot(cut.place, rd, color=BLUE, alpha=shade, label=f"{m:,.0f}")


def _slopes(axes: Any, cut: Cut) -> None:
    axes.axhline(0.0, color=INK, linewidth=0.5, zorder=0)
    axes.plot(cut.fine, cut.theory, color=INK, linewidth=0.9)
    bars = np.where(np.isfinite(cut.error), cut.error, 0.0)
    look: dict[str, Any] = {"fmt": "o", "color": VERMILION, "markerfacecolor": "none"}
    axes.errorbar(cut.place, cut.slope, bars, elinewidth=0.8, **look)
