r"""The plan between index notation and JAX: a list of array operations, each of them needed.

Expressions are numbered by value: two that differ only in the names of their indices, bound or
free, are one operation, because its operands carry positions instead of names. The hidden layer
$\sigma(\sum_p W_{jp} x_{ip})$ is computed once, also where a gradient calls it
$\sigma(\sum_q W_{kq} x_{iq})$.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sympy import Add, Mul, Number, NumberSymbol, Piecewise, Pow, Sum, Symbol

from flowtheory.lower.fuse import fuse, needed
from flowtheory.lower.operation import Operation
from flowtheory.lower.piecewise import arguments, slots_of
from flowtheory.lower.table import number
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.index import axes_of

Axes = tuple[Symbol, ...]
Value = tuple[int, Axes]
"""The number of an operation, with the index symbol of each axis of its result."""


@dataclass
class Program:
    """Operations in the order in which they run, numbered by value.

    Attributes:
        order: The position of every size in the order of the axes of all intermediate results, so
            that arrays that meet have the same layout.
        operations: The number of every operation.
        extents: By that number, the sizes of the axes of its result.
        memo: What expressions have become.
    """

    order: Mapping[Expr, int]
    operations: dict[Operation, int] = field(default_factory=dict)
    extents: list[tuple[Expr, ...]] = field(default_factory=list)
    memo: dict[Expr, Value] = field(default_factory=dict)

    def add(self, expr: Expr) -> Value:
        """Plan `expr`; the free indices of the value are those of `expr`."""
        if expr not in self.memo:
            self.memo[expr] = self._plan(expr)
        return self.memo[expr]

    def steps(self, results: Collection[int]) -> dict[int, Operation]:
        """By number, in the order in which they run, the operations that `results` need."""
        fused = fuse(list(self.operations), results)
        kept = needed(fused, results)
        return {k: step for k, step in enumerate(fused) if k in kept}

    def _plan(self, expr: Expr) -> Value:
        if isinstance(expr, Number | NumberSymbol):
            return self._emit("number", number(expr), [])
        if isinstance(expr, Symbol):
            return self._emit("symbol", expr, [])
        if isinstance(expr, Indexed):
            return self._entry(expr)
        if isinstance(expr, Sum):
            body: Expr = expr.function
            factors = map(self.add, Mul.make_args(body))
            return self._emit("contract", 1, sorted(factors, key=_first), axes_of(expr))
        if isinstance(expr, Add) or (isinstance(expr, Mul) and _negative(expr)):
            return self._terms(Add.make_args(expr))
        if isinstance(expr, Mul):
            return self._emit("multiply", None, sorted(map(self.add, expr.args), key=_first))
        if isinstance(expr, Pow) and isinstance(expr.exp, Number):
            return self._emit("power", expr.exp, [self.add(expr.base)])
        if isinstance(expr, Piecewise):
            slots = slots_of(expr)
            template = expr.xreplace(dict(zip(slots, arguments(len(slots)), strict=True)))
            return self._emit("piecewise", template, [self.add(slot) for slot in slots])
        return self._emit("call", type(expr), [self.add(arg) for arg in expr.args])

    def _entry(self, expr: Indexed) -> Value:
        """An entry of an argument; with a repeated index it is a diagonal."""
        axes = tuple(range(len(expr.indices)))
        argument = self._number(Operation("argument", expr.base, (), axes), expr.shape)
        if len(set(expr.indices)) == len(expr.indices):
            return argument, expr.indices
        return self._emit("diagonal", None, [(argument, expr.indices)])

    def _terms(self, terms: Sequence[Expr]) -> Value:
        """Terms with a minus sign are subtracted, so that $f$ and $-f$ share one value."""
        plus = sorted((self.add(term) for term in terms if not _negative(term)), key=_first)
        minus = sorted((self.add(-term) for term in terms if _negative(term)), key=_first)
        if not plus:
            (first, axes), *rest = minus
            negative = self._emit("negate", None, [(first, axes)])
            return self._emit("add", 1, [negative, *rest]) if rest else negative
        return self._emit("add", len(plus), [*plus, *minus])

    def _emit(
        self, kind: str, detail: Any, values: Sequence[Value], summed: Sequence[Any] = ()
    ) -> Value:
        """One operation; labels are given by size, then by first appearance, never by name."""
        extents: dict[Symbol, Expr] = {}
        for n, axes in values:
            extents |= dict(zip(axes, self.extents[n], strict=True))
        if len(values) > 1 or summed:
            extents = dict(sorted(extents.items(), key=lambda pair: self.order[pair[1]]))
        label = {i: k for k, i in enumerate(extents)}
        kept = tuple(i for i in label if i not in dict(summed))
        operands = tuple((n, tuple(label[i] for i in axes)) for n, axes in values)
        operation = Operation(kind, detail, operands, tuple(label[i] for i in kept))
        return self._number(operation, tuple(extents[i] for i in kept)), kept

    def _number(self, operation: Operation, extents: tuple[Expr, ...]) -> int:
        if operation not in self.operations:
            self.operations[operation] = len(self.operations)
            self.extents.append(extents)
        return self.operations[operation]


def _first(value: Value) -> int:
    return value[0]


def _negative(term: Expr) -> bool:
    return not isinstance(term, Number) and bool(term.as_coeff_Mul()[0].is_negative)
