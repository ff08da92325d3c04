r"""Straight-line fits whose interval holds both scatter and what the law itself neglects.

A slope of noise-free data has a standard error near zero; what then limits it is the law's own
remainder. If $y = s x + b + r(x)$ with $|r - \text{const}| \le R$, least squares is off by at most
$R \sum|x - \bar x| / \sum (x - \bar x)^2$, and that is added to the interval.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import stdtrit

from flowtheory.errors import DataError
from flowtheory.judge.verdict import Verdict

LEVEL = 0.99

_RANK = 1e-12  # of the largest: columns that depend on others


@dataclass(frozen=True)
class Fit:
    """A fitted slope, its interval, the prediction, and the wrong alternatives it must exclude."""

    name: str
    value: float
    low: float
    high: float
    predicted: float
    alternatives: tuple[tuple[str, float], ...] = ()
    points: int = 0

    def contains(self, slope: float) -> bool:
        """Whether a slope lies in the interval."""
        return self.low <= slope <= self.high

    @property
    def verdict(self) -> Verdict:
        """AGREES if the interval holds the prediction and none of the named alternatives."""
        if not np.isfinite([self.low, self.high]).all():
            return Verdict.INCONCLUSIVE
        if not self.contains(self.predicted):
            return Verdict.DISAGREES
        if any(self.contains(slope) for _, slope in self.alternatives):
            return Verdict.INCONCLUSIVE
        return Verdict.AGREES


def fit_slope(
    x: Float[np.ndarray, " k"],
    y: Float[np.ndarray, " k"],
    *,
    name: str,
    predicted: float,
    remainder: Float[np.ndarray, " k"] | float = 0.0,
    errors: Float[np.ndarray, " k"] | float = 0.0,
    groups: Sequence[Hashable] | None = None,
    beside: Sequence[Float[np.ndarray, " k"]] = (),
    replicates: bool = False,
    alternatives: tuple[tuple[str, float], ...] = (),
) -> Fit:
    """Slope of y against x by least squares, with its 99 % interval.

    Args:
        x: abscissae, at least 3 distinct.
        y: ordinates.
        name: what the slope is.
        predicted: the law's slope.
        remainder: bound on the deviation from a straight line that the law itself allows.
        errors: half-widths of the intervals that hold the ordinates.
        groups: of each point the line it belongs to: every group has its own intercept.
        beside: further columns whose coefficients are fitted too.
        replicates: every group has its own slope as well; the interval is that of their mean.
        alternatives: wrong slopes that the interval must exclude.

    Raises:
        DataError: fewer than 3 distinct abscissae, or non-finite numbers.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.shape != y.shape or np.unique(x).size < 3 or not np.isfinite([x, y]).all():
        raise DataError(
            f"a slope cannot be fitted to {x.size} point(s)",
            expected="at least 3 distinct, finite points",
            fix="widen the range of the sweep, or drop censored points and say so",
        )
    allowed = np.broadcast_to(np.asarray(remainder) + np.asarray(errors), x.shape)
    group = _numbered(groups, x.size)
    columns = np.column_stack([np.eye(group.max() + 1)[group], *beside])
    if replicates:
        parts = [group == g for g in range(group.max() + 1)]
        found = [_line(x[part], y[part], columns[part], allowed[part]) for part in parts]
        slope, half = _mean_of([one for one in found if one is not None])
    else:
        slope, half = _line(x, y, columns, allowed) or (math.nan, math.inf)
    return Fit(name, slope, slope - half, slope + half, predicted, alternatives, x.size)


def _numbered(groups: Sequence[Hashable] | None, size: int) -> Int[np.ndarray, " k"]:
    """Each point's group, as an index."""
    if groups is None:
        return np.zeros(size, dtype=int)
    index = {key: i for i, key in enumerate(dict.fromkeys(groups))}
    return np.array([index[key] for key in groups])


def _line(
    x: Float[np.ndarray, " k"],
    y: Float[np.ndarray, " k"],
    columns: Float[np.ndarray, "k c"],
    allowed: Float[np.ndarray, " k"],
) -> tuple[float, float] | None:
    """(slope, half-width) of x among the columns; None if they leave nothing of x."""
    columns = columns[:, np.any(columns != 0, axis=0)]
    scale = np.linalg.norm(columns, axis=0)
    u, s, _ = np.linalg.svd(columns / scale, full_matrices=False)
    u = u[:, s > _RANK * s[0]]
    rest_x, rest_y = x - u @ (u.T @ x), y - u @ (u.T @ y)
    size = float(rest_x @ rest_x)
    if size <= (_RANK * float(np.linalg.norm(x))) ** 2:
        return None
    slope = float(rest_x @ rest_y) / size
    scatter = rest_y - slope * rest_x
    freedom = x.size - u.shape[1] - 1
    spread = stdtrit(freedom, 0.5 + LEVEL / 2) if freedom > 0 else math.inf
    # An exact fit scatters not at all, with however few points.
    deviation = float(np.linalg.norm(scatter))
    half = spread * deviation / math.sqrt(max(freedom, 1) * size) if deviation > 0 else 0.0
    bias = float(np.abs(rest_x) @ allowed) / size
    # Rounding of the ordinates limits a fit to noise-free data.
    floor = 4 * np.finfo(float).eps * np.abs(y).max() / np.abs(rest_x).max()
    return slope, float(half + bias + floor)


def _mean_of(lines: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """(mean, half-width) of slopes that scatter; what each neglects does not average out."""
    slopes, halves = np.array(lines).reshape(-1, 2).T
    if slopes.size < 3:
        return (float(slopes.mean()) if slopes.size else math.nan), math.inf
    t = stdtrit(slopes.size - 1, 0.5 + LEVEL / 2)
    half = t * slopes.std(ddof=1) / math.sqrt(slopes.size) + halves.mean()
    return float(slopes.mean()), float(half)
