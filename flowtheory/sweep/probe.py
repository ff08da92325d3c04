r"""What a sweep does in one cell of its grid: a probe, from parameters to labelled numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from flowtheory.errors import ParameterError, unknown_name
from flowtheory.outcome import Outcome

Value = float | int | str | bool
Cell = Mapping[str, Value]
"""The parameters of one cell, all of them, by name."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a probe.

    Attributes:
        name: as in a study's file.
        kind: `float`, `int`, `str` or `bool`; values are converted, so that 1 and 1.0 are one.
        says: what it is, in a line.
        default: its value where a study gives none; None if it must.
        least: smallest number admitted.
        most: largest.
        choices: the admitted values, for texts.
        unit: of a number.
        check: called with a value; it raises where that is none.
    """

    name: str
    kind: type
    says: str
    default: Value | None = None
    least: float = -math.inf
    most: float = math.inf
    choices: tuple[str, ...] = ()
    unit: str = "1"
    check: Callable[[Any], object] | None = None

    def convert(self, value: Any) -> Value:
        """The value as a cell holds it.

        Raises:
            ParameterError: Of another kind, not finite, or out of the domain.
            FlowtheoryError: What `check` says.
        """
        kinds = (int, float) if self.kind is float else self.kind
        right = isinstance(value, kinds) and (self.kind is bool or not isinstance(value, bool))
        number = self.kind in (int, float)
        if not right or (number and not (math.isfinite(value) and self._inside(value))):
            raise ParameterError(
                f"{self.name} = {value!r}", expected=self.domain, fix=f"{self.name}: {self.says}"
            )
        if self.choices and value not in self.choices:
            raise unknown_name(self.name, str(value), self.choices)
        if self.check is not None:
            self.check(value)
        # An axis computed in another way is the same axis: 0.1 + 0.2 is 0.3.
        return float(f"{value:.12g}") if self.kind is float else self.kind(value)

    def _inside(self, value: float) -> bool:
        return self.least <= value <= self.most

    @property
    def domain(self) -> str:
        """The admitted values, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        words = {float: "a finite number", int: "an integer", str: "a text", bool: "true or false"}
        low = f" >= {self.least:g}" if math.isfinite(self.least) else ""
        high = f" <= {self.most:g}" if math.isfinite(self.most) else ""
        return words[self.kind] + low + (" and" if low and high else "") + high


class Measure(NamedTuple):
    """A number that a probe returns for every cell; NaN where it has none."""

    name: str
    says: str
    unit: str = "1"


class Found(NamedTuple):
    """What came of one cell.

    Attributes:
        outcome: how its run ended.
        values: number of every measure, by name.
        message: more about the outcome, in words.
    """

    outcome: Outcome
    values: Mapping[str, float]
    message: str = ""


_RESERVED = ("key", "cell", "outcome", "message")  # what a stored batch has besides


def _alone(cell: Cell) -> Hashable:
    """One bucket for all cells."""
    return ()


def _equal(cell: Cell) -> float:
    """All cells cost the same."""
    return 1.0


@dataclass(frozen=True)
class Probe:
    """What is done in a cell.

    Attributes:
        name: of the probe.
        version: to be raised whenever the numbers change: results of versions are never mixed.
        says: what it measures, in a line.
        parameters: of a cell.
        measures: that it returns.
        run: one `Found` a cell, in order; cells of one bucket are handed over together.
        bucket: what cells must have in common to be run together (their shapes, say).
        cost: of a cell, in any unit: what the estimate of the time left counts.
        batch: most cells of a batch, the unit of work and of storage.
    """

    name: str
    version: int
    says: str
    parameters: tuple[Parameter, ...]
    measures: tuple[Measure, ...]
    run: Callable[[Sequence[Cell]], Sequence[Found]]
    bucket: Callable[[Cell], Hashable] = _alone
    cost: Callable[[Cell], float] = _equal
    batch: int = field(default=64)

    def __post_init__(self) -> None:
        taken = Counter([*_RESERVED, *(entry.name for entry in (*self.parameters, *self.measures))])
        for name, count in taken.items():
            if count > 1:
                raise ParameterError(
                    f"the probe {self.name} has two things called {name}",
                    expected=f"different names of parameters and measures, none of {_RESERVED}",
                    fix=f"call the measure {name}_end, say",
                )

    def parameter(self, name: str) -> Parameter:
        """The parameter of a name.

        Raises:
            UnknownNameError: There is none.
        """
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        names = [parameter.name for parameter in self.parameters]
        raise unknown_name(f"parameter of {self.name}", name, names)
