r"""Three linear layers of any width as three layers of a small one.

For $H = s\,a^TWc$, $\dot a = sWc$, $\dot W = s\,ac^T$, $\dot c = sW^Ta$. Since $W^TW - cc^T$ and
$WW^T - aa^T$ are constant, $c$ never leaves the span of $c, W^Ta, W^TWc, \dots$ at the start, nor
$a$ that of $a, Wc, WW^Ta, \dots$; and $W(t) - W(0)$ maps the first into the second. In orthonormal
bases $U$, $V$ of them the flow is that of $U^Tc$, $V^TWU$, $V^Ta$. Cut after $r$ vectors, what is
lost is of the order of $(s\|W\|t)^r/r!$ and shows as the last component of $U^Tc$ and $V^Ta$.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

_DEPENDENT = 1e-13


class ThreeLayers(NamedTuple):
    r"""$c$, $W$ and $a$ of $H = s\,a^TWc$."""

    c: Float[np.ndarray, " m"]
    W: Float[np.ndarray, "h m"]
    a: Float[np.ndarray, " h"]


class Compressed(NamedTuple):
    r"""Three layers in Krylov bases.

    Attributes:
        layers: the small layers.
        U: orthonormal columns, in which `layers.c` is given; zero columns where the space ends.
        V: the same for `layers.a`.
    """

    layers: ThreeLayers
    U: Float[np.ndarray, "m r"]
    V: Float[np.ndarray, "h r"]

    def rebuild(self, start: ThreeLayers, now: ThreeLayers, unit: float = 1.0) -> ThreeLayers:
        """The layers of full width in any unit: `now` and the result are in it, the rest is not.

        Args:
            start: The layers of full width at the start.
            now: The small layers, divided by `unit`.
            unit: The unit; a large one keeps the numbers finite close to a blow-up.
        """
        change = now.W - self.layers.W / unit
        W = start.W / unit + self.V @ change @ self.U.T
        return ThreeLayers(self.U @ now.c, W, self.V @ now.a)

    def lost(self, now: ThreeLayers) -> float:
        """The larger last component of the small vectors, relative to them: 0 if nothing is cut."""
        if not (np.any(self.U[:, -1]) or np.any(self.V[:, -1])):
            return 0.0
        ends = (abs(now.c[-1]) / np.linalg.norm(now.c), abs(now.a[-1]) / np.linalg.norm(now.a))
        return float(max(ends))


def compress(layers: ThreeLayers, size: int) -> Compressed:
    r"""The layers in Krylov bases of `size` vectors.

    Args:
        layers: The layers at the start.
        size: $r$, at most the smaller width.
    """
    c, W, a = layers
    U, V = np.zeros((len(c), size)), np.zeros((len(a), size))
    u, v = c, a
    for j in range(size):
        U[:, j], V[:, j] = _new_direction(u, U[:, :j]), _new_direction(v, V[:, :j])
        u, v = W.T @ V[:, j], W @ U[:, j]
    return Compressed(ThreeLayers(U.T @ c, V.T @ W @ U, V.T @ a), U, V)


def _new_direction(vector: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """The part orthogonal to the basis at length 1; zero if there is none."""
    rest = vector
    for _ in range(2):  # once more, for what roundoff of the first pass has left
        rest = rest - basis @ (basis.T @ rest)
    length = np.linalg.norm(rest)
    return rest / length if length > _DEPENDENT * np.linalg.norm(vector) else np.zeros_like(vector)
