r"""Orders 1 and 2: the direction of $z$, and the eigenvectors of $M$.

For $p = 2$, $\nabla H = 2Mu$ and $H(u) = u^TMu$ is the eigenvalue. An eigenvalue of multiplicity
$m$ has a great sphere $S^{m-1}$ of critical directions. For rational $M$ the multiplicities come
from the characteristic polynomial and are exact; vectors are float64 in every case, and spaces
whose eigenvalues rounding does not tell apart show as degenerate.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sympy import QQ, Poly, Symbol
from sympy.polys.matrices import DomainMatrix

from flowtheory.symbolic.directions.moment import Moment
from flowtheory.symbolic.directions.roots import real_roots

# Equal eigenvalues of a float64 matrix, relative to the largest.
EQUAL = 1e-11
EXACT_DIMENSION = 24


@dataclass(frozen=True, eq=False)
class Eigenspace:
    r"""An orthonormal `basis` (D, m) with the eigenvalue, $H$ on it.

    `curvatures` are $2(\lambda_j - \lambda)$ over the eigenvalues $\lambda_j$ of the other spaces.
    """

    basis: np.ndarray
    value: float
    curvatures: np.ndarray


def eigenspaces(moment: Moment) -> tuple[list[Eigenspace], bool]:
    """The eigenspaces of $M$; and whether their dimensions are exact."""
    D = moment.dimension
    M = moment.hessian(np.eye(1, D))[0] / 2
    values, vectors = np.linalg.eigh((M + M.T) / 2)
    exact = moment.exact and D <= EXACT_DIMENSION
    sizes = _exact_sizes(moment) if exact else _close_sizes(values)
    edges = np.cumsum([0, *sizes])
    spaces = []
    for start, end in pairwise(edges):
        value = float(values[start:end].mean())
        others = np.concatenate([values[:start], values[end:]])
        spaces.append(Eigenspace(vectors[:, start:end], value, 2 * (others - value)))
    return spaces, exact


def _exact_sizes(moment: Moment) -> list[int]:
    """Multiplicities in increasing order of the eigenvalue, from the characteristic polynomial."""
    D = moment.dimension
    rows = [[moment.coefficient(_pair(i, j, D)) for j in range(D)] for i in range(D)]
    matrix = DomainMatrix.from_list_sympy(D, D, rows).convert_to(QQ)
    return [
        root.multiplicity
        for root in real_roots(Poly.from_list(matrix.charpoly(), Symbol("x"), domain=QQ))
    ]


def _pair(i: int, j: int, dimension: int) -> tuple[int, ...]:
    return tuple((k == i) + (k == j) for k in range(dimension))


def _close_sizes(values: np.ndarray) -> list[int]:
    gaps = np.diff(values) > EQUAL * np.abs(values).max()
    edges = np.flatnonzero(np.concatenate([[True], gaps, [True]]))
    return [int(m) for m in np.diff(edges)]
