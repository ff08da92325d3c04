r"""Experiments: the order in $\varepsilon$ and the constant, without and with feedback."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flowtheory.judge import (
    Equality,
    Evidence,
    Finding,
    Fit,
    Verdict,
    fit_slope,
    judge_fit,
)
from flowtheory.laws.leading_flow_error.cases import WIDTH, Case, with_feedback, without_feedback
from flowtheory.laws.leading_flow_error.formulas import predicted_error
from flowtheory.laws.leading_flow_error.measure import Sweep, sweep, system
from flowtheory.laws.record import ExperimentResult, Settings

# Of eps^q: below, rounding shows in the constant; above, the next term does in the slope.
RANGE = (1e-6, 1e-4)
WIDEST = 0.05
TOLERANCE = 0.01


def no_feedback(settings: Settings) -> ExperimentResult:
    """Losses linear in the output: the gap is that of the network alone."""
    cases = without_feedback()[: settings.effort.pick(1, 4, 4)]
    return _measure("no-feedback", "flows without feedback", cases, settings)


def feedback(settings: Settings) -> ExperimentResult:
    """The losses themselves, deep and linear networks, and real images if there are any."""
    cases = with_feedback()[: settings.effort.pick(2, 7, 7)]
    if settings.data is None:
        cases = tuple(case for case in cases if not case.on_images)
    return _measure("feedback", "flows with feedback", cases, settings)


def _measure(name: str, what: str, cases: Sequence[Case], settings: Settings) -> ExperimentResult:
    seeds = settings.effort.pick(2, 2, 6)
    points = settings.effort.pick(4, 6, 9)
    rows: list[Evidence] = []
    fits: list[Fit] = []
    wrong: dict[str, dict[str, np.ndarray]] = {}
    for k, case in enumerate(cases):
        gap = system(case).gap
        eps = np.geomspace(*RANGE, points) ** (1 / gap)
        own = [settings.seed * 1000 + s for s in range(seeds)]
        sweeps = [sweep(case, eps, seed, _images(case, settings)) for seed in own]
        rows += [
            r for found, s in zip(sweeps, own, strict=True) for r in _rows(name, case, found, s)
        ]
        fits.append(fit_order(case.label, gap, system(case).following, sweeps))
        wrong[case.label] = {"eps": eps, "error": sweeps[0].wrong, "gap": np.array(gap)}
        settings.progress(what, k + 1, len(cases))
    smallest = [
        row
        for row in rows
        if row["eps"] == min(other["eps"] for other in rows if other.family == row.family)
    ]
    findings = (
        *(judge_fit(fit.name, fit) for fit in fits),
        judge_widths(f"{name}: every interval is narrower than {WIDEST:g}", fits),
        Equality(TOLERANCE).judge(
            f"{name}: error = C eps^q at the least eps, C from the first variation", smallest
        ),
    )
    return ExperimentResult(tuple(rows), tuple(fits), findings, curves={"wrong potential": wrong})


def _images(case: Case, settings: Settings) -> tuple[np.ndarray, np.ndarray] | None:
    """The images scaled to a longest one of length 1."""
    if not case.on_images or settings.data is None:
        return None
    data = settings.data
    return data.x / np.max(data.norms), data.y


def _rows(name: str, case: Case, found: Sweep, seed: int) -> list[Evidence]:
    gap = system(case).gap
    return [
        Evidence(
            experiment=name,
            family=case.label,
            parameters={"n": found.samples, "h": WIDTH, "eps": float(eps)},
            seed=seed,
            predicted=float(predicted_error(found.constant, eps, gap)),
            measured=float(error),
            counts={"live": WIDTH},
            note=f"q = {gap}, C = {found.constant:.4g}",
        )
        for eps, error in zip(found.eps, found.error, strict=True)
    ]


def fit_order(label: str, gap: int, following: int, sweeps: Sequence[Sweep]) -> Fit:
    r"""One slope of ln(error) in ln(eps) for all starts of a case, each with its own constant.

    Args:
        label: the case.
        gap: the predicted slope.
        following: $r$, the error being $C\varepsilon^q(1 + O(\varepsilon^r))$.
        sweeps: at least 4 scales each.
    """
    x = np.concatenate([np.log(found.eps) for found in sweeps])
    logs = [np.log(found.error) for found in sweeps]
    y = np.concatenate([values - values.mean() for values in logs])
    # Every start has its own next term, and the biases of the common slope average.
    remainders = [_next_order(found.eps, found.error, following) for found in sweeps]
    return fit_slope(
        x,
        y,
        name=f"order, {label}",
        predicted=float(gap),
        remainder=float(np.mean(remainders)),
        alternatives=(("one order less", gap - 1.0), ("one order more", gap + 1.0)),
    )


def _next_order(eps: np.ndarray, error: np.ndarray, following: int) -> float:
    r"""Half the range of $c\,\varepsilon^r$ in $\ln E = s\ln\varepsilon + b + c\,\varepsilon^r$.

    All three are fitted: the slope $s$ is free, so that a wrong prediction does not widen its own
    interval.
    """
    x = np.log(eps) - np.mean(np.log(eps))
    scaled = (eps / eps.max()) ** following
    basis = np.column_stack([x, np.ones_like(x), scaled])
    c = np.linalg.lstsq(basis, np.log(error), rcond=None)[0][2]
    return 0.5 * float(abs(c) * np.ptp(scaled))


def judge_widths(claim: str, fits: Sequence[Fit]) -> Finding:
    """An interval that is too wide to mean anything is no evidence."""
    widest = max(fit.high - fit.low for fit in fits)
    verdict = Verdict.AGREES if widest < WIDEST else Verdict.INCONCLUSIVE
    return Finding(claim, verdict, widest, f"< {WIDEST:g}", len(fits))
