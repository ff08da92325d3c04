r"""Straight-line fits whose interval holds both scatter and what the law itself neglects.

A slope of noise-free data has a standard error near zero; what then limits it is the law's own
remainder. If $y = s x + b + r(x)$ with $|r - \text{const}| \le R$, least squares is off by at most
$R \sum|x - \bar x| / \sum (x - \bar x)^2$, and that is added to the interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

from flowtheory.errors import DataError
from flowtheory.judge.verdict import Verdict

LEVEL = 0.99


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
    remainder: float = 0.0,
    alternatives: tuple[tuple[str, float], ...] = (),
) -> Fit:
    """Slope of y against x by least squares, with its 99 % interval.

    Args:
        x: abscissae, at least 3 distinct.
        y: ordinates.
        name: what the slope is.
        predicted: the law's slope.
        remainder: bound on the deviation from a straight line that the law itself allows.
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
    line: Any = stats.linregress(x, y)
    spread = x - x.mean()
    bias = remainder * np.abs(spread).sum() / (spread @ spread)
    # Rounding of the ordinates limits a fit to noise-free data.
    floor = 4 * np.finfo(float).eps * np.abs(y).max() / np.abs(spread).max()
    # linregress divides 0 by 0 for constant ordinates, which scatter not at all.
    scatter = line.stderr if np.ptp(y) > 0 else 0.0
    half = stats.t.ppf(0.5 + LEVEL / 2, x.size - 2) * scatter + bias + floor
    slope = float(line.slope)
    low, high = float(slope - half), float(slope + half)
    return Fit(name, slope, low, high, predicted, alternatives, x.size)
