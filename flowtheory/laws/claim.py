r"""Claims: what a law says of its evidence, and the wrong variants that the same rows must reject.

A claim and its alternatives are SymPy expressions in the parameters of the rows, evaluated at them
and judged by one statistic. So no number of a prediction is typed twice, and each claim shows its
own power.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import sympy as sp
from jaxtyping import Float

from flowtheory.errors import LawError
from flowtheory.judge import Axis, Evidence, Finding, Kind
from flowtheory.lower import numeric
from flowtheory.symbolic.printing import unicode_line


@dataclass(frozen=True)
class Claim:
    """A prediction of the rows of an experiment, and how it is judged.

    Attributes:
        name: the claim in words or as a formula; it heads its line in the report.
        experiment: whose rows it is about.
        kind: the statistic that decides.
        prediction: the claimed value; its symbols are names of the rows' parameters.
        alternatives: plausible wrong predictions by name, each of which must be rejected.
        families: the rows' families that it covers; all, if empty.
        axis: the parameter that its figure is drawn over; none, if empty.
        detail: what else is to be said.
    """

    name: str
    experiment: str
    kind: Kind
    prediction: sp.Expr
    alternatives: Mapping[str, sp.Expr] = field(default_factory=dict)
    families: tuple[str, ...] = ()
    axis: str = ""
    detail: str = ""

    def covers(self, row: Evidence) -> bool:
        """Whether the claim is about a row."""
        known = not self.families or row.family in self.families
        return row.experiment == self.experiment and known

    def held_against(self, rows: Sequence[Evidence], prediction: sp.Expr) -> list[Evidence]:
        """The rows that it covers, with the value of a prediction."""
        own = [row for row in rows if self.covers(row)]
        values = evaluate(prediction, own)
        return [replace(row, predicted=float(v)) for row, v in zip(own, values, strict=True)]

    def judge(self, held: Sequence[Evidence]) -> Finding:
        """The finding on rows that hold its prediction."""
        return self.kind.judge(self.name, held, self.detail)

    def controls(self, rows: Sequence[Evidence]) -> dict[str, Finding]:
        """The findings on its alternatives, by their full names."""
        return {
            self.named(wrong): self.kind.judge(
                f"{self.name}, but {wrong}", self.held_against(rows, prediction)
            )
            for wrong, prediction in self.alternatives.items()
        }

    def named(self, alternative: str) -> str:
        """The name of an alternative, unique within a law."""
        return f"{self.name}: {alternative}"


def evaluate(prediction: sp.Expr, rows: Sequence[Evidence]) -> Float[np.ndarray, " rows"]:
    """The values of a prediction at the parameters of rows.

    Raises:
        LawError: A symbol that is no parameter of a row.
    """
    if not rows:
        return np.zeros(0)
    prediction = sp.sympify(prediction)
    symbols = symbols_of(prediction)
    known = set(rows[0].parameters).intersection(*(row.parameters for row in rows))
    missing = [str(symbol) for symbol in symbols if str(symbol) not in known]
    if missing:
        raise LawError(
            f"the prediction {prediction} has the free symbol(s) {', '.join(missing)}",
            expected=f"only parameters of the rows: {', '.join(sorted(known)) or 'none'}",
            fix="give the rows of the experiment these parameters, or substitute numbers",
        )
    columns = [np.array([float(row[str(symbol)]) for row in rows]) for symbol in symbols]
    return np.broadcast_to(numeric(prediction, symbols)(*columns), (len(rows),))


def symbols_of(expression: sp.Expr) -> list[sp.Symbol]:
    """Its free symbols, by name."""
    free = expression.free_symbols
    return sorted((one for one in free if isinstance(one, sp.Symbol)), key=str)


def axis(expression: sp.Expr) -> Axis:
    """An axis of fits, given by an expression in the parameters of the rows."""
    symbols = symbols_of(expression)
    value = numeric(expression, symbols)
    return Axis(
        unicode_line(expression),
        lambda row: float(value(*(row[str(symbol)] for symbol in symbols))),
    )
