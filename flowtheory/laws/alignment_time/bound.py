"""Experiments on the bound itself: random and attaining data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flowtheory.data import Case, family, repeller_starts
from flowtheory.judge import (
    Attained,
    Equality,
    Evidence,
    Finding,
    UpperBound,
    fit_slope,
    judge_fit,
)
from flowtheory.laws.alignment_time import formulas
from flowtheory.laws.alignment_time.comparison import PARTS, compare
from flowtheory.laws.record import ExperimentResult, Settings

_PART_CLAIMS = {
    "a": "T X_min <= B(mu), start outside S_-",
    "b": "T X_min <= arccosh(1/mu), phi(0) >= 0 or the neuron dies",
    "c": "T X_min <= B(mu) + X_min ln cot(theta_0/2)/|x_-|, start in S_-",
}


def random_data(settings: Settings) -> ExperimentResult:
    """Random separable data, labels and norms; Gaussian starts and starts near the repeller."""
    total = settings.effort.pick(150, 1200, 6000)
    rows: list[Evidence] = []
    for k, (case, seed) in enumerate(_random_cases(settings.seed, total)):
        comparison = compare(case)
        found = (comparison.row("random", part=part, seed=seed) for part in PARTS)
        rows.extend(row for row in found if row is not None)
        settings.progress("random separable data", k + 1, total)
    findings = [
        UpperBound().judge(_PART_CLAIMS[part], [r for r in rows if r.note == f"part {part}"])
        for part in PARTS
    ]
    return ExperimentResult(tuple(rows), findings=tuple(findings))


def _random_cases(seed: int, total: int) -> Iterator[tuple[Case, int]]:
    rng = np.random.default_rng(seed)
    for k in range(total):
        own = int(rng.integers(2**31))
        n, mu = int(2 ** rng.uniform(1, 6.1)), float(10 ** rng.uniform(-4, -0.05))
        dimension = int(rng.integers(3, 17))
        name = ("random-cone", "sparse-cone")[k % 2]
        case = family(name)(
            n=n, mu=mu, dimension=dimension, h=8, norm_spread=float(rng.uniform(0, 1)), seed=own
        )
        if k % 3 == 2 and case.data.n_minus > 0:
            theta = float(10 ** rng.uniform(-8, -0.5))
            case = repeller_starts(case.data, theta0=theta, h=8, seed=own, family=case.family)
        yield case, own


def attaining(settings: Settings) -> ExperimentResult:
    """The families that attain the bound, over eight orders of magnitude in mu, and in n."""
    levels = 10.0 ** -np.linspace(1, 8, settings.effort.pick(8, 22, 64))
    f1 = [_attained("two-points", mu, formulas.two_points_time) for mu in levels]
    f2 = [_attained("four-points", mu, formulas.four_points_time) for mu in levels]
    against_bound = [_attained("four-points", mu, formulas.bound) for mu in levels]
    copies = settings.effort.pick([1, 10, 100], [1, 4, 10, 30, 100, 300, 1000], [1, 10, 100, 3000])
    f3 = [
        _attained("four-points-copied", 0.01, formulas.four_points_time, copies=m) for m in copies
    ]
    log_inverse = np.log(1 / levels)
    # T = ln(2/mu) + O(mu^2) on F1, 2 ln(sqrt(2)/mu) + O(mu) on F2: the remainder is computed from
    # the formulas themselves, as the spread of T minus its leading term.
    fits = (
        _slope("slope of T X_min in ln(1/mu), F1", log_inverse, f1, 1.0, (("F2's slope", 2.0),)),
        _slope("slope of T X_min in ln(1/mu), F2", log_inverse, f2, 2.0, (("F1's slope", 1.0),)),
        fit_slope(
            np.log([row["n"] for row in f3]),
            np.array([row.measured for row in f3]),
            name="slope of T X_min in ln n, F3",
            predicted=0.0,
            alternatives=(("T proportional to ln n", f3[0].measured / np.log(f3[0]["n"])),),
        ),
    )
    settings.progress("attaining families", 1, 1)
    findings: list[Finding] = [
        Equality(1e-10).judge("F1: T X_min = arccosh(1/mu)", f1),
        Equality(1e-10).judge("F2: T X_min = 2 arcsinh(sqrt((1-mu)/2)/mu)", f2),
        Equality(1e-10).judge("F3: T X_min does not depend on n", f3),
        UpperBound().judge("F2 stays below B(mu)", against_bound),
        Attained(1 - 1e-6).judge("F2 attains B(mu) as mu -> 0", against_bound),
        *(judge_fit(fit.name, fit) for fit in fits),
    ]
    rows = tuple(f1 + f2 + f3 + against_bound)
    return ExperimentResult(rows, fits, tuple(findings))


def _attained(name: str, mu: float, formula, **options) -> Evidence:
    row = compare(family(name)(mu=float(mu), **options)).row("attaining", predicted=formula(mu))
    assert row is not None  # these families start alive
    return row


def _slope(name: str, x: np.ndarray, rows: list[Evidence], slope: float, wrong):
    """The asymptotic slope; what the exact formula leaves over is the remainder, not scatter."""
    exact = np.array([row.predicted for row in rows])
    remainder = float(np.ptp(exact - slope * x)) / 2
    return fit_slope(
        x,
        np.array([row.measured for row in rows]),
        name=name,
        predicted=slope,
        remainder=remainder,
        alternatives=wrong,
    )
