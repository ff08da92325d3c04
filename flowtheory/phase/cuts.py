r"""Cuts through a measured diagram, one through each part of the boundary that it contains."""

from __future__ import annotations

import numpy as np
from scipy.optimize import bisect

from flowtheory.phase.asymptotic import asymptotic_slopes
from flowtheory.phase.diagram import Diagram
from flowtheory.plot.cuts import Cut

_FINE = 241  # points of the theory along a cut


def cuts(diagram: Diagram) -> tuple[Cut, ...]:
    r"""Cuts along $\gamma$ below and above $\gamma' = 0$, and along $\gamma'$ above $\gamma = 1$.

    Of the rows with $\gamma' \le 0$ that contain the theory's boundary the middle one is taken; so
    of the rows with $\gamma' > 0$, and of the columns. Where none contains it, there is no cut.

    Args:
        diagram: what was measured.
    """
    rows = diagram.boundary()
    below = diagram.gamma_prime <= 0
    columns = np.array([_column_boundary(diagram, float(gamma)) for gamma in diagram.gamma])
    found = []
    for part in (below, ~below):
        row = _middle(np.where(part, rows, np.nan), diagram.gamma)
        if row is not None:
            found.append(_along_gamma(diagram, row, float(rows[row])))
    column = _middle(columns, diagram.gamma_prime)
    if column is not None:
        found.append(_along_gamma_prime(diagram, column, float(columns[column])))
    return tuple(found)


def _middle(boundary: np.ndarray, axis: np.ndarray) -> int | None:
    """The middle one of the lines that have their boundary strictly within an axis."""
    inside = np.flatnonzero((boundary > axis[0]) & (boundary < axis[-1]))
    return int(inside[(len(inside) - 1) // 2]) if len(inside) else None


def _column_boundary(diagram: Diagram, gamma: float) -> float:
    r"""$\gamma'$ at which the theory's $S_w$ falls through 0 along a column; NaN for none."""

    def condensed(other: float) -> float:
        point = np.array([gamma]), np.array([other])
        return 0.5 - float(asymptotic_slopes(*point, diagram.activation).hidden[0, 0] <= 1e-12)

    low, high = float(diagram.gamma_prime[0]), float(diagram.gamma_prime[-1])
    if condensed(low) < 0 or condensed(high) > 0:
        return float("nan")
    # Rounded as the axes are: on the edge of the range is not within it.
    return round(float(bisect(condensed, low, high, xtol=1e-12)), 10)  # type: ignore[arg-type]


def _along_gamma(diagram: Diagram, row: int, boundary: float) -> Cut:
    other, fine = diagram.gamma_prime[row], _fine(diagram.gamma)
    return Cut(
        r"\gamma",
        rf"\gamma' = {other:.3g}",
        diagram.gamma,
        diagram.rd[0, :, row],
        diagram.slopes.hidden[row],
        diagram.error[row],
        fine,
        asymptotic_slopes(fine, np.array([other]), diagram.activation).hidden[0],
        boundary,
    )


def _along_gamma_prime(diagram: Diagram, column: int, boundary: float) -> Cut:
    gamma, fine = diagram.gamma[column], _fine(diagram.gamma_prime)
    return Cut(
        r"\gamma'",
        rf"\gamma = {gamma:.3g}",
        diagram.gamma_prime,
        diagram.rd[0, :, :, column],
        diagram.slopes.hidden[:, column],
        diagram.error[:, column],
        fine,
        asymptotic_slopes(np.array([gamma]), fine, diagram.activation).hidden[:, 0],
        boundary,
    )


def _fine(axis: np.ndarray) -> np.ndarray:
    return np.linspace(axis[0], axis[-1], _FINE)
