r"""Rewriting of expressions that are correct but overflow in floating point.

$\ln(1 + e^z)$ overflows for $z > 709$, $e^z/(1 + e^z)$ becomes nan there. Both are recognised, in
any product or power, and given heads that the table lowers to stable code. $\cos z - 1$ loses all
digits for small $z$, where networks start; it is written by half the angle.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sympy import Add, Integer, Mul, Pow, cos, exp, log, sin

from flowtheory.symbolic.expression import Expr, Head
from flowtheory.symbolic.index import rebuild


class Softplus(Head):
    r"""$\ln(1 + e^z)$."""

    nargs = 1


class Sigmoid(Head):
    r"""$1/(1 + e^{-z})$."""

    nargs = 1


@lru_cache(maxsize=1 << 14)  # the tree of a deep network repeats each layer many times
def stabilise(expr: Expr) -> Expr:
    """`expr` with softplus and sigmoid recognised, from the leaves upwards."""
    if not expr.args:
        return expr
    new = rebuild(expr, map(stabilise, expr.args))
    if isinstance(new, Add):
        return _without_cancellation(new)
    if isinstance(new, log) and (z := _one_plus_exp(new.args[0])) is not None:
        return Softplus(z)
    if isinstance(new, Pow) and new.exp.is_Integer and new.exp < 0:
        z = _one_plus_exp(new.base)
        return new if z is None else Sigmoid(-z) ** (-new.exp)
    return _absorb(new) if isinstance(new, Mul) else new


def _without_cancellation(total: Expr) -> Expr:
    r"""$a\cos z - a = -2a \sin^2(z/2)$, whose digits do not cancel at small $z$."""
    for term in total.args:
        a, head = term.as_coeff_Mul()
        if isinstance(head, cos) and total.as_coeff_Add()[0] == -a:
            angle: Any = head.args[0]
            return total - term + a - 2 * a * sin(angle / 2) ** 2
    return total


def _one_plus_exp(expr: Expr) -> Expr | None:
    """$z$ if `expr` is $1 + e^z$."""
    if isinstance(expr, Add) and len(expr.args) == 2 and expr.args[0] == 1:
        other: Any = expr.args[1]
        return other.args[0] if isinstance(other, exp) else None
    return None


def _absorb(product: Expr) -> Expr:
    r"""$e^{kz} s(-z)^m = s(z)^k s(-z)^{m-k}$, $s$ the sigmoid, for integers $0 < k \le m$."""
    powers = [f.as_base_exp() for f in product.args]
    for factor in product.args:
        if not isinstance(factor, exp):
            continue
        for base, m in powers:
            k = factor.args[0] / -base.args[0] if isinstance(base, Sigmoid) else None
            if isinstance(k, Integer) and 0 < k <= m:
                z = -base.args[0]
                absorbed = product / factor / base**k * Sigmoid(z) ** k
                return _absorb(absorbed) if isinstance(absorbed, Mul) else absorbed
    return product
