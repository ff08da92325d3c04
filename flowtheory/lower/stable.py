r"""Rewriting of expressions that are correct but overflow in floating point.

$\ln(1 + e^z)$ overflows for $z > 709$, $e^z/(1 + e^z)$ becomes nan there. Both are recognised, in
any product or power, and given heads that the table lowers to stable code.
"""

from __future__ import annotations

from typing import Any

from sympy import Add, Function, Integer, Mul, Pow, S, exp, log

from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.index import rebuild


class Softplus(Function):
    r"""$\ln(1 + e^z)$."""

    nargs = 1


class Sigmoid(Function):
    r"""$1/(1 + e^{-z})$."""

    nargs = 1


def stabilise(expr: Expr) -> Expr:
    """`expr` with softplus and sigmoid recognised, from the leaves upwards."""
    if not expr.args:
        return expr
    new = rebuild(expr, map(stabilise, expr.args))
    if isinstance(new, log) and (z := _one_plus_exp(new.args[0])) is not None:
        return Softplus(z)
    if isinstance(new, Mul | Pow):
        return _sigmoids(new)
    return new


def _one_plus_exp(expr: Expr) -> Expr | None:
    """$z$ if `expr` is $1 + e^z$."""
    if isinstance(expr, Add) and len(expr.args) == 2 and expr.args[0] == 1:
        other: Any = expr.args[1]
        return other.args[0] if isinstance(other, exp) else None
    return None


def _sigmoids(expr: Expr) -> Expr:
    r"""$e^{kz} (1 + e^z)^{-m} = s(z)^k s(-z)^{m-k}$ for integers $0 \le k \le m$."""
    factors = list(Mul.make_args(expr))
    for factor in factors:
        base, power = factor.as_base_exp()
        z = _one_plus_exp(base)
        if z is None or not (power.is_Integer and power < 0):
            continue
        rest = [other for other in factors if other is not factor]
        numerator = next((f for f in rest if isinstance(f, exp) and _multiple(f, z, -power)), None)
        k = numerator.args[0] / z if numerator is not None else S.Zero
        others = [other for other in rest if other is not numerator]
        return _sigmoids(Mul(*others) * Sigmoid(z) ** k * Sigmoid(-z) ** (-power - k))
    return expr


def _multiple(factor: Expr, z: Expr, highest: Expr) -> bool:
    r"""Whether `factor` is $e^{kz}$ with an integer $0 < k \le$ `highest`."""
    k = factor.args[0] / z
    return isinstance(k, Integer) and 0 < k <= highest
