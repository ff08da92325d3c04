r"""Jumps of a diagonal linear network between saddles, in the limit of a vanishing start.

$\beta = u \odot v$, $L(\beta) = \frac{1}{2n}|X\beta - y|^2$, $u(0) = \sqrt2\,\alpha$, $v(0) = 0$:
then $\beta_i = \alpha^2\sinh 2S_i$ with $\dot S_i = -\partial_i L$. In units $\ln(1/\alpha)$ of
time and of $S$ a coordinate is of order 1 exactly if $|S_i| = 1$, and as $\alpha \to 0$ it is at
rest but for jumps: whenever some $S_i$ reaches $\pm1$, $\beta$ becomes the least-squares solution
over the coordinates with $|S_i| = 1$, each with the sign of its $S_i$ or zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError

Minimizer = Callable[[Float[np.ndarray, " D"]], Float[np.ndarray, " D"]]

_TIE = 1e-10  # relative: of integrals that reach their ends together
_REST = 1e-12  # of the largest slope at the start: slopes that count as zero


@dataclass(frozen=True, eq=False)
class DiagonalJumps:
    r"""The path of the limit, $K$ jumps; times in units of $\ln(1/\alpha)$.

    Attributes:
        times: of the jumps.
        coefficients: $\beta$ before the first jump (zero) and after each.
        slopes: $-\nabla L$ there, the rates of $S$.
        integrals: $S$ at the jumps.
        losses: $L$ before the first jump and after each.
    """

    times: Float[np.ndarray, " K"]
    coefficients: Float[np.ndarray, "K+1 D"]
    slopes: Float[np.ndarray, "K+1 D"]
    integrals: Float[np.ndarray, "K D"]
    losses: Float[np.ndarray, " K+1"]

    @property
    def active(self) -> np.ndarray:
        """Which coordinates are not zero, [K + 1, D]."""
        return self.coefficients != 0


def diagonal_jumps(x: Float[np.ndarray, "n D"], y: Float[np.ndarray, " n"]) -> DiagonalJumps:
    r"""All jumps from $\beta = 0$ to the minimum of the loss.

    The algorithm is that of Pesme and Flammarion (2023, arXiv:2304.00488); it is exact for data in
    general position, where every least-squares problem on the way has one solution.

    Args:
        x: inputs.
        y: targets.

    Raises:
        DataError: shapes that clash, numbers that are not finite, or data that are not in general
            position.
    """
    from scipy.optimize import nnls

    x, y = _checked(x, y)

    def minimizer(signs: Float[np.ndarray, " D"]) -> Float[np.ndarray, " D"]:
        on = np.flatnonzero(signs)
        _require_unique(x[:, on])
        beta = np.zeros(x.shape[1])
        beta[on] = signs[on] * nnls(x[:, on] * signs[on], y)[0]
        return beta

    return follow(x, y, minimizer)


def follow(
    x: Float[np.ndarray, "n D"], y: Float[np.ndarray, " n"], minimizer: Minimizer
) -> DiagonalJumps:
    r"""The path with any rule for what $\beta$ becomes.

    Args:
        x: inputs.
        y: targets.
        minimizer: the signs of the $S_i$ with $|S_i| = 1$, 0 for the others -> $\beta$.
    """
    n, D = x.shape
    S, beta, now = np.zeros(D), np.zeros(D), 0.0
    slope = x.T @ y / n
    rest = _REST * np.abs(slope).max(initial=0.0)
    times: list[float] = []
    betas, slopes, integrals = [beta], [slope], []
    while (left := _time_left(S, slope, rest)).min(initial=np.inf) < np.inf:
        step = left.min()
        S = S + step * np.where(np.abs(slope) > rest, slope, 0.0)
        hit = left <= step * (1 + _TIE)
        S[hit] = np.sign(slope[hit])
        now += step
        beta = minimizer(np.where(np.abs(S) >= 1, np.sign(S), 0.0))
        slope = x.T @ (y - x @ beta) / n
        slope[beta != 0] = 0.0  # but for rounding
        times.append(now)
        betas.append(beta)
        slopes.append(slope)
        integrals.append(S)
        if len(times) > 4**D:
            raise DataError(
                f"{len(times)} jumps without an end",
                expected="each set of active coordinates at most once",
                fix="the data are not in general position: remove columns that depend on others",
            )
    losses = [float(np.mean((y - x @ b) ** 2)) / 2 for b in betas]
    return DiagonalJumps(
        np.array(times),
        np.array(betas),
        np.array(slopes),
        np.array(integrals).reshape(len(times), D),
        np.array(losses),
    )


def _time_left(
    S: Float[np.ndarray, " D"], slope: Float[np.ndarray, " D"], rest: float
) -> Float[np.ndarray, " D"]:
    """Until each integral reaches the end that it moves to; infinite where it rests or is there."""
    moving = (np.abs(slope) > rest) & (S * np.sign(slope) < 1)
    return np.where(moving, (1 - S * np.sign(slope)) / np.where(moving, np.abs(slope), 1.0), np.inf)


def _checked(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 2 or y.shape != x.shape[:1] or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError(
            f"x has shape {x.shape} and y {y.shape}, or a number is not finite",
            expected="finite arrays of shapes (n, D) and (n,)",
            fix="one row of x for every entry of y",
        )
    return x, y


def _require_unique(columns: Float[np.ndarray, "n a"]) -> None:
    if np.linalg.matrix_rank(columns) < columns.shape[1]:
        raise DataError(
            f"{columns.shape[1]} active coordinates of rank {np.linalg.matrix_rank(columns)}",
            expected="data in general position: active columns of full rank",
            fix="remove columns of x that depend on others",
        )
