"""Refusal, by name, of what cannot be lowered: before any array is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sympy import Add, Mul, Number, NumberSymbol, Piecewise, Pow, Sum, Symbol
from sympy.core.relational import Relational

from flowtheory.errors import ParameterError
from flowtheory.lower.table import ELEMENTWISE
from flowtheory.symbolic.expression import Expr, Indexed, IndexedBase
from flowtheory.symbolic.index import free_axes

_STRUCTURE = (Add, Mul, Pow, Number, NumberSymbol)


def check(expr: Expr, arguments: Sequence[IndexedBase | Symbol], outputs: Sequence[Symbol]) -> None:
    """Raise `ParameterError` unless `expr` can be lowered with these arguments and outputs."""
    tensors = [argument for argument in arguments if isinstance(argument, IndexedBase)]
    for tensor in tensors:
        if tensor.shape is None:
            raise _refusal(tensor, "has no shape", "give the IndexedBase a shape of sizes")
    sizes = {extent for tensor in tensors for extent in tensor.shape}
    scalars = {argument for argument in arguments if isinstance(argument, Symbol)}
    _Check(set(tensors), scalars | sizes).visit(expr, {})
    free = free_axes(expr)
    for i in free:
        if i not in outputs:
            raise _refusal(expr, f"has the free index {i}", "sum over it, or add it to `outputs`")
    for i in outputs:
        if i not in free:
            raise _refusal(expr, f"does not contain the output index {i}", "drop it from `outputs`")


@dataclass
class _Check:
    """A walk through the tree that looks at equal subexpressions once."""

    tensors: set[Expr]
    known: set[Expr]
    seen: set[tuple[Expr, frozenset[tuple[Symbol, Expr]]]] = field(default_factory=set)

    def visit(self, expr: Expr, bound: dict[Symbol, Expr]) -> None:
        """Look at `expr`; `bound` holds the sizes of the indices of the enclosing sums."""
        key = expr, frozenset(bound.items())
        if key in self.seen:
            return
        self.seen.add(key)
        if isinstance(expr, Indexed):
            self._entry(expr, bound)
        elif isinstance(expr, Sum):
            for limit in expr.limits:
                if len(limit) != 3 or limit[1] != 1 or limit[2] not in self.known:
                    raise _refusal(expr, "does not run over a whole axis", "sum from 1 to a size")
            self.visit(expr.function, bound | {limit[0]: limit[2] for limit in expr.limits})
        elif isinstance(expr, Piecewise):
            pairs: Any = expr.args
            for value, condition in pairs:
                compared = (side for c in condition.atoms(Relational) for side in c.args)
                for part in (value, *compared):
                    self.visit(part, bound)
        else:
            self._head(expr)
            for arg in expr.args:
                self.visit(arg, bound)

    def _head(self, expr: Expr) -> None:
        if isinstance(expr, Symbol):
            if expr not in self.known:
                raise _refusal(expr, "is neither an argument nor a size", "add it to `arguments`")
        elif not (isinstance(expr, _STRUCTURE) or type(expr) in ELEMENTWISE):
            known_heads = ", ".join(sorted(head.__name__ for head in ELEMENTWISE))
            problem = f"has the head {type(expr).__name__}, which the table does not know"
            raise _refusal(expr, problem, f"use {known_heads}; or add a row to lower/table.py")

    def _entry(self, entry: Indexed, bound: dict[Symbol, Expr]) -> None:
        if entry.base not in self.tensors:
            raise _refusal(
                entry, f"uses {entry.base}, which is not an argument", "add it to `arguments`"
            )
        for i, extent in zip(entry.indices, entry.shape, strict=True):
            if not isinstance(i, Symbol):
                raise _refusal(entry, f"has the index {i}", "index by plain symbols")
            if bound.get(i, extent) != extent:
                raise _refusal(
                    entry, f"sums {i} to {bound[i]} over an axis of size {extent}", "fix the sum"
                )


def _refusal(expr: Expr, problem: str, fix: str) -> ParameterError:
    return ParameterError(
        f"cannot lower {expr}: it {problem}",
        expected="sums over whole axes of products, powers and known functions of the arguments",
        fix=fix,
    )
