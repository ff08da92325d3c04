"""`--points` of `flowtheory phase-diagram`: where networks are drawn, and the networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from flowtheory.phase import Diagram, Trained

Point = tuple[float, float]

_WIDEST = 1 << 15  # of a network that is drawn: more marks than dots of a panel say nothing
_CURVES = 3  # widths


def read_points(text: str | None, fixed: Mapping[str, Any]) -> list[Point] | None:
    """Points of "0.5,0;1,0"; none for "none"; None for the default, one of each kind.

    Args:
        text: of the option.
        fixed: the other parameters of the runs.

    Raises:
        ParameterError: No such text, a point twice, or one out of its domain.
    """
    if text is None or text.strip() == "none":
        return None if text is None else []
    from flowtheory.errors import ParameterError
    from flowtheory.phase import two_layer_study

    try:
        pairs = [tuple(float(part) for part in piece.split(",")) for piece in text.split(";")]
        points = [(gamma, other) for gamma, other in pairs]
    except ValueError:
        points = []
    if not points or len(set(points)) < len(points):
        raise ParameterError(
            f"--points {text}",
            expected='GAMMA,GAMMA\' with semicolons between, each point once, or "none"',
            fix='--points "0.5,0;1,0;1.75,0"',
        )
    for gamma, other in points:
        two_layer_study([gamma], [other], [2], **fixed)  # refuses what is out of its domain
    return points


def networks(
    found: Diagram, places: list[Point] | None, fixed: Mapping[str, Any]
) -> list[tuple[Trained, ...]]:
    """The networks of the pictures: the runs of seed 0 at some points and widths."""
    from flowtheory.phase import trained_at

    chosen, widths = default_points(found) if places is None else places, drawn_widths(found)
    return [trained_at(*point, widths, **fixed) for point in chosen]


def default_points(found: Diagram) -> list[Point]:
    r"""One point of each kind in the row nearest to $\gamma' = 0$: the outermost, and the middle.

    Args:
        found: the diagram; lazy points are those farthest to the left, condensed ones to the right.
    """
    from flowtheory.phase.diagram import CONDENSED, CRITICAL, LAZY

    row = int(np.argmin(np.abs(found.gamma_prime)))
    chosen = []
    for kind, part in ((LAZY, 0.0), (CRITICAL, 0.5), (CONDENSED, 1.0)):
        columns = np.flatnonzero(found.kinds[row] == kind)
        if len(columns):
            column = columns[int(part * (len(columns) - 1))]
            chosen.append((float(found.gamma[column]), float(found.gamma_prime[row])))
    return chosen


def drawn_widths(found: Diagram) -> list[int]:
    """The narrowest, a middle and the widest width of the diagram, as far as they can be drawn."""
    widths = [int(m) for m in found.widths if m <= _WIDEST] or [int(found.widths[0])]
    picked = np.linspace(0, len(widths) - 1, _CURVES).round().astype(int)
    return [widths[k] for k in dict.fromkeys(picked.tolist())]
