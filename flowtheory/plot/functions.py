r"""What networks of one input compute, beside the data that they were trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError
from flowtheory.plot.style import BLUE, INK, PAPER, shades, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Learned(NamedTuple):
    """The functions of one point of the diagram.

    Attributes:
        at: the point, as a title.
        outputs: $f(x)$, one row a width.
    """

    at: str
    outputs: Float[np.ndarray, "widths k"]


@styled
def functions_figure(
    learned: Sequence[Learned],
    widths: Sequence[int],
    grid: Float[np.ndarray, " k"],
    x: Float[np.ndarray, " n"],
    y: Float[np.ndarray, " n"],
) -> Figure:
    r"""$f(x)$ at the end of training, one curve a width, the wider the darker; circles: the data.

    Args:
        learned: one a panel.
        widths: of the networks.
        grid: where `outputs` are.
        x: inputs of the data.
        y: labels.

    Raises:
        DataError: no panel, or outputs that are not (widths, grid).
    """
    from flowtheory.plot._figure import legend_below, panels

    shape = (len(widths), len(grid))
    wrong = [one.at for one in learned if one.outputs.shape != shape]
    if wrong or not learned:
        raise DataError(
            f"{len(learned)} panels; outputs do not have the shape {shape} at {wrong}",
            expected="one panel or more, each with one row a width",
            fix="evaluate every network on the same grid",
        )
    figure, (row,) = panels(2.3, 1, len(learned), sharex=True, sharey=True)
    for axes, one in zip(row, learned, strict=True):
        for m, f, shade in zip(widths, one.outputs, shades(len(widths)), strict=True):
            axes.plot(grid, f, color=BLUE, alpha=shade, label=f"{m:,}")
        axes.plot(x, y, "o", color=INK, markerfacecolor=PAPER, markersize=4, zorder=3)
        axes.set(xlabel="$x$", xlim=(grid[0], grid[-1]))
        axes.set_title(one.at, fontsize=8)
    row[0].set_ylabel("$f(x)$")
    legend_below(figure, row[0], columns=len(widths), title="width $m$")
    return figure
