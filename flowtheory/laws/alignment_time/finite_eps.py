r"""Experiments on the full flow at finite eps: what the effective flow neglects, and the clock."""

from __future__ import annotations

import numpy as np

from flowtheory.data import family
from flowtheory.flow import Settings as Accuracy
from flowtheory.flow import Trajectory, solve
from flowtheory.judge import (
    Equality,
    Evidence,
    UpperBound,
    fit_slope,
    judge_fit,
)
from flowtheory.laws.alignment_time import formulas
from flowtheory.laws.record import ExperimentResult, Settings
from flowtheory.laws.rows import evidence
from flowtheory.lower import gradient_flow

MU = 0.1
RTOL = 1e-12
# Balancedness and dead neurons are conserved by the flow; the integrator keeps them to rounding.
DRIFT = 1e-9


def finite_eps(settings: Settings) -> ExperimentResult:
    """Switch time of a slow neuron beside a fast one, against arccosh(1/mu), over eps."""
    scales = np.geomspace(3e-4, 3e-3, settings.effort.pick(4, 7, 13))
    runs = []
    for k, eps in enumerate(scales):
        runs.append(_run(float(eps), "exponential"))
        settings.progress("full flow at finite eps", k + 1, len(scales) + 2)
    exact = float(formulas.two_points_time(MU))
    pairs = [(run, float(eps)) for run, eps in zip(runs, scales, strict=True)]
    rows = [_row(run, eps, exact, "exponential loss") for run, eps in pairs]
    shift = np.array([row.measured - exact for row in rows])
    fit = fit_slope(
        np.log(scales),
        np.log(np.abs(shift)),
        name="order in eps of the shift of the switch time",
        predicted=2.0,
        remainder=_next_order(float(np.max(np.abs(shift)))),
        alternatives=(("first order", 1.0), ("fourth order", 4.0)),
    )
    clocks = []
    for k, (loss, factor) in enumerate((("logistic", 2.0), ("two_logistic", 1.0))):
        clocks.append(_row(_run(1e-6, loss), 1e-6, factor * exact, f"{loss} loss"))
        settings.progress("full flow at finite eps", len(scales) + k + 1, len(scales) + 2)
    drifts = [_drift_row(run, eps) for run, eps in pairs]
    findings = (
        judge_fit(fit.name, fit, "published: O(eps)"),
        Equality(1e-7).judge("the logistic loss doubles all times, 2*logistic keeps them", clocks),
        UpperBound().judge(f"v^2 - |w|^2 is conserved to {DRIFT:g} |w|^2", drifts),
    )
    return ExperimentResult(tuple(rows + clocks + drifts), (fit,), findings)


def _next_order(shift: float) -> float:
    r"""Half the range of $\ln(\text{shift}/\varepsilon^2)$ that the next order allows.

    The shift is proportional to the output of the fast neuron at the switch, which grows
    like $e^{2|x_+|t}$; switching later by `shift` changes it by the factor
    $1 + 2|x_+| \cdot \text{shift}$.
    """
    return float(np.linalg.norm(family("two-points")(mu=MU).data.x_plus)) * shift


def _run(eps: float, loss: str) -> Trajectory:
    """F1 with its slow neuron and one fast neuron along x_+, both of norm eps and balanced."""
    case = family("two-points")(mu=MU)
    data = case.data
    fast = data.x_plus / np.linalg.norm(data.x_plus)
    flow = gradient_flow(data.x, data.y, loss=loss)
    start = flow.start(eps * np.vstack([case.w0, fast]), eps * np.ones(2))
    pattern = np.vstack([case.active, [[True, True]]])
    horizon = 1.2 * flow.clock.from_reference(float(formulas.two_points_time(MU)), data.n)
    return solve(flow, start, horizon, pattern=pattern, settings=Accuracy(rtol=RTOL))


def _row(run: Trajectory, eps: float, predicted: float, note: str) -> Evidence:
    times = run.switches.time[run.switches.neuron == 0]
    measured = float(times[-1]) if run.outcome.ok and times.size else float("nan")
    return _evidence("finite-eps", eps, predicted, measured, note)


def _drift_row(run: Trajectory, eps: float) -> Evidence:
    params = run.saved_params()
    size = np.sum(params.W**2, axis=2)
    drift = float(np.max(np.abs(params.v**2 - size) / size))
    note = "largest |v^2 - |w|^2|/|w|^2 over saved times"
    return _evidence("balancedness", eps, DRIFT, drift, note)


def _evidence(experiment: str, eps: float, predicted: float, measured: float, note: str):
    data = family("two-points")(mu=MU).data
    name = "two-points + fast neuron"
    return evidence(experiment, data, predicted, measured, family=name, h=2, eps=eps, note=note)
