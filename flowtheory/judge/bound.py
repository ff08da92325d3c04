"""Bounds: no row beyond them, and a row that comes near."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flowtheory.judge.evidence import Evidence
from flowtheory.judge.finding import Finding, nothing_measured
from flowtheory.judge.verdict import Verdict

ROUNDING = 1e-9
"""Of a bound: a ratio beyond 1 by less is rounding of the measured number."""

WIDE = 0.01
"""Of a bound: a row that may lie beyond it by more, for the width of its interval, decides
nothing."""


@dataclass(frozen=True)
class UpperBound:
    """Measured <= predicted in every row.

    A row refutes it if its whole interval lies beyond `slack` times the bound, or if it was still
    observed there when it was cut off.
    """

    slack: float = ROUNDING

    def judge(self, claim: str, rows: Sequence[Evidence], detail: str = "") -> Finding:
        """The deciding number is the largest ratio measured/predicted."""
        return _one_sided(claim, rows, detail, self.slack, max, 1.0, "ratio <= 1")


@dataclass(frozen=True)
class LowerBound:
    """Measured >= predicted in every row; a row that was cut off beyond the bound supports it."""

    slack: float = ROUNDING

    def judge(self, claim: str, rows: Sequence[Evidence], detail: str = "") -> Finding:
        """The deciding number is the smallest ratio measured/predicted."""
        return _one_sided(claim, rows, detail, self.slack, min, -1.0, "ratio >= 1")


def _one_sided(
    claim: str,
    rows: Sequence[Evidence],
    detail: str,
    slack: float,
    worst: Callable[[list[float]], float],
    sign: float,
    expected: str,
) -> Finding:
    """Excess over a bound from below (sign -1) or above (+1), each row with its own width."""
    ratios, verdict = [], Verdict.AGREES
    for row in rows:
        beyond = row.measured if math.isfinite(row.measured) else row.cut
        if not math.isfinite(beyond) or not math.isfinite(row.predicted):
            continue
        censored = not math.isfinite(row.measured)
        if censored and (sign < 0) and beyond < row.predicted:
            continue  # it was cut off too early to say anything
        ratios.append(beyond / row.predicted if row.predicted else math.inf)
        excess, scale = sign * (beyond - row.predicted), abs(row.predicted)
        if excess - row.error > slack * scale:
            verdict = Verdict.DISAGREES
        elif excess + row.error > max(slack, WIDE) * scale and verdict is Verdict.AGREES:
            verdict = Verdict.INCONCLUSIVE
    if not ratios:
        return nothing_measured(claim, expected, detail)
    return Finding(claim, verdict, worst(ratios), expected, len(ratios), detail)


@dataclass(frozen=True)
class Attained:
    """Some row comes within `level` of the bound: a bound that nothing approaches is not tested."""

    level: float

    def judge(self, claim: str, rows: Sequence[Evidence], detail: str = "") -> Finding:
        """The deciding number is the largest ratio; a failure is INCONCLUSIVE."""
        ratios = [row.ratio for row in rows if math.isfinite(row.ratio)]
        expected = f"ratio >= {self.level:g}"
        if not ratios:
            return nothing_measured(claim, expected, detail)
        best = max(ratios)
        verdict = Verdict.AGREES if best >= self.level else Verdict.INCONCLUSIVE
        return Finding(claim, verdict, best, expected, len(ratios), detail)
