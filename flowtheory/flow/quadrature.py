r"""Few weighted nodes for many neurons: Gauss rules of a projection of the sum over neurons.

Any rows $Z = P^T\Theta$ with $P$ orthonormal and any weights $\omega_k > 0$ are nodes $\theta_k =
z_k/\sqrt{\omega_k}$. All second moments $\sum_k\omega_k\theta_k\theta_k^T = Z^TZ$ are those of
$\Theta$ if nothing is left over, and then a linear network moves with the nodes as it does with
the neurons. $P$ and $\omega$ are chosen for the rest.

Let $a$ be the leading coordinate of the neurons (that of the top eigenvector of
$\Theta^T\Theta$), $b$ the others, and $g = a$, or $g = a^2$ if $\theta$ and $-\theta$ do the same.
With $Q$ the orthonormal basis that Lanczos' iteration makes of $a, ga, g^2a, \dots$,
$J = Q^T g Q = V\Lambda V^T$ and $P = QV$, the weights $\omega_k = z_{ka}^2/a_k^2$ with
$g(a_k) = \Lambda_k$ are those of the Gauss rule of the measure $\sum_j a_j^2\delta_{g_j}$ over
$a^2$ (Golub and Welsch 1969): $\sum_j a_j^2 g_j^l$ is exact for $l \le 2K - 1$. So are
$\sum_j a_j b_j g_j^l$ for $l \le K - 1$, since $P^Tb$ is what of $b$ depends on $a$ as a polynomial.
What is left of $b$ enters by its second moments only, in further nodes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

_DEPENDENT = 1e-7
_KURTOSIS = 3.0
_SMALLEST = 1e-3


class Rule(NamedTuple):
    r"""A Gauss rule and the basis it comes from.

    Attributes:
        points: $\Lambda_k$.
        weights: of $\sum_j u_j^2\delta_{g_j}$.
        basis: $P$, orthonormal columns; $P_{jk} = u_j\,\ell_k(g_j)\sqrt{\cdot}$, $\ell_k$ the
            Lagrange polynomials of the points.
    """

    points: Float[np.ndarray, " K"]
    weights: Float[np.ndarray, " K"]
    basis: Float[np.ndarray, "m K"]


def gauss_rule(g: Float[np.ndarray, " m"], u: Float[np.ndarray, " m"], size: int) -> Rule:
    r"""The Gauss rule of at most `size` points of the measure $\sum_j u_j^2\,\delta_{g_j}$.

    Lanczos' iteration with each vector made orthogonal to all before it, twice; it ends early where
    the measure has fewer points.

    Args:
        g: The points of the measure.
        u: Square roots of its weights, with the sign that the basis is to have.
        size: $K$.
    """
    total = float(np.linalg.norm(u))
    Q = np.zeros((min(size, len(g)), len(g)))
    Q[0] = u / total
    scale = float(np.max(np.abs(g)))
    for k in range(1, len(Q)):
        rest = g * Q[k - 1]
        for _ in range(2):  # once more, for what roundoff of the first pass has left
            rest = rest - (Q[:k] @ rest) @ Q[:k]
        length = float(np.linalg.norm(rest))
        if length <= _DEPENDENT * scale:
            Q = Q[:k]
            break
        Q[k] = rest / length
    points, V = np.linalg.eigh((Q * g) @ Q.T)
    return Rule(points, (total * V[0]) ** 2, Q.T @ V)


class Nodes(NamedTuple):
    r"""Weighted nodes: $\theta_k$, shape (K, p), and $\omega_k$, shape (K,)."""

    theta: Float[np.ndarray, "K p"]
    weights: Float[np.ndarray, " K"]

    def rows(self) -> Float[np.ndarray, "K p"]:
        r"""$\sqrt{\omega_k}\,\theta_k$."""
        return np.sqrt(self.weights)[:, None] * self.theta


class Compression(NamedTuple):
    r"""Neurons $\Theta$ as $P Z + \Theta_\perp$, $P^T\Theta_\perp = 0$.

    Attributes:
        core: the nodes of the Gauss rule, $z_k/\sqrt{\omega_k}$.
        basis: $P$.
        rest: rows $R$ with $R^TR = \Theta_\perp^T\Theta_\perp$, the largest first, $p - 1$ or fewer.
        width: $m$.
    """

    core: Nodes
    basis: Float[np.ndarray, "m K"]
    rest: Float[np.ndarray, "r p"]
    width: int

    def nodes(self) -> Nodes:
        """Core and rest, the rest at the size that Gaussian coordinates would have."""
        weights = np.full(len(self.rest), self.width / _KURTOSIS)
        return _join(self.core, self.rest, weights)

    def bundled(self) -> Nodes:
        """Core and one node with the energy of the rest, in a direction that touches all of it."""
        signs = np.sign(np.cos(1.0 + 2.0 * np.arange(len(self.rest))))
        return _join(self.core, (signs @ self.rest)[None, :], np.array([self.width / _KURTOSIS]))

    def spread(self) -> Nodes:
        r"""The rest as the spread of a node of the core: the corners of a simplex around it.

        Second moments as in `nodes`; fourth moments of two leading and two other coordinates, which
        are 0 there, are here those of that node.
        """
        heaviest = int(np.argmax(np.linalg.norm(self.core.rows(), axis=1)))
        corner = np.vstack([self.core.rows()[heaviest], self.rest])
        count = len(corner)
        turn = _simplex(count)
        weight = self.core.weights[heaviest] / count
        others = Nodes(*(np.delete(a, heaviest, axis=0) for a in self.core))
        return _join(others, turn @ corner, np.full(count, weight))


def _join(core: Nodes, rows: np.ndarray, weights: np.ndarray) -> Nodes:
    theta = np.vstack([core.theta, rows / np.sqrt(weights)[:, None]])
    return Nodes(theta, np.concatenate([core.weights, weights]))


def _simplex(count: int) -> Float[np.ndarray, "c c"]:
    """An orthogonal matrix whose first column is constant."""
    mirror = np.full(count, 1 / np.sqrt(count))
    mirror[0] -= 1.0
    size = mirror @ mirror
    return np.eye(count) - (2 / size) * np.outer(mirror, mirror) if size > 0 else np.eye(1)


def compress(theta: Float[np.ndarray, "m p"], size: int, *, even: bool) -> Compression:
    r"""The neurons `theta` as a Gauss rule of `size` nodes and a rest.

    Args:
        theta: One neuron a row.
        size: $K$.
        even: Whether $\theta$ and $-\theta$ do the same.
    """
    values, modes = np.linalg.eigh(theta.T @ theta)
    a = theta @ modes[:, -1]
    rule = gauss_rule(a**2 if even else a, a, size)
    rows = rule.basis.T @ theta
    typical = np.sqrt(values[-1] / len(theta))
    at = np.sqrt(np.maximum(rule.points, 0.0)) if even else np.abs(rule.points)
    # A node at 0 may have any size: only its second moments count.
    weights = rule.weights / np.maximum(at, _SMALLEST * typical) ** 2
    left = theta - rule.basis @ rows
    variances, axes = np.linalg.eigh(left.T @ left)
    kept = variances[::-1][: theta.shape[1] - 1]
    rest = np.sqrt(np.maximum(kept, 0.0))[:, None] * axes.T[::-1][: len(kept)]
    core = Nodes(rows / np.sqrt(weights)[:, None], weights)
    return Compression(core, rule.basis, rest, len(theta))
