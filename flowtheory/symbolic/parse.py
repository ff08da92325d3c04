"""Formulas from a string, read without evaluating Python."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy as sp
from sympy import Symbol

from flowtheory.errors import ParameterError
from flowtheory.symbolic.expression import Expr

_FUNCTIONS: Mapping[str, Callable[..., Expr]] = {
    **{f.__name__: f for f in (sp.exp, sp.log, sp.sin, sp.cos, sp.tan, sp.sinh, sp.cosh, sp.tanh)},
    **{f.__name__: f for f in (sp.asinh, sp.acosh, sp.atanh, sp.atan, sp.erf, sp.sqrt, sp.sign)},
    "abs": sp.Abs,
    "max": sp.Max,
    "min": sp.Min,
}
_OPERATIONS: Mapping[type[ast.operator], Callable[[Any, Any], Expr]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}


def parse(
    text: str,
    variables: Sequence[Symbol],
    functions: Mapping[str, Callable[..., Expr]],
    example: str,
) -> Expr:
    """The expression that `text` writes in `variables`, with `functions` besides SymPy's.

    Decimal numbers are taken as the rational numbers that they write.

    Raises:
        ParameterError: Anything but numbers, pi, the variables, arithmetic and known functions;
            its fix shows the `example`.
    """
    return _Reader(text, variables, {**_FUNCTIONS, **functions}, example).read()


class _Reader:
    """Walks the syntax tree; what it does not know it refuses."""

    def __init__(
        self, text: str, variables: Sequence[Symbol], functions: Mapping[str, Any], example: str
    ) -> None:
        self.text, self.functions, self.example = text, functions, example
        self.names: dict[str, Expr] = {**{v.name: v for v in variables}, "pi": sp.pi}

    def read(self) -> Expr:
        try:
            tree = ast.parse(self.text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise self._refusal("it is not a formula") from error
        return self._visit(tree.body)

    def _visit(self, node: ast.expr) -> Expr:
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
            left, right = self._visit(node.left), self._visit(node.right)
            if isinstance(node.op, ast.Pow) and right.is_number and abs(right) > 64:
                raise self._refusal(f"the power {right} is larger than 64")
            return _OPERATIONS[type(node.op)](left, right)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            value = self._visit(node.operand)
            return -value if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return sp.Rational(ast.get_source_segment(self.text.strip(), node) or "0")
        if isinstance(node, ast.Name):
            if node.id not in self.names:
                raise self._refusal(f"{node.id} is not {' or '.join(self.names)}")
            return self.names[node.id]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            return self._call(node.func.id, [self._visit(arg) for arg in node.args])
        raise self._refusal(f"{ast.unparse(node)} is not arithmetic")

    def _call(self, name: str, args: list[Expr]) -> Expr:
        if name not in self.functions:
            raise self._refusal(f"{name} is not a known function")
        try:
            return self.functions[name](*args)
        except TypeError as error:
            raise self._refusal(f"{name} does not take {len(args)} arguments") from error

    def _refusal(self, problem: str) -> ParameterError:
        return ParameterError(
            f"cannot read {self.text!r}: {problem}",
            expected=f"numbers, {', '.join(self.names)}, + - * / ** and "
            f"{', '.join(sorted(self.functions))}",
            fix=f"write for example {self.example}; parameters need numbers",
        )
