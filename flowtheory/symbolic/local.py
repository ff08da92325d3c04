r"""What an activation is near 0, where small initialization sees it.

Either it is analytic, $\sigma(z) = s_0 + c_p z^p + c_q z^q + \dots$ with multiplicity $p$, or it is
positively homogeneous, $\sigma(z) = r z^p$ for $z > 0$ and $l z^p$ for $z < 0$ with $s_0 = 0$.
Nothing else is accepted: for a kink of another kind the leading flow would not be homogeneous.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp
from sympy import S, Symbol

from flowtheory.errors import ParameterError
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.index import rebuild
from flowtheory.symbolic.ramp import Ramp, Step
from flowtheory.symbolic.taylor import refusal, taylor

ORDER_LIMIT = 64
"""The highest order at which a first or second non-zero Taylor term is looked for."""

_LIBRARY_KINKS = (sp.Abs, sp.Max, sp.Min, sp.Piecewise, sp.sign, sp.Heaviside)
_KINKS = (*_LIBRARY_KINKS, Ramp, Step)


@dataclass(frozen=True)
class LocalForm:
    r"""$\sigma$ at 0.

    Attributes:
        constant: $s_0 = \sigma(0)$.
        multiplicity: $p \ge 1$, the order of the first non-zero term after the constant.
        leading: $c_p$; for a kink $r$, the coefficient of $z^p$ on the right.
        left: The coefficient of $z^p$ on the left: $c_p$ without a kink, $l$ with one.
        next_order: $q > p$ of the next non-zero term; None if there is none (monomials, homogeneous
            functions) or none up to `ORDER_LIMIT`.
        next_coefficient: $c_q$, 0 if there is none.
        analytic: Whether $\sigma$ has a Taylor series at 0.
    """

    constant: Expr
    multiplicity: int
    leading: Expr
    left: Expr
    next_order: int | None
    next_coefficient: Expr
    analytic: bool


def local_form(sigma: Expr, z: Symbol) -> LocalForm:
    r"""The form of `sigma` at $z = 0$; the order is raised up to `ORDER_LIMIT`.

    Raises:
        ParameterError: `sigma` has neither of the two forms, or no non-constant term up to
            `ORDER_LIMIT`.
    """
    if not sigma.has(*_KINKS):
        return _analytic(sigma, z)
    right, left = (_one_sided(sigma, z, side) for side in (1, -1))
    if sp.expand(right - left) == 0:
        return _analytic(right, z)
    return _homogeneous(sigma, right, left, z)


def without_library_kinks(sigma: Expr, z: Symbol) -> Expr:
    r"""`sigma` with a homogeneous kink written in `Ramp`, the derivative 0 stated at the kink.

    Raises:
        ParameterError: A kink at 0 that is not positively homogeneous, or one elsewhere, where no
            derivative is stated.
    """
    if not sigma.has(*_LIBRARY_KINKS):
        return sigma
    right, left = (_one_sided(sigma, z, side) for side in (1, -1))
    if sp.expand(right - left) == 0:
        raise refusal(sigma, z, "no kink itself, but one elsewhere,")
    form = _homogeneous(sigma, right, left, z)
    if form.multiplicity == 1 and form.leading != 0:
        return form.leading * Ramp(z, sp.cancel(form.left / form.leading), S.Zero)
    positive = Ramp(z, S.Zero, S.Zero)
    p = form.multiplicity
    return form.leading * positive**p + form.left * (z - positive) ** p


def _analytic(sigma: Expr, z: Symbol) -> LocalForm:
    order, limit = 8, ORDER_LIMIT
    if sigma.is_polynomial(z):
        order = limit = (
            max(int(sp.Poly(sigma, z).degree()), 1) if z in sigma.free_symbols else limit
        )
    while True:
        coefficients = taylor(sigma, z, order)
        powers = [m for m, c in enumerate(coefficients) if m > 0 and c != 0]
        if len(powers) > 1 or order >= limit:
            break
        order *= 2
    if not powers:
        raise ParameterError(
            f"{sigma} is constant up to order {order}",
            expected=f"a non-zero Taylor term of an order from 1 to {ORDER_LIMIT}",
            fix="use an activation that varies near 0",
        )
    p, q = powers[0], powers[1] if len(powers) > 1 else None
    c = coefficients[p]
    return LocalForm(coefficients[0], p, c, c, q, S.Zero if q is None else coefficients[q], True)


def _homogeneous(sigma: Expr, right: Expr, left: Expr, z: Symbol) -> LocalForm:
    series = [_terms(side, z) for side in (right, left)]
    powers = sorted({power for terms in series for power in terms})
    if powers == [0]:
        raise refusal(sigma, z, "a jump")
    proved = len(powers) == 1 and all(
        sp.cancel(side - terms.get(powers[0], S.Zero) * z ** powers[0]) == 0
        for side, terms in zip((right, left), series, strict=True)
    )
    if not proved or powers[0] == 0:
        shown = " and ".join(
            f"{side} for {z} {sign} 0" for side, sign in zip((right, left), "><", strict=True)
        )
        what = f"a non-smooth, non-homogeneous point ({shown})"
        raise refusal(sigma, z, what)
    (p,) = powers
    r, left_coefficient = (terms.get(p, S.Zero) for terms in series)
    return LocalForm(S.Zero, p, r, left_coefficient, None, S.Zero, False)


def _terms(expr: Expr, z: Symbol) -> dict[int, Expr]:
    return {m: c for m, c in enumerate(taylor(expr, z, 8)) if c != 0}


def _one_sided(expr: Expr, z: Symbol, side: int) -> Expr:
    """The analytic expression that equals `expr` for small z of this sign."""
    if not expr.has(*_KINKS):
        return expr
    if isinstance(expr, sp.Piecewise):
        pieces: tuple[Expr, ...] = expr.args
        for branch, condition in pieces:
            if _holds(condition, z, side):
                return _one_sided(branch, z, side)
        raise refusal(expr, z, "no branch")
    args = [_one_sided(arg, z, side) for arg in expr.args]
    u = args[0]
    if isinstance(expr, sp.Max | sp.Min):
        for other in args[1:]:
            larger = _sign(u - other, z, side) > 0
            u = u if larger == isinstance(expr, sp.Max) else other
        return u
    if not isinstance(expr, _KINKS):
        return rebuild(expr, args)
    sign = _sign(u, z, side)
    if isinstance(expr, sp.Abs):
        return sign * u
    if isinstance(expr, sp.sign):
        return sp.Integer(sign)
    if isinstance(expr, sp.Heaviside):
        return S.One if sign > 0 else S.Zero
    if sign == 0:
        return S.Zero if isinstance(expr, Ramp) else args[2]
    factor = S.One if sign > 0 else args[1]
    return factor * u if isinstance(expr, Ramp) else factor


def _holds(condition: Expr, z: Symbol, side: int) -> bool:
    if condition in (S.true, S.false):
        return bool(condition)
    if isinstance(condition, sp.And | sp.Or):
        parts = [_holds(part, z, side) for part in condition.args]
        return all(parts) if isinstance(condition, sp.And) else any(parts)
    if isinstance(condition, sp.Not):
        return not _holds(condition.args[0], z, side)
    sign = _sign(condition.lhs - condition.rhs, z, side)
    return bool(condition.func(sp.Integer(sign), S.Zero))


def _sign(expr: Expr, z: Symbol, side: int) -> int:
    """The sign of `expr` for small z of the sign `side`: that of its first non-zero term."""
    for power, c in enumerate(taylor(_one_sided(expr, z, side), z, 8)):
        if c.is_zero:
            continue
        if not (c.is_positive or c.is_negative):
            raise refusal(expr, z, f"a sign that depends on {c}")
        return (1 if c.is_positive else -1) * side**power
    return 0
