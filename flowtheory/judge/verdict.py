"""The three verdicts, and how several findings make one."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum


class Verdict(Enum):
    """What evidence says about a claim. INCONCLUSIVE is an answer, not a failure.

    `exit_code` is the exit status of `flowtheory verify` (2 is kept for bad usage).
    """

    AGREES = "AGREES"
    DISAGREES = "DISAGREES"
    INCONCLUSIVE = "INCONCLUSIVE"

    @property
    def exit_code(self) -> int:
        """0, 1 or 3."""
        return {"AGREES": 0, "DISAGREES": 1, "INCONCLUSIVE": 3}[self.value]

    @classmethod
    def of_all(cls, verdicts: Iterable[Verdict]) -> Verdict:
        """DISAGREES if any disagrees, AGREES if all agree (and there is one), else INCONCLUSIVE."""
        found = list(verdicts)
        if Verdict.DISAGREES in found:
            return Verdict.DISAGREES
        if found and all(verdict is Verdict.AGREES for verdict in found):
            return Verdict.AGREES
        return Verdict.INCONCLUSIVE
