"""Rank and size of weight matrices, and cosines with reference directions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError


def squared_spectral_norm(weights: Float[np.ndarray, "h D"]) -> float:
    r"""$\|W\|_2^2$, the largest squared singular value."""
    return float(np.linalg.norm(weights, 2) ** 2)


def stable_rank(weights: Float[np.ndarray, "h D"]) -> float:
    r"""$\|W\|_F^2/\|W\|_2^2$, between 1 and the rank.

    Raises:
        DataError: the matrix is zero or not finite.
    """
    largest = squared_spectral_norm(weights)
    if not (np.isfinite(largest) and largest > 0):
        raise DataError(
            f"the stable rank needs a finite, nonzero matrix (spectral norm^2 = {largest})",
            expected="weights with at least one nonzero, finite entry",
            fix="drop times before the start or after a blow-up",
        )
    # Scaled before squaring: weights at initialization scale 1e-200 would underflow.
    return float(np.sum((weights / np.sqrt(largest)) ** 2))


def cosines(
    vectors: Float[np.ndarray, "h D"], direction: Float[np.ndarray, " D"]
) -> Float[np.ndarray, " h"]:
    """Cosine of each row with a direction; NaN for a zero row."""
    norms = np.linalg.norm(vectors, axis=1)
    products = vectors @ (direction / np.linalg.norm(direction))
    return np.divide(products, norms, out=np.full(norms.shape, np.nan), where=norms > 0)
