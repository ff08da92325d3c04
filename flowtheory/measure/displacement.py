r"""How far parameters went: relative distance $RD$ by layer, and the neuron that went farthest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError
from flowtheory.measure.amplitude import amplitudes
from flowtheory.measure.checks import as_matrix, norm, same_shape
from flowtheory.measure.measurement import Measurement


class RelativeDistance(NamedTuple):
    r"""$|\theta_l(t) - \theta_l(0)|/|\theta_l(0)|$ of one layer, in two norms.

    Attributes:
        frobenius: with the root of the sum of squares.
        operator: with the largest singular value; a tensor of more than two axes is read as the
            matrix of its first axis against all others, a vector as a row. For hidden matrices of
            wide networks the two scale differently with the width.
    """

    frobenius: Measurement
    operator: Measurement


def relative_distance(
    now: Float[np.ndarray, ...], start: Float[np.ndarray, ...]
) -> RelativeDistance:
    """Relative distance of one tensor from its start.

    Args:
        now: the tensor at some time.
        start: the tensor at the start.

    Raises:
        DataError: shapes that differ, a zero start, or entries that are not finite.
    """
    after, before = same_shape(now, start, "the layer")
    if not np.any(before):
        raise DataError(
            "the layer starts at zero",
            expected="a start that is not zero",
            fix="no relative distance exists; use the norm of the layer",
        )
    definition = "|theta(t) - theta(0)|_{0} / |theta(0)|_{0}"
    return RelativeDistance(
        Measurement.exact(norm(after - before) / norm(before), definition.format("F")),
        Measurement.exact(_operator(after - before) / _operator(before), definition.format("2")),
    )


def relative_distances(
    now: Mapping[str, Float[np.ndarray, ...]], start: Mapping[str, Float[np.ndarray, ...]]
) -> dict[str, RelativeDistance]:
    """Relative distance of every layer.

    Args:
        now: parameters by name, such as `run.params`.
        start: the parameters at the start, by the same names.

    Raises:
        DataError: other names, or as `relative_distance`.
    """
    if set(now) != set(start):
        raise DataError(
            f"layers {sorted(now)} now and {sorted(start)} at the start",
            expected="the same names",
            fix="compare parameters of one network",
        )
    return {name: relative_distance(now[name], start[name]) for name in now}


def maximal_displacement(
    now: Float[np.ndarray, "m D"], start: Float[np.ndarray, "m D"]
) -> Measurement:
    r"""$\max_k |w_k(t) - w_k(0)| / (\frac1m \sum_j |w_j(0)|^2)^{1/2}$.

    An order parameter where few neurons move: then $RD$ tends to 0 with the width while these go
    far.

    Args:
        now: one row a neuron.
        start: the same at the start.

    Raises:
        DataError: shapes that differ, a zero start, or entries that are not finite.
    """
    after, before = same_shape(as_matrix(now), as_matrix(start), "the layer")
    if not np.any(before):
        raise DataError(
            "all neurons start at zero",
            expected="a start that is not zero",
            fix="use the norms of the neurons",
        )
    farthest = float(np.max(amplitudes(after - before)))
    definition = "max_k |w_k(t) - w_k(0)| / rms_j |w_j(0)|"
    return Measurement.exact(farthest / (norm(before) / math.sqrt(len(before))), definition)


def _operator(tensor: np.ndarray) -> float:
    """The largest singular value of the first axis against all others."""
    largest = float(np.max(np.abs(tensor)))
    rows = tensor.reshape(len(tensor) if tensor.ndim > 1 else 1, -1)
    return largest * float(np.linalg.norm(rows / largest, 2)) if largest > 0 else 0.0
