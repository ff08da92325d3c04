r"""Exponents of the width: a size that behaves as $m^S$, up to constants and logarithms."""

from __future__ import annotations

from collections.abc import Mapping

from sympy import Add, Max, Min, Mul, Pow, S, Symbol, expand, log

from flowtheory.errors import ParameterError
from flowtheory.symbolic.expression import Expr


def width_exponent(size: Expr, exponents: Mapping[Symbol, Expr]) -> Expr:
    r"""$S$ of a size $\sim m^S$; a sum behaves as its largest term, without cancellation.

    Args:
        size: Products, powers, sums of positive terms, maxima, minima and logarithms.
        exponents: Of the symbols that depend on the width, the width itself with 1; the others are
            constants.

    Raises:
        ParameterError: Another function of the width.
    """

    def of(expr: Expr) -> Expr:
        if isinstance(expr, Symbol):
            return exponents.get(expr, S.Zero)
        if not expr.free_symbols & set(exponents):
            return S.Zero
        if isinstance(expr, Mul):
            return Add(*map(of, expr.args))
        if isinstance(expr, Pow) and not expr.exp.free_symbols & set(exponents):
            return expr.exp * of(expr.base)
        if isinstance(expr, Min | Max):
            return expr.func(*map(of, expr.args))
        if isinstance(expr, Add):
            return Max(*map(of, expr.args))
        if isinstance(expr, log):
            return S.Zero
        raise ParameterError(
            f"{expr} is no power of the width",
            expected="products, powers, sums, maxima, minima and logarithms",
            fix="write the size with them",
        )

    return expand(of(size))
