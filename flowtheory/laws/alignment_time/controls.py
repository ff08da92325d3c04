"""Negative controls: plausible wrong claims, held against the same evidence; each must DISAGREE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from flowtheory.judge import Evidence, Finding, UpperBound, fit_slope, judge_fit
from flowtheory.laws.alignment_time import formulas
from flowtheory.laws.record import Control, ExperimentResult

Results = Mapping[str, ExperimentResult]


def _rows(results: Results, *families: str) -> list[Evidence]:
    """Effective-flow rows of the attaining families, one per (family, n, mu)."""
    rows = results["attaining"].rows
    return list({(r.family, r["n"], r["mu"]): r for r in rows if r.family in families}.values())


def _bound_control(name: str, claim: str, wrong: Callable[[float], float]) -> Control:
    def judge(results: Results) -> Finding:
        rows = _rows(results, "two-points", "four-points")
        return UpperBound().judge(
            claim, [replace(r, predicted=float(wrong(r["mu"]))) for r in rows]
        )

    return Control(name, claim, ("attaining",), judge)


def _power_law_on_two_points(results: Results) -> Finding:
    rows = _rows(results, "two-points")
    fit = fit_slope(
        np.log([r["mu"] for r in rows]),
        np.log([r.measured for r in rows]),
        name="exponent of mu on F1",
        predicted=-0.5,
    )
    return judge_fit("T proportional to mu^(-1/2) on F1", fit)


def _log_n_on_copies(results: Results) -> Finding:
    rows = _rows(results, "four-points-copied")
    first = rows[0]
    fit = fit_slope(
        np.log([r["n"] for r in rows]),
        np.array([r.measured for r in rows]),
        name="slope of T X_min in ln n on F3",
        predicted=first.measured / float(np.log(first["n"])),
    )
    return judge_fit("T grows as log n on F3", fit)


def _first_order_in_eps(results: Results) -> Finding:
    fit = results["finite-eps"].fits[0]
    return judge_fit("switch times are off by O(eps)", replace(fit, predicted=1.0, alternatives=()))


def _same_clock_for_logistic(results: Results) -> Finding:
    rows = [r for r in results["finite-eps"].rows if r.note.startswith("logistic")]
    return UpperBound().judge(
        "the logistic loss needs no change of clock",
        [replace(r, predicted=r.predicted / 2) for r in rows],
    )


CONTROLS = (
    _bound_control(
        "B(sqrt(mu))",
        "T X_min <= B(sqrt(mu))",
        lambda mu: float(formulas.bound(np.sqrt(mu))),
    ),
    _bound_control(
        "B(mu)/2",
        "T X_min <= B(mu)/2 (one half of the path forgotten)",
        lambda mu: 0.5 * float(formulas.bound(mu)),
    ),
    Control(
        "mu^-1/2 on F1",
        "T proportional to mu^(-1/2) on F1",
        ("attaining",),
        _power_law_on_two_points,
    ),
    Control("log n on F3", "T grows as log n on F3", ("attaining",), _log_n_on_copies),
    Control("O(eps)", "switch times are off by O(eps)", ("finite-eps",), _first_order_in_eps),
    Control(
        "clock",
        "the logistic loss needs no change of clock",
        ("finite-eps",),
        _same_clock_for_logistic,
    ),
)
