"""Amplitudes of neurons, how many of them count, and their angles in the plane."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError, ParameterError
from flowtheory.measure.checks import as_array, as_matrix, as_vector
from flowtheory.measure.measurement import Measurement

Kind = Literal["norm", "product"]


class FeatureMap(NamedTuple):
    r"""Neurons of a plane: orientation and amplitude.

    Attributes:
        angle: of $(w, b)$, in $(-\pi, \pi]$.
        amplitude: as `amplitudes` has it.
    """

    angle: Float[np.ndarray, " m"]
    amplitude: Float[np.ndarray, " m"]


def amplitudes(
    weights: Float[np.ndarray, "m D"],
    outputs: Float[np.ndarray, " m"] | Float[np.ndarray, "m C"] | None = None,
    kind: Kind = "norm",
) -> Float[np.ndarray, " m"]:
    r"""One non-negative number a neuron, without over- or underflow.

    - `norm`: $\sqrt{|a_k|^2 + |w_k|^2}$, or $|w_k|$ without outputs. It is 1-Lipschitz in the
      parameters of the neuron, which the bound of `wasserstein_bound` needs.
    - `product`: $|a_k||w_k|$, what a neuron of degree 1 contributes.

    Args:
        weights: $w_k$, one row a neuron; a bias is one of its columns.
        outputs: $a_k$, a number or a row a neuron.
        kind: which of the two.

    Raises:
        DataError: shapes that do not fit, or entries that are not finite.
        ParameterError: a kind that is none, or a product without outputs.
    """
    if kind not in ("norm", "product") or (kind == "product" and outputs is None):
        raise ParameterError(
            f"kind is {kind!r} and outputs are {'not ' if outputs is None else ''}given",
            expected="'norm', or 'product' with outputs",
            fix="amplitudes(run.params['W'], run.params['v'], 'product')",
        )
    inner = _row_norms(as_matrix(weights))
    if outputs is None:
        return inner
    told = "one number or one row a neuron"
    array = as_array(outputs, "the outputs", 2 if np.ndim(outputs) == 2 else 1, told)
    if len(array) != len(inner):
        raise DataError(
            f"{len(inner)} rows of weights and {len(array)} of outputs",
            expected=told,
            fix="transpose the outputs",
        )
    outer = _row_norms(array.reshape(len(array), -1))
    return np.hypot(outer, inner) if kind == "norm" else outer * inner


def _row_norms(rows: Float[np.ndarray, "m D"]) -> Float[np.ndarray, " m"]:
    largest = np.max(np.abs(rows), axis=1)
    safe = np.where(largest > 0, largest, 1.0)
    return largest * np.linalg.norm(rows / safe[:, None], axis=1)


def participation_ratio(amplitude: Float[np.ndarray, " m"]) -> Measurement:
    r"""$N_{eff} = (\sum A_k^2)^2 / \sum A_k^4$, between 1 and m: how many neurons carry the norm.

    Args:
        amplitude: $A_k \ge 0$.

    Raises:
        DataError: amplitudes that are negative, not finite, or all zero.
    """
    found = as_vector(amplitude, "the amplitudes")
    if np.any(found < 0) or not np.any(found > 0):
        raise DataError(
            f"amplitudes between {found.min():g} and {found.max():g}",
            expected="non-negative amplitudes, not all zero",
            fix="amplitudes(weights)",
        )
    squares = (found / found.max()) ** 2
    value = squares.sum() ** 2 / np.sum(squares**2)
    return Measurement.exact(value, "(sum A_k^2)^2 / sum A_k^4", "neurons")


def feature_map(
    weights: Float[np.ndarray, "m 2"],
    outputs: Float[np.ndarray, " m"] | None = None,
    kind: Kind = "norm",
) -> FeatureMap:
    r"""Orientation $\mathrm{sign}(b_k)\arccos(w_k/|(w_k, b_k)|)$ and amplitude of each neuron.

    The rows are $(w_k, b_k)$ for one input with a bias, or $w_k$ for two inputs without. The angle
    is computed as $\mathrm{atan2}(b, w)$: the same, well conditioned near the axis, and $\pi$
    instead of 0 on the negative axis $b = 0$, $w < 0$.

    Args:
        weights: one row a neuron, two columns.
        outputs: output weights, if they belong to the amplitude.
        kind: of the amplitude, as in `amplitudes`.

    Raises:
        DataError: not two columns, zero rows, or entries that are not finite.
        ParameterError: as `amplitudes`.
    """
    plane = as_matrix(weights)
    if plane.shape[1] != 2 or np.any(np.all(plane == 0, axis=1)):
        raise DataError(
            f"weights of shape {plane.shape}, {int(np.sum(np.all(plane == 0, axis=1)))} zero rows",
            expected="rows (w, b), or w in the plane, that are not zero",
            fix="np.column_stack([w, b])",
        )
    # + 0.0 makes -0.0 positive: the angle of the negative axis is pi.
    return FeatureMap(np.arctan2(plane[:, 1] + 0.0, plane[:, 0]), amplitudes(plane, outputs, kind))
