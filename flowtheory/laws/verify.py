"""Running a law: experiments, then controls on the same evidence, then one verdict."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from importlib.metadata import version

from flowtheory.judge import Finding, Verdict
from flowtheory.laws.record import ExperimentResult, Law, Settings, Verification

_RECORDED = ("flowtheory", "jax", "diffrax", "sympy", "numpy", "scipy", "numba", "scikit-learn")


def verify(law: Law, settings: Settings | None = None) -> Verification:
    """Run every experiment and control of a law.

    The verdict is AGREES if every finding agrees, DISAGREES if any disagrees, else INCONCLUSIVE.
    A negative control that does not come out DISAGREES makes it INCONCLUSIVE: evidence that cannot
    reject a wrong claim does not support the right one.
    """
    settings = settings or Settings()
    began = time.perf_counter()
    results = {experiment.name: experiment.run(settings) for experiment in law.experiments}
    controls = {control.name: control.judge(results) for control in law.controls}
    versions = {name: version(name) for name in _RECORDED} | {"python": platform.python_version()}
    return Verification(
        law,
        _verdict(results, controls),
        results,
        controls,
        settings,
        time.perf_counter() - began,
        versions,
    )


def _verdict(results: Mapping[str, ExperimentResult], controls: Mapping[str, Finding]) -> Verdict:
    findings = [finding for result in results.values() for finding in result.findings]
    verdict = Verdict.of_all(finding.verdict for finding in findings)
    powerless = any(found.verdict is not Verdict.DISAGREES for found in controls.values())
    return Verdict.INCONCLUSIVE if verdict is Verdict.AGREES and powerless else verdict
