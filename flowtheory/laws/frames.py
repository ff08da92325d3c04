r"""Deep linear layers in random orthogonal frames: $W_l = R_l\,\mathrm{diag}(g)\,R_{l-1}^T$.

What holds for diagonal layers and does not depend on coordinates holds here; a law that is tested
in random frames does not owe its agreement to zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

Matrix = Float[np.ndarray, "rows columns"]


@dataclass(frozen=True)
class Frames:
    """One orthogonal matrix for each space between layers: inputs, hidden ones, outputs."""

    matrices: tuple[Matrix, ...]

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.matrices) - 1

    @property
    def width(self) -> int:
        """Hidden units of the first hidden layer."""
        return len(self.matrices[1])

    def between(self, values: Sequence[float], below: int, above: int) -> Matrix:
        """The map with these singular values from the space `below` to the space `above`."""
        first, last = self.matrices[below], self.matrices[above]
        k = len(values)
        return (last[:, :k] * np.asarray(values)) @ first[:, :k].T

    def layers(self, gains: Sequence[float]) -> list[Matrix]:
        """Balanced, aligned layers: the gain of each mode is the same in every layer."""
        return [self.between(gains, m, m + 1) for m in range(self.depth)]

    def moment(self, strengths: Sequence[float]) -> Matrix:
        """The matrix with these singular values that the product of the layers is to be."""
        return self.between(strengths, 0, self.depth)


def random_frames(sizes: Sequence[int], rng: np.random.Generator) -> Frames:
    """Frames from the uniform distribution on the orthogonal group, of the sizes given."""
    return Frames(tuple(orthogonal(size, rng) for size in sizes))


def orthogonal(size: int, rng: np.random.Generator) -> Matrix:
    """An orthogonal matrix from the uniform (Haar) distribution."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    return q * np.sign(np.diag(r))


def regauged(layers: Sequence[Matrix], rng: np.random.Generator) -> list[Matrix]:
    """Layers of the same product that are neither balanced nor aligned: G between two of them."""
    found = list(layers)
    for m, (_, above) in enumerate(pairwise(layers)):
        size = above.shape[1]
        change = orthogonal(size, rng) * rng.uniform(0.5, 2.0, size)
        found[m], found[m + 1] = change @ found[m], found[m + 1] @ np.linalg.inv(change)
    return found
