"""Running a law: experiments, then claims and controls on their evidence, then one verdict."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace

from flowtheory.errors import FlowtheoryError, LawError
from flowtheory.judge import Evidence, Finding, Verdict
from flowtheory.laws.certificate import certify_all
from flowtheory.laws.record import (
    Curves,
    Experiment,
    ExperimentResult,
    Law,
    Settings,
    Verification,
    findings_of,
)
from flowtheory.laws.time_limit import TimeIsUp, time_limit
from flowtheory.versions import versions


def verify(
    law: Law,
    settings: Settings | None = None,
    *,
    seconds: float | None = None,
    certify: bool = False,
) -> Verification:
    """Run every experiment of a law and judge its claims and controls.

    The verdict is AGREES if every finding agrees, DISAGREES if any disagrees, else INCONCLUSIVE.
    A negative control that does not come out DISAGREES makes it INCONCLUSIVE: evidence that cannot
    reject a wrong claim does not support the right one.

    Args:
        law: the law.
        settings: seed, effort, data.
        seconds: the longest time. What was measured by then is kept and judged; without the rest
            the verdict is not AGREES.
        certify: also try to prove rows, where the law knows how; no verdict depends on it.

    Raises:
        LawError: an experiment failed, or a prediction cannot be evaluated at the rows.
    """
    settings = settings or Settings()
    began = time.perf_counter()
    results, stopped = _run(law, settings, seconds)
    results = {name: _judged(law, name, result) for name, result in results.items()}
    controls = {} if stopped else _controls(law, results)
    rows = [row for result in results.values() for row in result.rows]
    certified = certify_all(law.certificates, rows) if certify else ()
    return Verification(
        law,
        _verdict(results, controls, stopped),
        results,
        controls,
        settings,
        time.perf_counter() - began,
        versions(),
        stopped,
        certified,
    )


def _run(
    law: Law, settings: Settings, seconds: float | None
) -> tuple[dict[str, ExperimentResult], str]:
    """The experiments' results, and why they ended early."""
    results: dict[str, ExperimentResult] = {}
    name = ""
    try:
        with time_limit(seconds):
            for experiment in law.experiments:
                rows: list[Evidence] = []
                curves: dict = {}
                name = experiment.name
                try:
                    results[name] = _collect(experiment, settings, rows, curves)
                except TimeIsUp:
                    results[name] = ExperimentResult(tuple(rows), curves=curves)
                    raise
    except TimeIsUp:
        return results, f"stopped after {seconds:g} s, in the experiment {name!r}"
    return results, ""


def _collect(
    experiment: Experiment, settings: Settings, rows: list[Evidence], curves: dict
) -> ExperimentResult:
    """An experiment's result; what it yields is put into `rows` and `curves` as it comes."""
    try:
        found = experiment.run(settings)
        if isinstance(found, ExperimentResult):
            return found
        for one in found:
            if isinstance(one, Curves):
                curves.update(one.arrays)
            else:
                rows.append(one)
    except (FlowtheoryError, TimeIsUp):
        raise
    except Exception as error:
        raise LawError(
            f"the experiment {experiment.name!r} failed: {type(error).__name__}: {error}",
            expected="an experiment that yields Evidence (and Curves), or returns its result",
            fix="run it by itself: list(experiment.run(Settings()))",
            more="--debug shows the traceback",
        ) from error
    return ExperimentResult(tuple(rows), curves=curves)


def _judged(law: Law, name: str, result: ExperimentResult) -> ExperimentResult:
    """The result with its claims' findings, and the rows with what the first claim predicts."""
    rows = list(result.rows)
    findings = list(result.findings)
    for claim in law.claims:
        if claim.experiment != name:
            continue
        held = claim.held_against(rows, claim.prediction)
        findings.append(claim.judge(held))
        new = iter(held)
        filled = [next(new) if claim.covers(row) else row for row in rows]
        rows = [
            one if math.isnan(row.predicted) else row for row, one in zip(rows, filled, strict=True)
        ]
    return replace(result, rows=tuple(rows), findings=tuple(findings))


def _controls(law: Law, results: Mapping[str, ExperimentResult]) -> dict[str, Finding]:
    """The findings on everything wrong that the evidence must reject."""
    found = {control.name: control.judge(results) for control in law.controls}
    for claim in law.claims:
        found |= claim.controls(results[claim.experiment].rows)
    return found


def _verdict(
    results: Mapping[str, ExperimentResult], controls: Mapping[str, Finding], stopped: str
) -> Verdict:
    verdict = Verdict.of_all(finding.verdict for finding in findings_of(results))
    powerless = any(found.verdict is not Verdict.DISAGREES for found in controls.values())
    return Verdict.INCONCLUSIVE if verdict is Verdict.AGREES and (powerless or stopped) else verdict
