"""Evidence: one row a comparison of a prediction with a measurement."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Evidence:
    """One prediction held against one measurement, in the reference clock unless `clock` says else.

    `measured` is NaN where the measurement was censored (then so is `ratio`); `live`, `dead` and
    `censored` count the neurons behind the row; `eps` is 0 for the effective flow.
    """

    experiment: str
    family: str
    n: int
    mu: float
    h: int
    eps: float
    seed: int | None
    predicted: float
    measured: float
    live: int = 0
    dead: int = 0
    censored: int = 0
    note: str = ""

    @property
    def ratio(self) -> float:
        """measured/predicted."""
        return self.measured / self.predicted if self.predicted else math.nan

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON, the ratio included; what was not measured is None."""
        row = asdict(self) | {"ratio": self.ratio}
        return {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in row.items()
        }
