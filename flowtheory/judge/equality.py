"""Equality of every row with its prediction, and of their mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from flowtheory.judge.evidence import Evidence
from flowtheory.judge.finding import Finding, nothing_measured
from flowtheory.judge.fit import LEVEL
from flowtheory.judge.verdict import Verdict


@dataclass(frozen=True)
class Equality:
    r"""$|$measured - predicted$| \le$ `tolerance` |predicted| + `absolute` in every row.

    The error of the measurement is allowed for; where it exceeds the tolerance the row cannot tell
    the law from a wrong one, and the finding is INCONCLUSIVE. A row that was cut off beyond its
    prediction refutes it.
    """

    tolerance: float
    absolute: float = 0.0

    def judge(self, claim: str, rows: Sequence[Evidence], detail: str = "") -> Finding:
        """The deciding number is the largest |ratio - 1|, or |difference| if only that counts."""
        relative = self.tolerance > 0
        expected = (
            f"|ratio - 1| <= {self.tolerance:g}"
            if relative
            else f"|difference| <= {self.absolute:g}"
        )
        worst, cases, verdict = 0.0, 0, Verdict.AGREES
        for row in rows:
            if not math.isfinite(row.predicted):
                continue
            allowed = self.tolerance * abs(row.predicted) + self.absolute
            if not math.isfinite(row.measured):
                if row.cut > row.predicted + allowed:
                    verdict, cases = Verdict.DISAGREES, cases + 1
                continue
            away, cases = abs(row.measured - row.predicted), cases + 1
            worst = max(worst, away / abs(row.predicted) if relative and row.predicted else away)
            if away > allowed + row.error:
                verdict = Verdict.DISAGREES
            elif row.error > allowed and verdict is Verdict.AGREES:
                verdict = Verdict.INCONCLUSIVE
        if not cases:
            return nothing_measured(claim, expected, detail)
        return Finding(claim, verdict, worst, expected, cases, detail)


@dataclass(frozen=True)
class Mean:
    """The mean (or median) ratio over the rows is 1 within `tolerance`.

    Replicates scatter; the interval of their mean is the bootstrap's (bias-corrected, accelerated),
    at the level of all fits. AGREES if it lies within the tolerance, DISAGREES if outside.
    """

    tolerance: float
    statistic: Literal["mean", "median"] = "mean"

    def judge(self, claim: str, rows: Sequence[Evidence], detail: str = "") -> Finding:
        """The deciding number is the mean ratio, with its interval."""
        from scipy import stats  # here, because it takes half a second to load

        expected = f"{self.statistic} ratio in 1 +- {self.tolerance:g}"
        ratios = np.array([row.ratio for row in rows if math.isfinite(row.ratio)])
        if ratios.size < 3:
            return nothing_measured(claim, expected, detail)
        average = np.mean if self.statistic == "mean" else np.median
        value = float(average(ratios))
        low = high = value
        if np.ptp(ratios) > 0:
            found = stats.bootstrap(
                (ratios,), average, confidence_level=LEVEL, rng=np.random.default_rng(0)
            )
            low, high = map(float, found.confidence_interval)
        verdict = equivalent(low, high, 1.0, self.tolerance)
        return Finding(claim, verdict, value, expected, ratios.size, detail, low=low, high=high)


def equivalent(low: float, high: float, target: float, tolerance: float) -> Verdict:
    """AGREES if [low, high] lies within the tolerance of the target, DISAGREES if outside of it.

    An interval across an end of the tolerance, or no interval, is INCONCLUSIVE.
    """
    if not math.isfinite(low) or not math.isfinite(high):
        return Verdict.INCONCLUSIVE
    if high < target - tolerance or low > target + tolerance:
        return Verdict.DISAGREES
    inside = target - tolerance <= low and high <= target + tolerance
    return Verdict.AGREES if inside else Verdict.INCONCLUSIVE
