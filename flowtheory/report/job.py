"""One law verified and written: what a command, or a worker of many, does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowtheory.laws.load import find_law
from flowtheory.laws.record import Settings
from flowtheory.laws.verify import verify
from flowtheory.report.evidence import to_dict
from flowtheory.report.write import write_report


@dataclass(frozen=True)
class Job:
    """A law by name (or the path of its file), how it is verified and where its report goes."""

    law: str
    settings: Settings
    command: str
    target: Path | None = None
    seconds: float | None = None
    certify: bool = False


def run_job(job: Job) -> tuple[dict[str, Any], Mapping[str, Path]]:
    """Verify, and write the report if it has a place.

    Returns:
        The document of the verification, and the files written.
    """
    verification = verify(find_law(job.law), job.settings, seconds=job.seconds, certify=job.certify)
    document = to_dict(verification, command=job.command)
    if job.target is None:
        return document, {}
    figures = verification.figures()
    return document, write_report(verification, figures, job.target, command=job.command)
