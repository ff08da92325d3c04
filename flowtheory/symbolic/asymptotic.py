"""A formula of the theory with its symbols, its domain, and what it leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sympy import And, Piecewise, S, Symbol, sympify

from flowtheory.errors import ParameterError
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.printing import tex


@dataclass(frozen=True)
class Formula:
    r"""A law as a SymPy object.

    Attributes:
        name: What it gives, in words.
        expression: The formula.
        symbols: Every free symbol with its meaning, in the order of arguments of numeric forms.
        domain: Relations between the symbols under which it holds, beside their assumptions.
        remainder: The order of what is left out, the argument of $O(\cdot)$; 0 for an identity.
        source: Where it is published, or "derived here".
    """

    name: str
    expression: Expr
    symbols: Mapping[Symbol, str]
    domain: tuple[Expr, ...]
    remainder: Expr
    source: str

    def __post_init__(self) -> None:
        parts = (self.expression, self.remainder, *self.domain)
        used: set[Any] = {symbol for part in parts for symbol in part.free_symbols}
        unknown = used - set(self.symbols)
        if unknown:
            raise ParameterError(
                f"{self.name} has the symbols {sorted(map(str, unknown))} without a meaning",
                expected="a meaning for each symbol",
                fix="add them to `symbols`",
            )

    @property
    def is_exact(self) -> bool:
        """Whether nothing is left out."""
        return self.remainder == 0

    @property
    def arguments(self) -> tuple[Symbol, ...]:
        """The symbols of the expression, in the order of `symbols`."""
        return tuple(s for s in self.symbols if s in self.expression.free_symbols)

    def holds(self, values: Mapping[Symbol, Any]) -> bool:
        """Whether numbers for all symbols of the domain lie in it."""
        condition = And(*(c.subs({s: sympify(v) for s, v in values.items()}) for c in self.domain))
        if condition not in (S.true, S.false):
            raise ParameterError(
                f"the domain of {self.name} is undecided: {condition}",
                expected="numbers for all its symbols",
                fix="add the missing values",
            )
        return condition == S.true

    @property
    def inside(self) -> Expr:
        """1 in the domain and 0 outside, to be evaluated at many points."""
        return Piecewise((S.One, And(*self.domain)), (S.Zero, True))

    @property
    def latex(self) -> str:
        """The formula in LaTeX, with its remainder."""
        rest = "" if self.is_exact else rf" + O\left({tex(self.remainder)}\right)"
        return tex(self.expression) + rest
