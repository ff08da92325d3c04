r"""The pictures of a two-layer diagram, and of networks at some of its points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flowtheory.errors import DataError, ParameterError
from flowtheory.phase.borders import borders, boundary
from flowtheory.phase.cuts import cuts
from flowtheory.phase.data import samples
from flowtheory.phase.diagram import Diagram
from flowtheory.phase.field import field_panels
from flowtheory.phase.named import families, named_places
from flowtheory.phase.regions import regions
from flowtheory.phase.trained import Trained, line_inputs
from flowtheory.plot.cuts import cuts_figure
from flowtheory.plot.features import Maps, features_figure
from flowtheory.plot.field import field_figure
from flowtheory.plot.functions import Learned, functions_figure
from flowtheory.plot.phase import phase_figure, span_of, widths_figure
from flowtheory.plot.regimes import regimes_figure
from flowtheory.plot.similarity import MOST, Pair, similarity_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_POINTS = 5  # of the figure of RD over the width
_WHOLE = ((0.0, 2.0), (-1.0, 1.0))  # of the picture of regimes, at least
_STEP, _ROWS = 0.5, 81

Point = tuple[float, float]


class Picture(NamedTuple):
    """A figure of the page.

    Attributes:
        title: heading of its section.
        figure: itself.
        caption: below it.
        folded: whether it is shown on request.
    """

    title: str
    figure: Figure
    caption: str
    folded: bool = False


def pictures(
    diagram: Diagram, trained: Sequence[Sequence[Trained]] = ()
) -> tuple[dict[str, Picture], list[str]]:
    """All pictures by file name, and what could not be drawn, in words.

    Args:
        diagram: what was measured.
        trained: networks of the same widths at some points, one group a point.
    """
    found, notes = {"diagram": _maps(diagram), "widths": _widths(diagram)}, []
    crossing = cuts(diagram)
    if crossing:
        found["cuts"] = Picture("Cuts", cuts_figure(crossing, diagram.widths), _CUTS)
    groups = [group for group in trained if all(one.outcome.ok for one in group)]
    for group in trained:
        bad = sorted({one.outcome.name.lower() for one in group if not one.outcome.ok})
        if bad:
            point = f"({group[0].point.gamma:g}, {group[0].point.gamma_prime:g})"
            notes.append(f"No feature map at {point}: {', '.join(bad)}.")
    if groups:
        found |= _networks(groups)
    try:
        found["field"] = _field(diagram)
    except (DataError, ParameterError) as error:
        notes.append(f"No direction field: {error.wrong}.")
    box = (span_of(diagram.gamma), span_of(diagram.gamma_prime))
    figure = regimes_picture(diagram.activation, box)
    found["regimes"] = Picture("Regimes", figure, _REGIMES)
    return found, notes


def regimes_picture(
    activation: str, box: tuple[Point, Point] = _WHOLE, own: Point | None = None
) -> Figure:
    r"""The regimes over $[0, 2] \times [-1, 1]$, and further where `box` or `own` is outside.

    Args:
        activation: of the network.
        box: ends of $\gamma$ and of $\gamma'$ that are to be seen.
        own: a place that is marked.
    """
    across, along = (
        _stretched(whole, (*ends, *(() if own is None else (own[k],))))
        for k, (whole, ends) in enumerate(zip(_WHOLE, box, strict=True))
    )
    rows = np.linspace(*along, _ROWS)
    line = np.stack([boundary(rows, activation), rows], axis=1)
    line = line[(line[:, 0] >= across[0]) & (line[:, 0] <= across[1])]
    parts = regions(across, along, activation)
    return regimes_figure(parts, line, named_places(activation), families(activation), own)


def _stretched(whole: Point, values: Sequence[float]) -> Point:
    """Ends that contain all values, multiples of `_STEP` where they had to move."""
    low, high = min(whole[0], *values), max(whole[1], *values)
    return float(np.floor(low / _STEP) * _STEP), float(np.ceil(high / _STEP) * _STEP)


def _maps(diagram: Diagram) -> Picture:
    """Three maps: measured, predicted at the same widths, and measured less asymptotic."""
    across, along = span_of(diagram.gamma), span_of(diagram.gamma_prime)
    theory = diagram.prediction
    constant = rf", $\zeta = {theory.zeta:.2g}$" if np.isfinite(theory.zeta) else ""
    figure = phase_figure(
        diagram.gamma,
        diagram.gamma_prime,
        {
            r"measured $S_w$": diagram.slopes.hidden,
            f"predicted: {theory.name}{constant}": theory.slopes.hidden,
            "measured less asymptotic": diagram.left,
        },
        zeros=diagram.zeros(),
        points=named_places(diagram.activation),
        lines=borders(across, along, diagram.activation),
    )
    return Picture("The diagram", figure, _MAPS)


def _widths(diagram: Diagram) -> Picture:
    r"""RD over the width at points of the row nearest to $\gamma' = 0$."""
    row = int(np.argmin(np.abs(diagram.gamma_prime)))
    columns = np.unique(np.linspace(0, len(diagram.gamma) - 1, _POINTS).round().astype(int))
    columns = [k for k in columns if np.isfinite(diagram.slopes.hidden[row, k])]
    other = diagram.gamma_prime[row]
    curves = [
        (
            f"({diagram.gamma[k]:.3g}, {other:.3g})",
            diagram.rd[0, :, row, k],
            float(diagram.slopes.hidden[row, k]),
        )
        for k in columns
    ]
    predicted = [float(diagram.asymptotic.hidden[row, k]) for k in columns]
    return Picture("RD over the width", widths_figure(diagram.widths, curves, predicted), _WIDTHS)


def _networks(groups: Sequence[Sequence[Trained]]) -> dict[str, Picture]:
    """Feature maps, functions of one input, and cosines."""
    first = groups[0][0]
    widths = [int(one.point.width) for one in groups[0]]
    clouds = [
        Maps(_at(g[0]), [t.cloud(t.start) for t in g], [t.cloud(t.end) for t in g]) for g in groups
    ]
    cosine = "" if first.planar else r"$\cos(w, z)$"
    maps = features_figure(clouds, widths, cosine=cosine)
    found = {"features": Picture("Feature maps", maps, _FEATURES)}
    data = first.samples
    if first.planar and np.all(data.x[:, 1] == 1):
        grid = line_inputs(data)
        learned = [Learned(_at(g[0]), np.stack([t.outputs(grid) for t in g])) for g in groups]
        figure = functions_figure(learned, widths, grid[:, 0], data.x[:, 0], data.y)
        found["functions"] = Picture("Functions", figure, _FUNCTIONS)
    widest = [group[-1] for group in groups]
    pairs = [
        Pair(_at(t), t.start.W, t.end.W, t.cloud(t.start).amplitude, t.cloud(t.end).amplitude)
        for t in widest
    ]
    found["similarity"] = Picture("Similarity", similarity_figure(pairs), _SIMILARITY, folded=True)
    return found


def _field(diagram: Diagram) -> Picture:
    """The direction field of the data; raises where it has no picture."""
    data = samples(str(diagram.about["data"]))
    panels = field_panels(*data, diagram.activation)
    names = ("w", "b") if np.all(data.x[:, 1] == 1) else ("w_1", "w_2")
    return Picture("Directions at the start", field_figure(panels, names), _FIELD)


def _at(one: Trained) -> str:
    return rf"$\gamma = {one.point.gamma:.4g}$, $\gamma' = {one.point.gamma_prime:.4g}$"


_MAPS = (
    "Measured slopes S_w, the prediction at the same widths, and measured less asymptotic. "
    "Dashed: the boundary, lazy to its left, condensed to its right; dotted: kinks of the table of "
    "slopes; stars: measured zero crossings; circles: named initializations in the limit."
)
_WIDTHS = (
    "At points along a cut through the boundary, with least-squares lines; faint: the slopes of "
    "infinite width."
)
_CUTS = (
    "Through each part of the boundary (dashed: theory). Above, RD at the end, the wider the "
    "network the stronger the line: curves cross where RD does not depend on the width. Below, "
    "measured slopes with 95 % intervals over the starts, and the slopes of infinite width."
)
_FEATURES = (
    "Orientation and amplitude |a||w| of every neuron, in units of the standard deviations at the "
    "start, for the starts of seed 0. Amplitudes below the axis are not seen. Neurons that no "
    "datum activates do not move."
)
_FUNCTIONS = "What the networks of the feature maps compute at the end; circles: the data."
_SIMILARITY = (
    "Cosines of all pairs of neurons of the widest network of the feature maps, in the order of "
    f"their leading eigenvector; of more than {MOST} neurons, those of the largest amplitudes. The "
    "diagonal is 1."
)
_FIELD = (
    "Leading flow of the input weights of one neuron at small initialization, for either sign of "
    "its output weight. Filled: where neurons condense first. Dotted: where a neuron begins or "
    "ceases to see a datum."
)
_REGIMES = (
    "Regimes of the asymptotic table; dashed: S_w = 0; circles and dash-dotted lines: named "
    "initializations in the limit, and those with a free exponent."
)
