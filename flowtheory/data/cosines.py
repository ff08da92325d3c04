r"""Cosines of all pairs of rows, block by block, so that no $n \times n$ float matrix is stored."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

_BLOCK_ENTRIES = 1 << 22  # 32 MB of float64 per block of cosines


def unit_rows(z: Float[np.ndarray, "n D"]) -> Float[np.ndarray, "n D"]:
    r"""The rows $z_i/|z_i|$; no row may be zero."""
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def cosine_blocks(
    unit: Float[np.ndarray, "n D"],
) -> Iterator[tuple[int, Float[np.ndarray, "b m"]]]:
    r"""Upper part of the matrix of cosines $\langle u_i, u_j\rangle$ of unit rows $u_i$.

    Yields `(start, block)` with `block[r, s]` the cosine of rows `start + r` and `start + s`,
    `m = n - start`. Entries with `s <= r` (the diagonal, and pairs that occur as `(s, r)`) are
    `inf`, so that minima and comparisons from below see each unordered pair exactly once.
    Values are clipped to $[-1, 1]$: two copies of a row would otherwise give $1 + 2^{-52}$.
    """
    n = len(unit)
    size = max(1, _BLOCK_ENTRIES // n)
    for start in range(0, n, size):
        block = unit[start : start + size] @ unit[start:].T
        np.clip(block, -1.0, 1.0, out=block)
        block[np.tril_indices(len(block), m=block.shape[1])] = np.inf
        yield start, block
