"""How often something happens: counts of yes and no."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from flowtheory.judge.evidence import Evidence
from flowtheory.judge.finding import Finding, nothing_measured
from flowtheory.judge.fit import LEVEL
from flowtheory.judge.verdict import Verdict


@dataclass(frozen=True)
class Proportion:
    """Rows are 1 (it happened) or 0; `predicted` is the probability, the same in all rows.

    AGREES if the exact (Clopper-Pearson) interval holds it and is no wider than `width`, DISAGREES
    if it does not hold it.
    """

    width: float = 0.1

    def judge(self, claim: str, rows: Sequence[Evidence], detail: str = "") -> Finding:
        """The deciding number is the share of rows in which it happened, with its interval."""
        from scipy import stats  # here, because it takes half a second to load

        seen = [row for row in rows if math.isfinite(row.measured)]
        if not seen:
            return nothing_measured(claim, "a share", detail)
        probability = seen[0].predicted
        expected = f"{probability:g} in the interval of the share, width <= {self.width:g}"
        count = sum(row.measured > 0.5 for row in seen)
        ends = stats.binomtest(count, len(seen)).proportion_ci(LEVEL, "exact")
        low, high = float(ends.low), float(ends.high)
        if not low <= probability <= high:
            verdict = Verdict.DISAGREES
        else:
            verdict = Verdict.AGREES if high - low <= self.width else Verdict.INCONCLUSIVE
        share = count / len(seen)
        return Finding(claim, verdict, share, expected, len(seen), detail, low=low, high=high)
