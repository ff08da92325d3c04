"""Experiments on the bound itself: random, adversarial and attaining data."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from scipy.optimize import differential_evolution

from flowtheory.data import Case, LabelledData, family, repeller_starts
from flowtheory.exact import propagate
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
from flowtheory.laws.alignment_time.comparison import PARTS, Comparison, compare
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


def adversarial(settings: Settings) -> ExperimentResult:
    """A search (differential evolution) for data and starts that come closest to B(mu)."""
    sizes = settings.effort.pick([(2, 2)], [(2, 2), (4, 3)], [(2, 2), (4, 3), (8, 4)])
    levels = settings.effort.pick([0.05], [0.05, 0.005], [0.2, 0.05, 0.005])
    per_point = settings.effort.pick(50, 75, 188)  # generations: a larger problem needs more
    rows, jobs = [], list(itertools.product(sizes, levels))
    for k, ((n, dim), mu) in enumerate(jobs):
        found = _worst_found(n, dim, mu, settings.seed + k, per_point * n)
        rows.extend(row for part in PARTS if (row := found.row("adversarial", part=part, seed=k)))
        settings.progress("adversarial search", k + 1, len(jobs))
    return ExperimentResult(
        tuple(rows), findings=(UpperBound().judge("no attack exceeds its bound", rows),)
    )


def _worst_found(n: int, dim: int, mu: float, seed: int, generations: int) -> Comparison:
    """The worst case found with labels alternating, minimal cosine mu and start outside S_-."""
    y = np.where(np.arange(n) % 2 == 0, 1.0, -1.0) if n > 2 else np.ones(n)

    scale = float(formulas.bound(mu))

    def unpack(genes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z = _with_minimal_cosine(genes[: n * dim].reshape(n, dim), mu)
        return y[:, None] * z, genes[n * dim :]

    def slack(genes: np.ndarray) -> float:
        x, w0 = unpack(genes)
        active = x @ w0 > 0
        if not active.any() or np.array_equal(active, y < 0):  # dead, or in S_-: not part (a)
            return 0.0
        return -float(propagate(x, y, w0[None, :], threads=1).last_event_time[0]) / scale

    size = (n + 1) * dim
    best = differential_evolution(
        slack, [(-1.0, 1.0)] * size, maxiter=generations, popsize=4,
        rng=np.random.default_rng(seed), polish=False, tol=0.0, init="sobol",
    )  # fmt: skip
    x, w0 = unpack(best.x)
    data = LabelledData(x, y, "adversarial", f"differential evolution, seed={seed}")
    case = Case(data, w0[None, :], (x @ w0 > 0)[None, :], "adversarial", "differential evolution")
    return compare(case)


def _with_minimal_cosine(z: np.ndarray, mu: float) -> np.ndarray:
    """Unit vectors with minimal pairwise cosine mu: z pulled towards a common axis as needed.

    With z_i = cos(b) e + sin(b) u_i, <z_i, z_j> = cos^2 b + sin^2 b <u_i, u_j>, so the worst pair
    fixes b.
    """
    axis = np.zeros(z.shape[1])
    axis[0] = 1.0
    u = z - np.outer(z @ axis, axis)
    u /= np.maximum(np.linalg.norm(u, axis=1, keepdims=True), 1e-300)
    worst = float(np.min((u @ u.T)[np.triu_indices(len(z), 1)]))
    sine2 = min((1 - mu) / max(1 - worst, 1e-300), 1.0)
    return np.sqrt(1 - sine2) * axis + np.sqrt(sine2) * u


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
