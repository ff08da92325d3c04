"""What a program consists of: array operations whose operands carry labels instead of names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Labels = tuple[int, ...]


@dataclass(frozen=True)
class Operation:
    """One array operation on the results of earlier ones.

    Attributes:
        kind: What it does; see `perform.perform`.
        detail: What else it needs: a number, an argument, an exponent, a head of the table, a sign.
        operands: For each operand its number and the label of each of its axes.
        labels: The labels of the axes of the result.
    """

    kind: str
    detail: Any
    operands: tuple[tuple[int, Labels], ...]
    labels: Labels
