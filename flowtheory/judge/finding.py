"""Findings: a claim, the numbers that decide it, and the verdict. One function a kind of claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flowtheory.judge.evidence import Evidence
from flowtheory.judge.fit import Fit
from flowtheory.judge.verdict import Verdict

# A ratio above 1 by less than this is rounding of the measured time.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Finding:
    """One line of a verdict: the claim, what was decided, the deciding number, how many cases."""

    claim: str
    verdict: Verdict
    value: float
    expected: str
    cases: int
    detail: str = ""


def _measured(rows: Sequence[Evidence]) -> list[float]:
    return [row.ratio for row in rows if np.isfinite(row.ratio)]


def judge_upper_bound(claim: str, rows: Sequence[Evidence], detail: str = "") -> Finding:
    """Measured <= predicted in every row; INCONCLUSIVE if no row was measured."""
    ratios = _measured(rows)
    if not ratios:
        return Finding(claim, Verdict.INCONCLUSIVE, float("nan"), "ratio <= 1", 0, detail)
    worst = max(ratios)
    verdict = Verdict.DISAGREES if worst > 1 + ROUNDING else Verdict.AGREES
    return Finding(claim, verdict, worst, "ratio <= 1", len(ratios), detail)


def judge_equality(
    claim: str, rows: Sequence[Evidence], tolerance: float, detail: str = ""
) -> Finding:
    """|measured/predicted - 1| <= tolerance in every row."""
    ratios = _measured(rows)
    if not ratios:
        return Finding(claim, Verdict.INCONCLUSIVE, float("nan"), "ratio = 1", 0, detail)
    worst = max(abs(ratio - 1) for ratio in ratios)
    verdict = Verdict.AGREES if worst <= tolerance else Verdict.DISAGREES
    return Finding(claim, verdict, worst, f"|ratio - 1| <= {tolerance:g}", len(ratios), detail)


def judge_attained(claim: str, rows: Sequence[Evidence], level: float, detail: str = "") -> Finding:
    """Some row comes within `level` of the bound: a bound that nothing approaches is not tested."""
    ratios = _measured(rows)
    if not ratios:
        return Finding(claim, Verdict.INCONCLUSIVE, float("nan"), f">= {level:g}", 0, detail)
    best = max(ratios)
    verdict = Verdict.AGREES if best >= level else Verdict.INCONCLUSIVE
    return Finding(claim, verdict, best, f"ratio >= {level:g}", len(ratios), detail)


def judge_fit(claim: str, fit: Fit, detail: str = "") -> Finding:
    """The fitted slope agrees with the prediction and excludes the alternatives."""
    expected = f"{fit.predicted:g} in [{fit.low:.6g}, {fit.high:.6g}]"
    return Finding(claim, fit.verdict, fit.value, expected, fit.points, detail)
