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
$a_k^2$ (Golub and Welsch 1969): $\sum_j a_j^2 g_j^l$ is exact for $l \le 2K - 1$. So is
$\sum_j a_j b_j g_j^l$ for $l \le K - 1$, since $P^Tb$ is what of $b$ depends on $a$ as a
polynomial. What is left of $b$ enters by its second moments only, in further nodes.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

_DEPENDENT = 1e-7
_EMPTY = 1e-13
_KURTOSIS = 3.0
_SMALLEST = 1e-3


class Krylov(NamedTuple):
    r"""Lanczos' basis of a measure $\sum_j u_j^2\,\delta_{g_j}$.

    Attributes:
        basis: $Q$, orthonormal columns, the first one $u/|u|$.
        matrix: $J = Q^T g Q$, tridiagonal.
        total: $|u|$.
    """

    basis: Float[np.ndarray, "m K"]
    matrix: Float[np.ndarray, "K K"]
    total: float

    def rule(self, size: int) -> Rule:
        """The Gauss rule of `size` points, fewer if the measure has fewer."""
        size = min(size, len(self.matrix))
        points, V = np.linalg.eigh(self.matrix[:size, :size])
        V = V * np.where(V[0] < 0, -1.0, 1.0)
        return Rule(points, (self.total * V[0]) ** 2, self.basis[:, :size] @ V)


class Rule(NamedTuple):
    r"""A Gauss rule and the basis it comes from.

    Attributes:
        points: eigenvalues of $J$.
        weights: of $\sum_j u_j^2\delta_{g_j}$.
        basis: $P$, orthonormal columns; $P_{jk} = \pm u_j\ell_k(g_j)/\sqrt{w_k}$ with $\ell_k$ the
            Lagrange polynomials of the points and $w_k$ the weights.
    """

    points: Float[np.ndarray, " K"]
    weights: Float[np.ndarray, " K"]
    basis: Float[np.ndarray, "m K"]


def lanczos(g: Float[np.ndarray, " m"], u: Float[np.ndarray, " m"], size: int) -> Krylov:
    r"""Lanczos' iteration with each vector made orthogonal to all before it, twice.

    Args:
        g: The points of the measure.
        u: Square roots of its weights, with the sign that the basis is to have.
        size: Vectors; fewer where the measure has fewer points.
    """
    total = float(np.linalg.norm(u))
    Q = np.zeros((min(size, len(g)), len(g)))
    Q[0] = u / total
    scale = float(np.max(np.abs(g)))
    for k in range(1, len(Q)):
        rest = g * Q[k - 1]
        for _ in range(2):  # once more, for what roundoff of the first pass has left
            rest = rest - (Q[:k] @ rest) @ Q[:k]
        length = float(np.sqrt(rest @ rest))
        if length <= _DEPENDENT * scale:
            Q = Q[:k]
            break
        Q[k] = rest / length
    return Krylov(Q.T, (Q * g) @ Q.T, total)


class Nodes(NamedTuple):
    r"""Weighted nodes with what they stand for: $\Theta \approx P\,(\sqrt{\omega_k}\,\theta_k)_k$.

    Attributes:
        theta: $\theta_k$, shape (K, p).
        weights: $\omega_k$.
        basis: $P$.
    """

    theta: Float[np.ndarray, "K p"]
    weights: Float[np.ndarray, " K"]
    basis: Float[np.ndarray, "m K"]

    def rebuild(self, theta: Float[np.ndarray, "K p"]) -> Float[np.ndarray, "m p"]:
        """All neurons where the nodes are at `theta`."""
        return self.basis @ (np.sqrt(self.weights)[:, None] * theta)


def _from_rows(rows: np.ndarray, weights: np.ndarray, basis: np.ndarray) -> Nodes:
    return Nodes(rows / np.sqrt(weights)[:, None], weights, basis)


class Compression:
    r"""Neurons $\Theta$ as $PZ + \Theta_\perp$, $P^T\Theta_\perp = 0$.

    Args:
        theta: The neurons, one a row.
        rule: The Gauss rule of the leading coordinate.
        weights: $\omega_k$ of its nodes.
    """

    def __init__(
        self,
        theta: Float[np.ndarray, "m p"],
        rule: Rule,
        weights: Float[np.ndarray, " K"],
    ) -> None:
        self._theta = theta
        self.rows = rule.basis.T @ theta
        self.core = _from_rows(self.rows, weights, rule.basis)

    @cached_property
    def left(self) -> Float[np.ndarray, "m p"]:
        r"""$\Theta_\perp$."""
        return self._theta - self.core.basis @ self.rows

    @cached_property
    def share(self) -> float:
        """What is left of the sum of all squares, relative."""
        left = float(np.sum(self.left**2))
        return left / (left + float(np.sum(self.rows**2)))

    @cached_property
    def rest(self) -> tuple[Float[np.ndarray, "r p"], Float[np.ndarray, "m r"]]:
        r"""$R$ and $q$ with $\Theta_\perp = qR$, $q^Tq = 1$, the largest rows first; r < p."""
        variances, axes = np.linalg.eigh(self.left.T @ self.left)
        sizes = np.sqrt(np.maximum(variances[::-1][: self.left.shape[1] - 1], 0.0))
        axes = axes[:, ::-1][:, : len(sizes)]
        there = sizes > _EMPTY * np.linalg.norm(self.rows)
        q = (self.left @ axes) / np.where(there, sizes, np.inf)
        return np.where(there, sizes, 0.0)[:, None] * axes.T, q

    @property
    def _outer_weight(self) -> float:
        """Of a node outside the core: the size that one of Gaussian coordinates would have."""
        return len(self.left) / _KURTOSIS

    @cached_property
    def bundle(self) -> tuple[Float[np.ndarray, "1 p"], Float[np.ndarray, "m 1"]]:
        """One row with the energy of the rest, in a direction that touches all of it."""
        signs = _signs(len(self.left))
        row = signs @ self.left
        length = np.sqrt(row @ row)
        row = row * (np.linalg.norm(self.left) / length if length > 0 else 0.0)
        return row[None, :], signs[:, None] / np.sqrt(len(signs))

    def around(self, bundled: bool) -> Nodes:
        """The core, and the rest (or its bundle) where the leading part is 0, one node a row."""
        rest, q = self.bundle if bundled else self.rest
        outer = np.full(len(rest), self._outer_weight)
        return _from_rows(
            np.vstack([self.rows, rest]),
            np.concatenate([self.core.weights, outer]),
            np.hstack([self.core.basis, q]),
        )

    def clustered(self, bundled: bool) -> Nodes:
        r"""The rest (or its bundle) as a spread of the heaviest node: a simplex around it.

        Second moments as in `around`. Moments of one or two leading coordinates and two others,
        which are 0 there, are here those of that node, which is more than there are.
        """
        rest, q = self.bundle if bundled else self.rest
        heavy = int(np.argmax(np.sum(self.rows**2, axis=1)))
        turn = _constant_first(1 + len(rest))
        corners = turn @ np.vstack([self.rows[heavy], rest])
        basis = np.hstack([self.core.basis[:, [heavy]], q]) @ turn.T
        weights = np.full(len(corners), self.core.weights[heavy] / len(corners))
        return _from_rows(
            np.vstack([np.delete(self.rows, heavy, axis=0), corners]),
            np.concatenate([np.delete(self.core.weights, heavy), weights]),
            np.hstack([np.delete(self.core.basis, heavy, axis=1), basis]),
        )


@lru_cache(maxsize=16)
def _signs(count: int) -> Float[np.ndarray, " c"]:
    """Signs without a pattern, the same ones at every call."""
    return np.sign(np.random.default_rng(0).standard_normal(count))


def _constant_first(count: int) -> Float[np.ndarray, "c c"]:
    """A symmetric orthogonal matrix whose first column is constant (Householder)."""
    mirror = np.full(count, 1 / np.sqrt(count))
    mirror[0] -= 1.0
    size = float(mirror @ mirror)
    return np.eye(count) - (2 / size) * np.outer(mirror, mirror) if size > 0 else np.eye(1)


def compress(
    theta: Float[np.ndarray, "m p"], sizes: tuple[int, ...], *, even: bool
) -> tuple[Compression, ...]:
    r"""The neurons `theta` with Gauss rules of several sizes, from one iteration.

    Args:
        theta: One neuron a row.
        sizes: $K$ of each, the largest first.
        even: Whether $\theta$ and $-\theta$ do the same.
    """
    values, modes = np.linalg.eigh(theta.T @ theta)
    a = theta @ modes[:, -1]
    krylov = lanczos(a**2 if even else a, a, sizes[0])
    typical = np.sqrt(values[-1] / len(theta))
    made = []
    for size in sizes:
        rule = krylov.rule(min(size, len(krylov.matrix)))
        at = np.sqrt(np.maximum(rule.points, 0.0)) if even else np.abs(rule.points)
        if not even:  # a node on the negative side stands there, not at its mirror image
            rule = rule._replace(basis=rule.basis * np.where(rule.points < 0, -1.0, 1.0))
        # A node at 0 may have any size: only its second moments count.
        weights = rule.weights / np.maximum(at, _SMALLEST * typical) ** 2
        made.append(Compression(theta, rule, weights))
    return tuple(made)
