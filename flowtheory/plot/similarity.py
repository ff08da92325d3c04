r"""Cosines of all pairs of neurons, sorted: blocks are groups of one direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError
from flowtheory.measure import cosine_matrix
from flowtheory.plot.phase import COLOURS
from flowtheory.plot.style import styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 200
"""Neurons of a matrix; of a wider network, those of the largest amplitudes."""


class Pair(NamedTuple):
    """The input weights of one network, one row a neuron.

    Attributes:
        at: a title.
        start: at the start.
        end: at the end.
        amplitude_start: what the neurons at the start are chosen by, if there are too many.
        amplitude_end: the same at the end.
    """

    at: str
    start: Float[np.ndarray, "m D"]
    end: Float[np.ndarray, "m D"]
    amplitude_start: Float[np.ndarray, " m"]
    amplitude_end: Float[np.ndarray, " m"]


@styled
def similarity_figure(pairs: Sequence[Pair], most: int = MOST) -> Figure:
    r"""$D(u, v) = \cos(w_u, w_v)$ in the order of its leading eigenvector, at start and end.

    A column a network, the start above. The scale is [-1, 1]. Of a network with more than `most`
    neurons those of the largest amplitudes are shown, at the start and at the end each its own.

    Args:
        pairs: one a column.
        most: neurons of a matrix.

    Raises:
        DataError: no network, or a matrix that `flowtheory.measure.cosine_matrix` refuses.
    """
    from flowtheory.plot._figure import panels

    if not pairs:
        raise DataError("no network", expected="one or more", fix="pass the trained networks")
    width = min(7.2, 0.9 + 2.1 * len(pairs))
    figure, rows = panels(0.35 + 2 * (width - 0.9) / len(pairs), 2, len(pairs), width=width)
    image: Any = None
    for column, one in enumerate(pairs):
        sides = ((one.start, one.amplitude_start), (one.end, one.amplitude_end))
        for row, (weights, amplitude) in zip(rows, sides, strict=True):
            axes: Any = row[column]
            ordered = cosine_matrix(largest(weights, amplitude, most)).matrix
            image = axes.imshow(ordered, cmap=COLOURS, vmin=-1, vmax=1, interpolation="none")
            axes.set(xticks=[], yticks=[])
            for spine in axes.spines.values():
                spine.set_visible(False)
        rows[0][column].set_title(one.at, fontsize=8)
        rows[1][column].set_xlabel(_count(len(one.end), most))
    rows[0][0].set_ylabel("start")
    rows[1][0].set_ylabel("end")
    all_axes = [axes for row in rows for axes in row]
    figure.colorbar(image, ax=all_axes, label="$D(u, v)$", ticks=[-1, 0, 1], shrink=0.5, aspect=15)
    return figure


def largest(
    weights: Float[np.ndarray, "m D"], amplitude: Float[np.ndarray, " m"], most: int = MOST
) -> Float[np.ndarray, "k D"]:
    """The neurons of the largest amplitudes, `most` at most, in their own order."""
    if len(weights) <= most:
        return weights
    return weights[np.sort(np.argsort(-amplitude, kind="stable")[:most])]


def _count(neurons: int, most: int) -> str:
    shown = f"{neurons:,} neurons"
    return shown if neurons <= most else f"{most} of {shown}"
