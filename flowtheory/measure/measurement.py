"""`Measurement`: one number with its interval, and what it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

from flowtheory.errors import ParameterError


@dataclass(frozen=True)
class Measurement:
    r"""A number $v$ with an interval $[l, u]$, and the definition it was measured by.

    Attributes:
        value: $v$; NaN if and only if `cut`.
        low: $l$, the lower end of the interval.
        high: $u$, the upper end; infinite where nothing is known.
        definition: what was measured, as a formula in plain text.
        unit: of the number; "1" is dimensionless, "time" is the clock of the times given.
        level: 1 for an enclosure, certain under the conditions that the definition states; below 1
            the probability of a confidence interval. $l = u$ at level 1: a function of the given
            numbers, exact up to rounding.
        cut: censored: known only to lie above `low`.
        note: what a reader of the number must know, such as why it is cut.
    """

    value: float
    low: float
    high: float
    definition: str
    unit: str = "1"
    level: float = 1.0
    cut: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        if self.cut:
            right = math.isnan(self.value) and self.high == math.inf
        else:
            right = self.low <= self.value <= self.high and math.isfinite(self.value)
        if not right or math.isnan(self.low):
            raise ParameterError(
                f"value {self.value}, interval [{self.low}, {self.high}], cut = {self.cut}",
                expected="low <= value <= high; for a cut measurement no value and high = inf",
                fix="Measurement.above(low, ...) for what is known only to lie above `low`",
            )
        if not 0 < self.level <= 1:
            raise ParameterError(
                f"level is {self.level!r}",
                expected="1 for an enclosure, else a probability",
                fix="leave it out",
            )

    @classmethod
    def exact(cls, value: float, definition: str, unit: str = "1", note: str = "") -> Self:
        """A function of the given numbers, without an error but rounding."""
        return cls(float(value), float(value), float(value), definition, unit, note=note)

    @classmethod
    def above(cls, low: float, definition: str, unit: str = "1", note: str = "") -> Self:
        """A censored measurement, known only to lie above `low`."""
        return cls(math.nan, float(low), math.inf, definition, unit, cut=True, note=note)

    @property
    def error(self) -> float:
        """Half-width of the least symmetric interval about the value that holds [low, high]."""
        return math.inf if self.cut else max(self.value - self.low, self.high - self.value)

    def contains(self, value: float) -> bool:
        """Whether a number lies in the interval."""
        return self.low <= value <= self.high

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is not finite is None."""
        numbers = {"value": self.value, "low": self.low, "high": self.high, "error": self.error}
        return {
            **{name: n if math.isfinite(n) else None for name, n in numbers.items()},
            "definition": self.definition,
            "unit": self.unit,
            "level": self.level,
            "cut": self.cut,
            "note": self.note,
        }

    def __str__(self) -> str:
        unit = "" if self.unit == "1" else f" ({self.unit})"
        if self.cut:
            return f"> {self.low:.6g}{unit}"
        if self.error == 0:
            return f"{self.value:.6g}{unit}"
        return f"{self.value:.6g} in [{self.low:.6g}, {self.high:.6g}]{unit}"
