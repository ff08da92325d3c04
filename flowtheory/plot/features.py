r"""Feature maps: the orientation and the amplitude of every neuron, at the start and at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError
from flowtheory.plot.style import CYCLE, MARKERS, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEAST = 1e-2  # of the median amplitude: smaller neurons lie below the panel
_MANY = 500  # marks of a panel, above which an SVG holds them as a picture


class Cloud(NamedTuple):
    """The neurons of one network.

    Attributes:
        orientation: the abscissa, an angle or a cosine.
        amplitude: positive, or 0 for neurons that are left out.
    """

    orientation: Float[np.ndarray, " m"]
    amplitude: Float[np.ndarray, " m"]


class Maps(NamedTuple):
    """The networks of one point of the diagram.

    Attributes:
        at: the point, as a title.
        start: at the start, one a width.
        end: the same at the end.
    """

    at: str
    start: Sequence[Cloud]
    end: Sequence[Cloud]


@styled
def features_figure(
    maps: Sequence[Maps],
    widths: Sequence[int],
    *,
    cosine: str = "",
    amplitude: str = r"$|\bar a|\,|\bar w|$",
) -> Figure:
    r"""Orientation and amplitude of neurons, widths overlaid: a row a point, start and end.

    Amplitudes are on a log axis that the two panels of a row share; it ends at a hundredth of the
    smallest median, and neurons below it are not seen.

    Args:
        maps: one a row.
        widths: of the networks, in the order of the clouds; colour and marker tell them apart.
        cosine: label of the abscissa, if orientations are cosines in [-1, 1]; by default they are
            angles of $(w, b)$ in $(-\pi, \pi]$.
        amplitude: label of the ordinate.

    Raises:
        DataError: no point, not one cloud a width, more widths than there are colours, or
            orientations out of range.
    """
    from flowtheory.plot._figure import decades, legend_below, panels

    _check(maps, widths, 1.0 if cosine else np.pi)
    figure, grid = panels(0.7 + 1.45 * len(maps), len(maps), 2, sharex=True, sharey="row")
    for one, row in zip(maps, grid, strict=True):
        for axes, clouds, when in zip(row, (one.start, one.end), ("start", "end"), strict=True):
            _scatter(axes, clouds, widths)
            axes.set_title(f"{one.at}, {when}", fontsize=8)
        row[0].set(yscale="log", ylabel=amplitude, ylim=_limits((*one.start, *one.end)))
        decades(row[0].yaxis)
    for axes in grid[-1]:
        _orientation(axes, cosine)
    legend_below(figure, grid[0][0], columns=len(widths), title="width $m$")
    return figure


def _check(maps: Sequence[Maps], widths: Sequence[int], limit: float) -> None:
    clouds = [cloud for one in maps for cloud in (*one.start, *one.end)]
    counts = {len(side) for one in maps for side in (one.start, one.end)}
    largest = max((float(np.max(np.abs(cloud.orientation))) for cloud in clouds), default=0.0)
    if counts != {len(widths)} or not 0 < len(widths) <= len(CYCLE) or largest > limit + 1e-12:
        raise DataError(
            f"{len(maps)} points, {len(widths)} widths, {counts or 'no'} clouds a panel, "
            f"orientations up to {largest:.4g}",
            expected=f"one cloud a width, 1 to {len(CYCLE)} widths, orientations up to {limit:.4g}",
            fix="flowtheory.phase.Trained.cloud makes them",
        )


def _scatter(axes: Axes, clouds: Sequence[Cloud], widths: Sequence[int]) -> None:
    many = max(len(cloud.orientation) for cloud in clouds) > _MANY
    for k, cloud in enumerate(clouds):
        shown = cloud.amplitude > 0
        axes.plot(
            cloud.orientation[shown],
            cloud.amplitude[shown],
            linestyle="none",
            marker=MARKERS[k],
            color=CYCLE[k],
            markersize=1.2 + 1.3 * (len(clouds) - 1 - k) / max(len(clouds) - 1, 1),
            markerfacecolor="none" if k == 0 else CYCLE[k],
            markeredgewidth=0.5,
            label=f"{widths[k]:,}",
            zorder=2 - k / len(clouds),  # the few neurons of a narrow network stay visible
            rasterized=many,
        )


def _limits(clouds: Sequence[Cloud]) -> tuple[float, float]:
    """Half a decade beyond the largest amplitude, down to `_LEAST` of the smallest median."""
    known = [cloud.amplitude[cloud.amplitude > 0] for cloud in clouds]
    return _LEAST * min(map(np.median, known)), np.sqrt(10) * max(map(np.max, known))


def _orientation(axes: Any, cosine: str) -> None:
    if cosine:
        axes.set(xlim=(-1.04, 1.04), xticks=[-1, 0, 1], xlabel=cosine)
        return
    ticks = (r"$-\pi$", r"$-\pi/2$", "0", r"$\pi/2$", r"$\pi$")
    axes.set(xlim=(-1.02 * np.pi, 1.02 * np.pi), xlabel="angle of $(w, b)$")
    axes.set_xticks(np.linspace(-np.pi, np.pi, 5), ticks)
