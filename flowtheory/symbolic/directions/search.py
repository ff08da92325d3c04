r"""Any dimension and order: Newton's method on the sphere from random starts.

Each start is used three times: as it is, after ascent of $H$ and after ascent of $-H$, so that
maxima of $|H|$, where neurons condense, are not left to Newton's basins. The ascent is the shifted
power iteration $u \leftarrow (s\nabla H + \alpha u)/|\cdot|$ with
$\alpha = \max(0, -\lambda_{\min}(s\nabla^2 H(u)))$ (Kolda and Mayo, SIAM J. Matrix Anal. Appl. 35
(2014)).
"""

from __future__ import annotations

import numpy as np

from flowtheory.symbolic.directions.moment import Moment

STARTS, PATIENCE, MOST_ROUNDS = 60, 3, 60
_ASCENT, _NEWTON = 40, 40
_RESIDUAL, _SAME = 1e-11, 1e-6


def search(moment: Moment, most: int, seed: int) -> np.ndarray:
    """Critical unit vectors (k, D), one a line; stops at `most` or when nothing new is found."""
    random = np.random.default_rng(seed)
    found = np.empty((0, moment.dimension))
    idle = 0
    for _ in range(MOST_ROUNDS):
        U = _normalized(random.standard_normal((STARTS, moment.dimension)))
        starts = np.concatenate([U, _ascend(moment, U, 1), _ascend(moment, U, -1)])
        more = _distinct(found, _newton(moment, starts))
        idle = 0 if len(more) > len(found) else idle + 1
        found = more
        if idle == PATIENCE or len(found) >= most:
            break
    return found


def _ascend(moment: Moment, U: np.ndarray, sign: int) -> np.ndarray:
    for _ in range(_ASCENT):
        lowest = np.linalg.eigvalsh(sign * moment.hessian(U))[:, :1]
        step = sign * moment.gradient(U) + np.maximum(0, -lowest) * U
        U = np.where(np.linalg.norm(step, axis=1, keepdims=True) > 0, _normalized(step), U)
    return U


def _newton(moment: Moment, U: np.ndarray) -> np.ndarray:
    r"""Solve $\nabla H(u) = \mu u$, $|u| = 1$ from each row; those that converged."""
    D = moment.dimension
    for _ in range(_NEWTON):
        gradient = moment.gradient(U)
        mu = np.einsum("bd,bd->b", gradient, U)
        system = np.zeros((len(U), D + 1, D + 1))
        system[:, :D, :D] = moment.hessian(U) - mu[:, None, None] * np.eye(D)
        system[:, :D, D] = -U
        system[:, D, :D] = U
        right = np.concatenate([mu[:, None] * U - gradient, np.zeros((len(U), 1))], axis=1)
        U = _normalized(U + _solved(system, right)[:, :D])
    gradient = moment.gradient(U)
    mu = np.einsum("bd,bd->b", gradient, U)
    residual = np.linalg.norm(gradient - mu[:, None] * U, axis=1)
    return U[residual <= _RESIDUAL * moment.magnitude()]


def _solved(systems: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solutions, one a system; by least squares where degenerate directions make one singular."""
    try:
        return np.linalg.solve(systems, right[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        return (np.linalg.pinv(systems, rcond=1e-13) @ right[:, :, None])[:, :, 0]


def _distinct(found: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """`found` and those `candidates` that are none of them, up to sign."""
    for u in candidates:
        distances = np.minimum(np.linalg.norm(found - u, axis=1), np.linalg.norm(found + u, axis=1))
        if not (distances < _SAME).any():
            found = np.concatenate([found, u[None]])
    return found


def _normalized(U: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(U, axis=1, keepdims=True)
    return U / np.where(norm > 0, norm, 1)
