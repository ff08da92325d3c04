r"""Imbalances $W_{l+1}^T W_{l+1} - W_l W_l^T$ of neighbouring layers.

Conserved by the gradient flow of linear networks, by the leading flow of multiplicity 1, and on
their diagonal by homogeneous activations of degree 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError
from flowtheory.measure.checks import as_matrix
from flowtheory.measure.measurement import Measurement

_LARGEST = 1e150


class Imbalance(NamedTuple):
    r"""The imbalance of one interface.

    Attributes:
        matrix: $W_{l+1}^T W_{l+1} - W_l W_l^T$, one row and column a neuron between the layers.
        norm: its Frobenius norm.
        relative: the norm over $|W_{l+1}^T W_{l+1}|_F + |W_l W_l^T|_F$: between 0, balanced, and 1.
    """

    matrix: Float[np.ndarray, "h h"]
    norm: Measurement
    relative: Measurement


def imbalances(layers: Sequence[Float[np.ndarray, "out in"]]) -> tuple[Imbalance, ...]:
    r"""The imbalance of every interface, from the input to the output.

    Args:
        layers: $W_1, W_2, \dots$, each of shape (out, in); a vector at the end is an output layer
            of one row.

    Raises:
        DataError: fewer than two layers, widths that do not fit, two zero layers side by side, or
            entries that are not finite.
    """
    if len(layers) < 2:
        raise DataError(
            f"{len(layers)} layer(s)",
            expected="at least two layers",
            fix="imbalances([run.params['W'], run.params['v']])",
        )
    *inner, last = layers
    matrices = [as_matrix(layer, f"layer {k}") for k, layer in enumerate(inner, start=1)]
    matrices.append(as_matrix(np.atleast_2d(last), f"layer {len(layers)}"))
    return tuple(
        _interface(before, after, number)
        for number, (before, after) in enumerate(pairwise(matrices), start=1)
    )


def _interface(
    before: Float[np.ndarray, "h D"], after: Float[np.ndarray, "o h"], number: int
) -> Imbalance:
    if after.shape[1] != len(before):
        raise DataError(
            f"layer {number} has {len(before)} rows, layer {number + 1} {after.shape[1]} columns",
            expected="layers of shape (out, in) that follow each other",
            fix="transpose the layers of a framework that stores (in, out)",
        )
    unit = float(max(np.max(np.abs(before)), np.max(np.abs(after))))
    if not 0 < unit < _LARGEST:
        raise DataError(
            f"the largest entry of layers {number} and {number + 1} is {unit:g}",
            expected=f"one between 0 and {_LARGEST:g}: squares must be numbers",
            fix="drop times before the start and after a blow-up",
        )
    # In units of the largest entry: squares of entries below 1e-154 are zero.
    upper, lower = (after / unit).T @ (after / unit), (before / unit) @ (before / unit).T
    difference = upper - lower
    size = float(np.linalg.norm(difference))
    relative = size / float(np.linalg.norm(upper) + np.linalg.norm(lower))
    top, bottom = f"W_{number + 1}^T W_{number + 1}", f"W_{number} W_{number}^T"
    name = f"|{top} - {bottom}|_F"
    return Imbalance(
        difference * unit**2,
        Measurement.exact(size * unit**2, name, "weight^2"),
        Measurement.exact(relative, f"{name} / (|{top}|_F + |{bottom}|_F)"),
    )
