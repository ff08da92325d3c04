"""Rank and size of weight matrices, and cosines with reference directions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError
from flowtheory.measure.checks import as_matrix
from flowtheory.measure.measurement import Measurement


def singular_values(weights: Float[np.ndarray, "h D"]) -> Float[np.ndarray, " r"]:
    r"""$\sigma_1 \ge \dots \ge \sigma_{\min(h, D)}$, each to rounding of $\sigma_1$.

    Args:
        weights: a matrix.

    Raises:
        DataError: not a finite matrix.
    """
    return np.linalg.svd(as_matrix(weights), compute_uv=False)


def squared_spectral_norm(weights: Float[np.ndarray, "h D"]) -> float:
    r"""$\|W\|_2^2$, the largest squared singular value."""
    return float(np.linalg.norm(weights, 2) ** 2)


def stable_rank(weights: Float[np.ndarray, "h D"]) -> Measurement:
    r"""$\|W\|_F^2/\|W\|_2^2$, between 1 and the rank.

    Args:
        weights: a matrix.

    Raises:
        DataError: the matrix is zero or not finite.
    """
    shares = _relative(weights, "the stable rank") ** 2
    return Measurement.exact(float(shares.sum()), "|W|_F^2 / |W|_2^2")


def effective_rank(weights: Float[np.ndarray, "h D"]) -> Measurement:
    r"""$\exp(-\sum_i p_i \ln p_i)$, $p_i = \sigma_i/\sum_j\sigma_j$ (Roy and Vetterli 2007).

    It lies between the stable rank and the rank.

    Args:
        weights: a matrix.

    Raises:
        DataError: the matrix is zero or not finite.
    """
    parts = _relative(weights, "the effective rank")
    parts = parts[parts > 0] / parts.sum()
    definition = "exp of the entropy of singular values over their sum"
    return Measurement.exact(float(np.exp(-np.sum(parts * np.log(parts)))), definition)


def _relative(weights: Float[np.ndarray, "h D"], name: str) -> Float[np.ndarray, " r"]:
    """Singular values over the largest: weights at scale 1e-200 would underflow when squared."""
    matrix = as_matrix(weights)
    unit = np.max(np.abs(matrix))
    if unit == 0:
        raise DataError(
            f"{name} needs a nonzero matrix",
            expected="weights with at least one nonzero entry",
            fix="drop times before the start",
        )
    values = singular_values(matrix / unit)
    return values / values[0]


def cosines(
    vectors: Float[np.ndarray, "h D"], direction: Float[np.ndarray, " D"]
) -> Float[np.ndarray, " h"]:
    """Cosine of each row with a direction; NaN for a zero row."""
    norms = np.linalg.norm(vectors, axis=1)
    products = vectors @ (direction / np.linalg.norm(direction))
    return np.divide(products, norms, out=np.full(norms.shape, np.nan), where=norms > 0)
