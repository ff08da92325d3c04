"""A made-up verification with the numbers of a real one in size, and its figures.

Closed forms stand in for measurements, so that what a test finds on the page can be computed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import sympy as sp
from matplotlib.figure import Figure

from flowtheory.clock import REFERENCE
from flowtheory.data import LabelledData
from flowtheory.judge import (
    Attained,
    Equality,
    Evidence,
    Finding,
    UpperBound,
    fit_slope,
    judge_fit,
)
from flowtheory.judge.verdict import Verdict
from flowtheory.laws.record import (
    Assumption,
    Control,
    Effort,
    Experiment,
    ExperimentResult,
    Law,
    Settings,
    Statement,
    SymbolInfo,
    Verification,
)
from flowtheory.plot import (
    Slope,
    bound_figure,
    directions_figure,
    in_cone_figure,
    order_figure,
    slopes_figure,
    training_figure,
)

MU, N, X, ZETA = sp.symbols("mu n X_min zeta", positive=True)
T, T1 = sp.symbols("T t_1", positive=True)
B = 2 * sp.acosh(sp.sqrt((1 + MU) / 2) / MU)


def bound(mu):
    return 2 * np.arccosh(np.sqrt((1 + mu) / 2) / mu)


def weaker(mu):
    return 1.8201 / np.sqrt(mu)


def published(n, mu):
    return 16 * np.log(n) / mu**2.5


def f1_time(mu):
    return np.arccosh(1 / mu)


def f2_time(mu):
    return 2 * np.arcsinh(np.sqrt((1 - mu) / 2) / mu)


def row(family, n, mu, predicted, measured, **more) -> Evidence:
    experiment = more.pop("experiment", "attaining")
    parameters = {"n": n, "mu": mu, "h": 8, "eps": 0.0}
    counts = {"live": 5, "dead": 3, "censored": 0}
    for name in (*parameters, *counts):
        if name in more:
            (parameters if name in parameters else counts)[name] = more.pop(name)
    return Evidence(
        experiment, family, parameters, measured, predicted, seed=more.get("seed"), counts=counts
    )


@cache
def random_rows(count: int = 240) -> tuple[Evidence, ...]:
    rng = np.random.default_rng(0)
    rows = []
    for k in range(count):
        n, mu = int(2 ** rng.uniform(1, 6)), float(10 ** rng.uniform(-4, -0.05))
        share = 0.57 * rng.beta(2, 4)
        family = ("random-cone", "sparse-cone")[k % 2]
        b = float(bound(mu))
        rows.append(row(family, n, mu, b, share * b, experiment="random", seed=k))
    censored = row("random-cone", 12, 0.3, 2.9, float("nan"), experiment="random", censored=1)
    return (*rows, censored)


@cache
def attaining_rows() -> tuple[Evidence, ...]:
    levels = [float(mu) for mu in np.geomspace(1e-8, 0.5, 24)]
    f1 = [row("two-points", 2, mu, float(bound(mu)), float(f1_time(mu))) for mu in levels]
    f2 = [row("four-points", 4, mu, float(bound(mu)), float(f2_time(mu))) for mu in levels]
    f3 = [
        row("four-points-copied", 2 + 2 * m, 0.01, float(bound(0.01)), float(f2_time(0.01)))
        for m in (1, 10, 100, 1000)
    ]
    return tuple(f1 + f2 + f3)


def other_rows() -> tuple[Evidence, ...]:
    attack = [
        row("adversarial", 4, mu, float(bound(mu)), t, experiment="adversarial", seed=1)
        for mu, t in ((0.05, 6.05), (0.005, 7.24), (0.05, 3.6883), (0.005, 5.9915))
    ]
    found = ((340, 0.05, 3.1e-3), (280, 0.1, 2.4e-3), (20, 0.06, 0.048), (60, 0.055, 0.017))
    real = [
        row("digits 0/1, separable", n, mu, float(bound(mu)), t, experiment="real", h=24)
        for n, mu, t in found
    ]
    return (*attack, *real)


def eps_sweep() -> tuple[np.ndarray, np.ndarray]:
    eps = np.geomspace(1e-4, 1e-2, 5)
    return eps, 1850 * eps**2 * (1 + 16 * eps)


@cache
def results() -> Mapping[str, ExperimentResult]:
    random, attain = random_rows(), attaining_rows()
    f1 = [r for r in attain if r.family == "two-points"]
    f2 = [r for r in attain if r.family == "four-points"]
    fits = tuple(
        fit_slope(
            np.log([1 / r["mu"] for r in rows[:16]]),
            np.array([r.measured for r in rows[:16]]),
            name=f"slope of T X_min in ln(1/mu), {name}",
            predicted=slope,
            remainder=1e-3,
            alternatives=((f"slope of {other}", 3 - slope),),
        )
        for rows, name, slope, other in ((f1, "F1", 1.0, "F2"), (f2, "F2", 2.0, "F1"))
    )
    eps, error = eps_sweep()
    order = fit_slope(np.log(eps), np.log(error), name="order in eps", predicted=2.0, remainder=0.1)
    attaining_findings = (
        Equality(1e-6).judge("F2: T X_min = 2 arcsinh(sqrt((1-mu)/2)/mu)", [f2[0]]),
        Attained(1 - 1e-6).judge("F2 attains B(mu) as mu -> 0", f2),
        *(judge_fit(fit.name, fit) for fit in fits),
    )
    return {
        "random": ExperimentResult(
            random, findings=(UpperBound().judge("T X_min <= B(mu), start outside S_-", random),)
        ),
        "attaining": ExperimentResult(attain, fits, attaining_findings),
        "others": ExperimentResult(
            other_rows(),
            findings=(UpperBound().judge("no attack exceeds its bound", other_rows()[:4]),),
            summary={"whole": {"n": 360, "violating_fraction": np.float64(0.031), "mu": -0.2}},
        ),
        "finite-eps": ExperimentResult(
            fits=(order,),
            findings=(judge_fit("switch times are off by O(eps^2)", order),),
            curves={"eps": eps, "error": error},
        ),
    }


def _control(name: str, claim: str, value: float) -> tuple[Control, Finding]:
    finding = Finding(claim, Verdict.DISAGREES, value, "ratio <= 1", 24)
    return Control(name, claim, ("attaining",), lambda results: finding), finding


CONTROLS = (
    _control("B(sqrt(mu))", "T X_min <= B(sqrt(mu))", 1.93),
    _control("mu^-1/2 on F1", "T proportional to mu^(-1/2) on F1", -0.11),
    _control("log n on F3", "T grows as log n on F3", 0.0),
)


PUBLISHED = 16 * sp.log(N) / (sp.Min(ZETA, MU**2) * sp.sqrt(MU) * X)
STATEMENTS = (
    Statement(
        "published bound",
        "published",
        sp.Le(T1, PUBLISHED, evaluate=False),
        "Min, Mallada & Vidal 2024, Theorem 1",
        "with the constant of the appendix and xi = mu^2",
    ),
    Statement(
        "sharper bound",
        "sharper",
        sp.Le(T, B / X, evaluate=False),
        "this project",
        "neurons that start outside S_-; no dependence on n",
    ),
    Statement(
        "absolute constant",
        "sharper",
        sp.Le(T, sp.Rational(18201, 10000) / (sp.sqrt(MU) * X), evaluate=False),
        "this project",
    ),
)
SYMBOLS = (
    SymbolInfo(MU, "least cosine between signed data, $\\mu = \\min\\cos(z_i, z_j)$", "1"),
    SymbolInfo(X, "least norm of a datum", "input"),
    SymbolInfo(T, "time of the last switch of a neuron's activation pattern", "1/input"),
)
ASSUMPTION = Assumption(
    "Assumption 1",
    "$\\mu > 0$ (orthogonally separable data)",
    lambda data: (data.mu > 0, f"mu = {data.mu:.3g}"),
)
TITLES = {
    "random": "random separable data, Gaussian and near-repeller starts",
    "attaining": "families that attain the bound",
    "others": "adversarial search and real images",
    "finite-eps": "the full flow at finite initialization scale",
}
PAPER = (
    "H. Min, E. Mallada, R. Vidal: Early neuron alignment in two-layer ReLU networks with "
    "small initialization. ICLR 2024, arXiv:2307.12851"
)


def law() -> Law:
    return Law(
        name="alignment-time",
        title="early alignment of two-layer ReLU neurons, small initialization",
        statements=STATEMENTS,
        symbols=SYMBOLS,
        assumptions=(ASSUMPTION,),
        clock=REFERENCE,
        experiments=tuple(
            Experiment(name, title, lambda settings: ExperimentResult())
            for name, title in TITLES.items()
        ),
        controls=tuple(control for control, _ in CONTROLS),
        not_shown=("data that violate Assumption 1", "finite eps beyond 1e-2"),
        references=(PAPER,),
        docs="docs/laws/alignment-time.md",
    )


def planar_data() -> LabelledData:
    angles = np.deg2rad([40.0, 60.0, 85.0, 215.0, 250.0])
    x = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return LabelledData(x, np.array([1.0, 1.0, 1.0, -1.0, -1.0]), "planar", "five rays by hand")


def verification(**changes) -> Verification:
    values = {
        "law": law(),
        "verdict": Verdict.AGREES,
        "results": results(),
        "controls": {control.name: finding for control, finding in CONTROLS},
        "settings": Settings(seed=7, effort=Effort.QUICK, data=planar_data()),
        "seconds": 41.3,
        "versions": {"flowtheory": "0.1.0", "numpy": np.__version__, "sympy": sp.__version__},
    } | changes
    return Verification(**values)


def training_curves(points: int = 300) -> dict:
    """Logistic-shaped stand-ins for the observables of a training run."""
    time = np.linspace(0, 12, points)
    align = 1 - 2 / (1 + np.exp(2.2 * (time - 1.2)))
    grow = 1 / (1 + np.exp(-4 * (time - 7.5)))
    return {
        "time": time,
        "cos_plus_mean": 0.95 * align - 0.05 * grow,
        "cos_plus_min": np.clip(align - 0.7 * np.exp(-time / 1.5), -1, 1),
        "cos_plus_max": np.clip(align + 0.5 * np.exp(-time), -1, 1),
        "cos_minus_mean": 0.93 * align,
        "cos_minus_min": np.clip(align - 0.9 * np.exp(-time / 1.7), -1, 1),
        "cos_minus_max": np.clip(align + 0.4 * np.exp(-time), -1, 1),
        "loss": 360 * np.log(2) * (1 - grow) + 30 * grow / (1 + time),
        "stable_rank": 1.1 + 18 * np.exp(-1.2 * time),
        "squared_spectral_norm": 1e-10 * np.exp(3 * time) / (1 + 1e-10 * np.exp(3 * time) / 4),
        "clock": "sum loss, slope 0.5 at zero",
        "title_data": "digits 0/1",
    }


def planar_run() -> tuple:
    """Directions of 14 neurons at three times, turning towards (v > 0) their class sum."""
    data = planar_data()
    start = np.linspace(0, 2 * np.pi, 14, endpoint=False) + 0.1
    signs = np.where(np.arange(14) % 2 == 0, 1.0, -1.0)
    goal = np.where(signs > 0, np.arctan2(*data.x_plus[::-1]), np.arctan2(*data.x_minus[::-1]))
    turn = np.arctan2(np.sin(goal - start), np.cos(goal - start))
    angle = np.stack([start + share * turn for share in (0.0, 0.6, 0.97)])
    directions = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    log_norms = np.linspace(-0.5, 2, 3)[:, None] + 0.2 * np.cos(start)
    return data.x, data.y, np.array([0.0, 0.8, 3.0]), directions, log_norms, signs


def slope_series() -> list[Slope]:
    mu = np.geomspace(1e-8, 0.5, 24)
    return [
        Slope("F1, two points", mu, f1_time(mu), 1.0, float(np.log(2))),
        Slope("F2, four points", mu, f2_time(mu), 2.0, float(np.log(2))),
    ]


def collapsed(product):
    return 3.2514 / np.sqrt(1 + 1 / product)


def in_cone_points() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n, mu = np.meshgrid([100.0, 1e3, 1e4], np.geomspace(1e-4, 0.9, 14))
    n, mu = n.ravel(), mu.ravel()
    return n, mu, 3.2514 / np.sqrt(mu + (1 - mu) / n)


def figures(verification: Verification) -> dict[str, tuple[Figure, str]]:
    rows = [r for result in verification.results.values() for r in result.rows]
    order = verification.results["finite-eps"]
    return {
        "bound": (
            bound_figure(rows, sharper=bound, weaker=weaker, published=published, ns=[10, 1000]),
            "Measured $T X_{min}$ of every case against the bounds, over $\\mu$ and over $n$.",
        ),
        "slopes": (slopes_figure(slope_series()), "Slopes in $\\ln(1/\\mu)$ of F1 and F2."),
        "in-cone": (
            in_cone_figure(*in_cone_points(), collapsed=collapsed),
            "Where the exponent $-1/2$ lives: alignment inside the cone.",
        ),
        "directions": (directions_figure(*planar_run()), "Neurons before, during and after."),
        "training": (
            training_figure(
                training_curves(),
                stages=[("alignment", 0, 3), ("growth", 3, 6.5), ("fit", 6.5, 12)],
            ),
            "The experiment of the paper on digits 0 and 1.",
        ),
        "order": (
            order_figure(order.curves["eps"], order.curves["error"], order.fits[0]),
            "Error of the switch times at finite $\\varepsilon$.",
        ),
    }
