"""Evidence: one row a comparison of a prediction with a measurement."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Evidence:
    """One prediction held against one measurement, in the reference clock unless `note` says else.

    Attributes:
        experiment: what produced it.
        family: the kind of case within the experiment.
        parameters: what the case depends on, by name; a prediction is evaluated at them. The scale
            `eps` is 0 for the effective flow.
        predicted: NaN as long as no claim has been held against the row.
        measured: NaN where nothing was measured (then so is `ratio`).
        error: half-width of the interval around `measured` that is known to hold the quantity.
        cut: of a censored row, whose observation ended: the quantity is known to be larger.
        seed: of what is random.
        counts: neurons behind the row, by what became of them.
        note: anything else.
        case: the numbers from which an attack makes the case again.
        instance: the case itself (data, start), where its law has a proof for it; not written.
    """

    experiment: str
    family: str
    parameters: Mapping[str, float]
    measured: float
    predicted: float = math.nan
    error: float = 0.0
    cut: float = math.nan
    seed: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    note: str = ""
    case: tuple[float, ...] = ()
    instance: Any = field(default=None, repr=False, compare=False)

    def __getitem__(self, name: str) -> float:
        """A parameter; NaN if the case does not have it."""
        return self.parameters.get(name, math.nan)

    @property
    def ratio(self) -> float:
        """measured/predicted."""
        return self.measured / self.predicted if self.predicted else math.nan

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON, the ratio included; what was not measured is None."""
        row = {
            "experiment": self.experiment,
            "family": self.family,
            "parameters": {name: _known(value) for name, value in self.parameters.items()},
            "predicted": self.predicted,
            "measured": self.measured,
            "ratio": self.ratio,
            "error": self.error,
            "cut": self.cut,
            "seed": self.seed,
            "counts": dict(self.counts),
            "note": self.note,
            "case": list(self.case),
        }
        return {key: _known(value) for key, value in row.items()}


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
