r"""The top of the spectrum of a symmetric operator of which only products are known.

ARPACK's Lanczos iteration (`scipy.sparse.linalg.eigsh`) does the work. Two things are ours, because
a Hessian at a saddle needs them:

- its convergence is judged relative to the eigenvalue, so that an eigenvalue 0 would never
  converge: it is given $A + sI$ with $s \ge |A|$, and every error is relative to $s$;
- a Krylov space holds one vector of a multiple eigenvalue: eigenvectors that were found are
  projected out and the iteration is started again, from a random vector, until nothing above the
  level is left. Such a vector has a component in every eigenspace with probability 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

Product = Callable[[Float[np.ndarray, " n"]], Float[np.ndarray, " n"]]

_ACCURACY = 1e-8  # of a residual, relative to the norm of the operator
_BASIS = 48  # vectors kept at least: clustered eigenvalues need more than eigsh's 20
_ROUGH = 1e-3  # of the norm: only an upper bound of it is needed
_LARGEST_BATCH = 64


class Top(NamedTuple):
    """The largest eigenvalues.

    Attributes:
        values: in decreasing order.
        vectors: orthonormal, one a column.
        exhausted: whether the last run, without the vectors found before, converged to a value at
            or below the level, or there is no other vector.
        converged: whether every run converged.
    """

    values: Float[np.ndarray, " k"]
    vectors: Float[np.ndarray, "n k"]
    exhausted: bool
    converged: bool


def norm_bound(product: Product, n: int, rng: np.random.Generator, max_products: int) -> float:
    """An upper bound of the largest modulus of an eigenvalue, about 1 % above it; 0 for A = 0."""
    probe = product(rng.standard_normal(n))
    if not probe.any():
        return 0.0
    # The probe lies in the range of A, where alone an eigenvector to a value != 0 can be.
    values, _, converged = _largest(product, n, 1, probe, "LM", _ROUGH, max_products)
    # The norm of a vector's image grows under A^2: without convergence, twice the best estimate.
    known = abs(values[0]) if values.size else np.linalg.norm(product(probe / _length(probe)))
    return float((1.01 if converged else 2.0) * known)


def top(
    product: Product,
    n: int,
    norm: float,
    rng: np.random.Generator,
    *,
    least: int,
    level: float,
    limit: int,
    max_products: int,
) -> Top:
    """The largest eigenvalues, at least `least`, and all above `level` if these are < `limit`.

    Args:
        product: v -> A v, A symmetric of order `n`.
        n: the order.
        norm: an upper bound of the modulus of the eigenvalues, positive.
        rng: for start vectors.
        least: how many are wanted in any case.
        level: values above it are all looked for.
        limit: but not more than about this many.
        max_products: budget of products with A; what has not converged then is left out.
    """
    values, vectors = np.empty(0), np.empty((n, 0))
    batch, spent = min(least, n - 1), 0
    while True:

        def shifted(v: np.ndarray, found: np.ndarray = vectors) -> np.ndarray:
            nonlocal spent
            spent += 1
            v = v - found @ (found.T @ v)
            image = product(v) + norm * v
            return image - found @ (found.T @ image)

        start = rng.standard_normal(n)
        new, basis, converged = _largest(shifted, n, batch, start, "LA", _ACCURACY, max_products)
        new = new - norm
        vectors, _ = np.linalg.qr(np.hstack([vectors, basis]))
        values = np.concatenate([values, new])
        order = np.argsort(-values)
        values, vectors = values[order], vectors[:, order]
        # A run that stopped above the level has not shown that nothing is left there.
        exhausted = converged and bool(new.min() <= level)
        if exhausted and not (new > level).any():
            return Top(values, vectors, True, True)
        if not converged or values.size >= min(limit, n):
            return Top(values, vectors, converged and values.size >= n, converged)
        # A last run with a fresh start looks for further copies of what was found.
        batch = 1 if exhausted else min(2 * batch, _LARGEST_BATCH)
        batch = min(batch, n - values.size, n - 1)


def _largest(
    product: Product,
    n: int,
    count: int,
    start: np.ndarray,
    which: str,
    tol: float,
    max_products: int,
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Eigenvalues in decreasing order with their vectors, and whether all have converged."""
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    make: Any = LinearOperator  # SciPy's signature is that of its subclasses
    operator = make((n, n), matvec=lambda v: product(np.ravel(v)), dtype=np.float64)
    basis = min(n, max(2 * count + 1, _BASIS))
    restarts = max(1, max_products // basis)
    solve: Any = eigsh  # its `tol` is annotated as an integer
    try:
        values, vectors = solve(
            operator, count, which=which, v0=start, tol=tol, ncv=basis, maxiter=restarts
        )
        converged = True
    except ArpackNoConvergence as error:
        values, vectors, converged = error.eigenvalues, error.eigenvectors, False
    order = np.argsort(-values)
    return values[order], vectors[:, order], converged


def _length(v: np.ndarray) -> float:
    return float(np.linalg.norm(v))
