"""Findings: a claim, the numbers that decide it, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from flowtheory.judge.evidence import Evidence
from flowtheory.judge.fit import Fit
from flowtheory.judge.verdict import Verdict


@dataclass(frozen=True)
class Finding:
    """One line of a verdict: the claim, what was decided, the deciding number, how many cases.

    `low` and `high` are the ends of the interval of `value` where one was estimated, else NaN.
    """

    claim: str
    verdict: Verdict
    value: float
    expected: str
    cases: int
    detail: str = ""
    low: float = math.nan
    high: float = math.nan


class Kind(Protocol):
    """A kind of claim: the statistic and the thresholds that decide it.

    `judge` holds rows, whose `predicted` is what is claimed, against the claim. It serves for the
    claim and for its wrong alternatives, whose rows differ in `predicted` alone.
    """

    def judge(self, claim: str, rows: Sequence[Evidence], detail: str = "") -> Finding:
        """The finding; INCONCLUSIVE if no row was measured."""
        ...


def nothing_measured(claim: str, expected: str, detail: str = "") -> Finding:
    """The finding of a claim without a measured row."""
    return Finding(claim, Verdict.INCONCLUSIVE, math.nan, expected, 0, detail)


def judge_fit(claim: str, fit: Fit, detail: str = "") -> Finding:
    """The fitted slope agrees with the prediction and excludes the alternatives."""
    expected = f"{fit.predicted:g} in [{fit.low:.6g}, {fit.high:.6g}]"
    return Finding(
        claim, fit.verdict, fit.value, expected, fit.points, detail, low=fit.low, high=fit.high
    )
