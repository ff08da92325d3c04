r"""How much of a weight matrix lies along one direction: $\hat z$, $v_{LS}$, or any other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError
from flowtheory.measure.checks import as_matrix, as_vector, unit_vector
from flowtheory.measure.measurement import Measurement


class Projection(NamedTuple):
    r"""Parts of $|W|_F^2$ along a unit vector $u$ and beside it; they sum to 1.

    Attributes:
        ratio: $|W u|^2/|W|_F^2$.
        defect: $|W - W u u^T|_F^2/|W|_F^2$, not as a difference from 1: what rounding leaves of it
            is of order $10^{-32}$.
    """

    ratio: Measurement
    defect: Measurement


class LinearDirections(NamedTuple):
    r"""The two directions of the linear stage, as vectors that are not normalized.

    Attributes:
        z: $z = \frac1n \sum_i y_i x_i$, along which multiplicity 1 escapes.
        least_squares: $v_{LS} = G^{+} z$, $G = \frac1n \sum_i x_i x_i^T$: where it goes afterwards.
    """

    z: Float[np.ndarray, " D"]
    least_squares: Float[np.ndarray, " D"]


def projection(weights: Float[np.ndarray, "m D"], direction: Float[np.ndarray, " D"]) -> Projection:
    r"""The part of $|W|_F^2$ along a direction.

    All neurons count by their size. The least cosine over neurons is no substitute: a neuron whose
    component is small by chance sets it, with another exponent.

    Args:
        weights: $W$, one row a neuron.
        direction: any vector along $u$.

    Raises:
        DataError: a zero matrix, a zero direction, shapes that do not fit, or entries that are not
            finite.
    """
    matrix = as_matrix(weights)
    unit = unit_vector(direction, matrix.shape[1])
    largest = np.max(np.abs(matrix))
    if largest == 0:
        raise DataError(
            "the weights are zero",
            expected="at least one entry that is not zero",
            fix="drop times before the start",
        )
    scaled = matrix / largest
    along = scaled @ unit
    beside = scaled - np.outer(along, unit)
    one, other = float(along @ along), float(np.sum(beside**2))
    whole = one + other
    return Projection(
        Measurement.exact(one / whole, "|W u|^2 / |W|_F^2"),
        Measurement.exact(other / whole, "1 - |W u|^2 / |W|_F^2"),
    )


def linear_directions(x: Float[np.ndarray, "n D"], y: Float[np.ndarray, " n"]) -> LinearDirections:
    r"""$z$ and $v_{LS}$ of data; for another loss than half a square pass its residuals as $y$.

    Args:
        x: inputs, one row a sample.
        y: targets, or $-\partial_f\ell$ at the saddle. A bias belongs to x as a column of ones.

    Raises:
        DataError: shapes that do not fit, or entries that are not finite.
    """
    rows = as_matrix(x, "x")
    targets = as_vector(y, "y", len(rows))
    solution = np.linalg.lstsq(rows, targets, rcond=None)[0]
    return LinearDirections(rows.T @ targets / len(rows), solution)
