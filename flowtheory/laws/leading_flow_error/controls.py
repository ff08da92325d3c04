"""Negative controls: wrong orders, a wrong potential, a wrong constant; each must DISAGREE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from flowtheory.judge import Equality, Finding, Fit, Verdict, fit_slope
from flowtheory.laws.leading_flow_error.measure import WRONG_FACTOR
from flowtheory.laws.record import Control, ExperimentResult

Results = Mapping[str, ExperimentResult]
_BOTH = ("no-feedback", "feedback")


def _rejected_everywhere(claim: str, fits: list[Fit]) -> Finding:
    """DISAGREES only if every single fit does; the deciding number is the slope that is nearest."""
    nearest = min(fits, key=lambda fit: abs(fit.value - fit.predicted))
    all_reject = all(fit.verdict is Verdict.DISAGREES for fit in fits)
    verdict = Verdict.DISAGREES if all_reject else Verdict.AGREES
    expected = f"{nearest.predicted:g} in [{nearest.low:.6g}, {nearest.high:.6g}]"
    return Finding(claim, verdict, nearest.value, expected, len(fits))


def _order_off_by(step: int) -> Callable[[Results], Finding]:
    def judge(results: Results) -> Finding:
        fits = [
            replace(fit, predicted=fit.predicted + step, alternatives=())
            for name in _BOTH
            for fit in results[name].fits
        ]
        return _rejected_everywhere(f"the error is of order q {step:+d}", fits)

    return judge


def _wrong_potential(results: Results) -> Finding:
    fits = [
        fit_slope(
            np.log(curve["eps"]),
            np.log(curve["error"]),
            name=f"order against a wrong potential, {label}",
            predicted=float(curve["gap"]),
        )
        for name in _BOTH
        for label, curve in results[name].curves["wrong potential"].items()
    ]
    return _rejected_everywhere(f"{WRONG_FACTOR:g} H is as good a potential as H", fits)


def _no_constant(results: Results) -> Finding:
    rows = [row for name in _BOTH for row in results[name].rows]
    claim = "the error is eps^q, with no constant"
    by_note = [replace(row, predicted=row.predicted / _constant(row.note)) for row in rows]
    return Equality(0.01).judge(claim, by_note)


def _constant(note: str) -> float:
    return float(note.rsplit("= ", 1)[1])


CONTROLS = (
    Control("order q + 1", "the error is of order eps^(q+1)", _BOTH, _order_off_by(1)),
    Control("order q - 1", "the error is of order eps^(q-1)", _BOTH, _order_off_by(-1)),
    Control(
        "wrong potential",
        f"the flow of {WRONG_FACTOR:g} H is as near (a coefficient off by 10 %)",
        _BOTH,
        _wrong_potential,
    ),
    Control("C = 1", "the error is eps^q, with no constant", _BOTH, _no_constant),
)
