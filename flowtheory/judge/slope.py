"""Slopes and exponents: how the measured quantity grows along an axis, beside the prediction."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from flowtheory.judge.equality import equivalent
from flowtheory.judge.evidence import Evidence
from flowtheory.judge.finding import Finding, nothing_measured
from flowtheory.judge.fit import fit_slope
from flowtheory.judge.verdict import Verdict

_BENT = 3.0
_ROUNDING = 1e-13  # of the largest prediction


@dataclass(frozen=True)
class Axis:
    """A quantity that varies over the rows, with its name as shown."""

    name: str
    of: Callable[[Evidence], float]


@dataclass(frozen=True)
class Slope:
    """The measured quantity has the slope of the predicted one along an axis.

    Both are regressed on the same columns: the axis, an intercept for each (family, seed), and
    those given in `beside` (a logarithm, the next power). Where the law knows its remainder this
    tells constants and orders apart that a log-log fit mixes up. AGREES if the interval of the
    measured slope lies within `tolerance` of the predicted one, relative to the larger of the two,
    or within `floor`; DISAGREES if it lies outside, or if the residuals bend: a square of the axis
    fitted beside it changes the slope at the ends by more than three times what is tolerated.

    Attributes:
        axis: what the slope is along.
        tolerance: relative.
        floor: absolute; for slopes predicted to be 0.
        log: of the logarithms of both quantities: an exponent, if the axis is one too.
        beside: further columns.
        replicates: each (family, seed) has a slope of its own, and these scatter.
        remainder: bound on what the law neglects, row by row, in the ordinate that is fitted.
    """

    axis: Axis
    tolerance: float = 0.0
    floor: float = 0.0
    log: bool = False
    beside: tuple[Axis, ...] = ()
    replicates: bool = False
    remainder: Callable[[Evidence], float] | None = None

    def judge(self, claim: str, rows: Sequence[Evidence], detail: str = "") -> Finding:
        """The deciding number is the measured slope, with its interval."""
        used = [row for row in rows if math.isfinite(row.measured)]
        x = np.array([self.axis.of(row) for row in used])
        if np.unique(x).size < 3:
            return nothing_measured(claim, f"at least 3 values of {self.axis.name}", detail)
        measured = np.array([row.measured for row in used])
        errors = np.array([row.error for row in used])
        predicted = np.array([row.predicted for row in used])
        if self.log:
            errors = errors / measured
            measured, predicted = np.log(measured), np.log(predicted)
        allowed = np.array([self.remainder(row) for row in used]) if self.remainder else 0.0
        groups = [(row.family, row.seed) for row in used]
        beside = [np.array([axis.of(row) for row in used]) for axis in self.beside]
        claimed = fit_slope(x, predicted, name=claim, predicted=0.0, groups=groups, beside=beside)
        slope = _unrounded(claimed.value, x, predicted)
        fit = fit_slope(
            x,
            measured,
            name=claim,
            predicted=slope,
            remainder=allowed,
            errors=errors,
            groups=groups,
            beside=beside,
            replicates=self.replicates,
        )
        within = max(self.tolerance * max(abs(fit.value), abs(slope)), self.floor)
        verdict = equivalent(fit.low, fit.high, slope, within)
        bend = _bend(x, measured, errors + allowed, groups, beside)
        if bend > _BENT * within:
            verdict = Verdict.DISAGREES
            detail = "; ".join(filter(None, [detail, f"bent: the slope changes by {2 * bend:.2g}"]))
        expected = f"{slope:.6g} +- {within:.2g}, slope in {self.axis.name}"
        return Finding(
            claim, verdict, fit.value, expected, fit.points, detail, low=fit.low, high=fit.high
        )


def _unrounded(slope: float, x: Float[np.ndarray, " k"], y: Float[np.ndarray, " k"]) -> float:
    """0 for a slope that is rounding: over all of x it changes y by less than its last digits."""
    return 0.0 if abs(slope) * float(np.ptp(x)) < _ROUNDING * np.abs(y).max() else slope


def _bend(
    x: Float[np.ndarray, " k"],
    y: Float[np.ndarray, " k"],
    allowed: Float[np.ndarray, " k"],
    groups: Sequence[Hashable],
    beside: Sequence[Float[np.ndarray, " k"]],
) -> float:
    """How much the slope at an end differs from the mean one, at least; 0 if it may not at all."""
    if np.unique(x).size < 4:
        return 0.0
    square = (x - x.min()) ** 2
    fit = fit_slope(
        square,
        y,
        name="bend",
        predicted=0.0,
        remainder=allowed,
        groups=groups,
        beside=[x, *beside],
    )
    if not math.isfinite(fit.value) or fit.low <= 0 <= fit.high:
        return 0.0
    return min(abs(fit.low), abs(fit.high)) * float(np.ptp(x))
