"""The content of a report as plain data: what the JSON file holds and the page shows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from enum import Enum
from typing import Any

import numpy as np
import sympy as sp

from flowtheory.data import LabelledData
from flowtheory.judge import Finding, Fit
from flowtheory.judge.fit import LEVEL
from flowtheory.laws.attack import worst
from flowtheory.laws.record import Assumption, Effort, Statement, Verification
from flowtheory.report.formula import line

SCHEMA = "flowtheory/verification/3"


def to_dict(verification: Verification, *, command: str = "") -> dict[str, Any]:
    """Everything that a report says, as numbers, strings, lists and dictionaries.

    Args:
        verification: the outcome.
        command: the command that reproduces it; by default built from the settings, which do not
            know where the real data came from.

    Returns:
        A dictionary that `json` writes as strictly valid JSON: what is not a finite number is
        None. Key `evidence` holds one row for each comparison.

    Raises:
        TypeError: an experiment's summary or curves hold something that is not plain data.
    """
    law, settings, results = verification.law, verification.settings, verification.results
    titles = {experiment.name: experiment.title for experiment in law.experiments}
    document = {
        "schema": SCHEMA,
        "law": law.name,
        "title": law.title,
        "verdict": verification.verdict,
        "stopped": verification.stopped,
        "range": _range(verification),
        "not_shown": law.not_shown,
        "clock": str(law.clock),
        "statements": [_statement(statement) for statement in law.statements],
        "symbols": [
            {
                "symbol": line(info.symbol),
                "latex": sp.latex(info.symbol),
                "meaning": info.meaning,
                "unit": info.unit,
            }
            for info in law.symbols
        ],
        "findings": [
            {"experiment": name} | _finding(finding)
            for name, result in results.items()
            for finding in result.findings
        ],
        "evidence": [row.as_dict() for row in verification.rows],
        "fits": [
            {"experiment": name} | _fit(fit)
            for name, result in results.items()
            for fit in result.fits
        ],
        "controls": _controls(verification),
        "attacks": _attacks(verification),
        "certificates": [asdict(one) for one in verification.certified],
        "assumptions": [_assumption(one, settings.data) for one in law.assumptions],
        "experiments": [
            {
                "name": name,
                "title": titles.get(name, ""),
                "summary": result.summary,
                "curves": result.curves,
            }
            for name, result in results.items()
        ],
        "data": _data(settings.data),
        "command": command or _command(verification),
        "seed": settings.seed,
        "effort": settings.effort,
        "seconds": verification.seconds,
        "versions": verification.versions,
        "references": law.references,
        "docs": law.docs,
    }
    return plain(document)


def to_json(document: Mapping[str, Any]) -> str:
    """The document as JSON text that any strict reader takes (no NaN, no infinity)."""
    return json.dumps(document, allow_nan=False, ensure_ascii=False, indent=1) + "\n"


def plain(value: Any) -> Any:
    """Numbers, strings, lists and dictionaries only; a number that is not finite becomes None.

    Raises:
        TypeError: something else is inside.
    """
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, (np.generic, np.ndarray)):
        return plain(value.tolist())
    if isinstance(value, (int, float)):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    raise TypeError(f"a report holds plain data, not {type(value).__name__}: {value!r}")


def _statement(statement: Statement) -> dict[str, Any]:
    return {
        "name": statement.name,
        "role": statement.role,
        "latex": statement.latex,
        "text": line(statement.expression),
        "source": statement.source,
        "note": statement.note,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "claim": finding.claim,
        "verdict": finding.verdict,
        "value": finding.value,
        "expected": finding.expected,
        "cases": finding.cases,
        "interval": ends((finding.low, finding.high)),
        "detail": finding.detail,
    }


def _fit(fit: Fit) -> dict[str, Any]:
    return {
        "name": fit.name,
        "value": fit.value,
        "interval": [fit.low, fit.high],
        "level": LEVEL,
        "predicted": fit.predicted,
        "alternatives": [{"name": name, "value": slope} for name, slope in fit.alternatives],
        "points": fit.points,
        "verdict": fit.verdict,
    }


def _controls(verification: Verification) -> list[dict[str, Any]]:
    law = verification.law
    wrong = {control.name: (control.wrong_claim, control.uses) for control in law.controls}
    for claim in law.claims:
        for name in claim.alternatives:
            wrong[claim.named(name)] = (f"{claim.name}, but {name}", (claim.experiment,))
    return [
        {
            "name": name,
            "verdict": finding.verdict,
            "claim": wrong.get(name, (finding.claim, ()))[0],
            "value": finding.value,
            "expected": finding.expected,
            "cases": finding.cases,
            "uses": wrong.get(name, ("", ()))[1],
        }
        for name, finding in verification.controls.items()
    ]


def _attacks(verification: Verification) -> list[dict[str, Any]]:
    """The worst case found of each bound that is attacked, with what makes it again."""
    law, found = verification.law, []
    for attack in law.attacks:
        row = worst(attack, verification.rows)
        if row is not None:
            found.append(
                {
                    "name": attack.name,
                    "bound": "upper" if attack.upper else "lower",
                    "ratio": row.ratio,
                    "short": -math.expm1(attack.nearness(row)),
                    "stored": row.case == attack.stored,
                    "attained": attack.attained,
                    "case": list(row.case),
                    "again": f"get_law({law.name!r}).attack({attack.name!r}).row({list(row.case)})",
                }
            )
    return found


def _assumption(assumption: Assumption, data: LabelledData | None) -> dict[str, Any]:
    holds, found = (None, "") if data is None else assumption.check(data)
    return {
        "name": assumption.name,
        "statement": assumption.statement,
        "data": None if data is None else data.name,
        "holds": None if holds is None else bool(holds),
        "found": found,
    }


def _data(data: LabelledData | None) -> dict[str, Any] | None:
    if data is None:
        return None
    return {
        "name": data.name,
        "provenance": data.provenance,
        "n": data.n,
        "dimension": data.dimension,
        "mu": data.mu,
        "violating_fraction": data.violating_fraction,
    }


def _range(verification: Verification) -> dict[str, Any]:
    rows = verification.rows
    measured = [row for row in rows if math.isfinite(row.measured)]
    return {
        "cases": len(rows),
        "measured": len(measured),
        "families": list(dict.fromkeys(row.family for row in measured)),
        "parameters": verification.ranges(),
        "text": verification.tested_range(),
        "counts": {
            name: sum(row.counts.get(name, 0) for row in rows)
            for name in dict.fromkeys(name for row in rows for name in row.counts)
        },
    }


def ends(values: Iterable[float | None]) -> list[float] | None:
    """[least, largest], or None if no value is finite."""
    found = [value for value in values if value is not None and math.isfinite(value)]
    return [min(found), max(found)] if found else None


def _command(verification: Verification) -> str:
    settings = verification.settings
    effort = {Effort.QUICK: " --quick", Effort.FULL: " --full"}.get(settings.effort, "")
    return f"flowtheory verify {verification.law.name} --seed {settings.seed}{effort}"
