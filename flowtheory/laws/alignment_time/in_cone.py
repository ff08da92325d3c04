r"""Where the exponent -1/2 in mu lives: alignment inside the cone, on the mean clock.

On the equicorrelated family (all cosines mu, unit norms) $|x_+| = \sqrt{n(1 + \mu(n-1))}$, and a
neuron in $S_+$ at angle $\theta_0$ reaches cosine $1-\delta$ at
$\ln(\tan(\theta_0/2)/\tan(\theta_f/2))/|x_+|$. Counted on the clock of the mean loss (times n) this
is $\mu^{-1/2}$ for $\mu n \gg 1$, without any n.
"""

from __future__ import annotations

import math

import numpy as np

from flowtheory.clock import Clock
from flowtheory.data import Case, family
from flowtheory.exact import propagate
from flowtheory.judge import Equality, Evidence, fit_slope, judge_fit
from flowtheory.laws.alignment_time import formulas
from flowtheory.laws.record import ExperimentResult, Settings
from flowtheory.laws.rows import evidence

THETA_0 = math.pi / 3
DELTA = 1e-3
MEAN = Clock("mean")


def in_cone(settings: Settings) -> ExperimentResult:
    """T_cos(1e-3) on F4 from 60 degrees, against the closed form, over mu n from 1 to n."""
    sizes = settings.effort.pick((20, 200), (30, 100, 300, 1000), (30, 100, 300, 1000, 3000))
    points = settings.effort.pick(6, 12, 24)
    rows = []
    for k, n in enumerate(sizes):
        rows.extend(_row(n, float(mu)) for mu in np.geomspace(1.0 / n, 0.9, points))
        settings.progress("alignment inside the cone", k + 1, len(sizes))
    n = sizes[-1]
    steep = [row for row in rows if row["n"] == n and row["mu"] >= 0.05]
    # |x_+| = n sqrt(mu) but for a factor that tends to 1 for mu n >> 1: its logarithm is the
    # remainder.
    last = np.array(
        [math.log(formulas.class_sum(n, r["mu"]) / (n * math.sqrt(r["mu"]))) for r in steep]
    )
    fit = fit_slope(
        np.log([row["mu"] for row in steep]),
        np.log([row.measured for row in steep]),
        name="exponent of mu, in-cone time on the mean clock, F4",
        predicted=-0.5,
        remainder=float(np.ptp(last)) / 2,
        alternatives=(("no power of mu", 0.0), ("mu^-1", -1.0)),
    )
    findings = (
        Equality(1e-9).judge("F4: in-cone time equals its closed form", rows),
        judge_fit(fit.name, fit),
    )
    return ExperimentResult(tuple(rows), (fit,), findings)


def _time_to_cosine(case: Case) -> float:
    """First time with cos(w, x_+) >= 1 - DELTA, bisected on the sampled path (not on a formula)."""
    data = case.data
    axis = data.x_plus / np.linalg.norm(data.x_plus)
    low, high = 0.0, 40.0 / float(np.linalg.norm(data.x_plus))
    for _ in range(6):
        times = np.linspace(low, high, 129)
        paths = propagate(data.x, data.y, case.w0, active=case.active, times=times)
        reached = int(np.argmax(paths.samples.direction[0] @ axis >= 1 - DELTA))
        low, high = float(times[reached - 1]), float(times[reached])
    return 0.5 * (low + high)


def _row(n: int, mu: float) -> Evidence:
    case = family("equicorrelated")(n=n, mu=mu, labels="positive", theta0=THETA_0)
    reference = formulas.in_cone_time(THETA_0, math.acos(1 - DELTA), formulas.class_sum(n, mu))
    predicted = MEAN.from_reference(float(reference), n)
    measured = MEAN.from_reference(_time_to_cosine(case), n)
    return evidence(
        "in-cone", case.data, predicted, measured, family=case.family, note=f"clock: {MEAN}"
    )
