r"""Three dimensions: elimination in rational arithmetic.

After a rational rotation, in the chart $u \propto (x, y, 1)$, the direction is critical iff

$$f_1 = x\,\partial_3 H - \partial_1 H = 0, \qquad f_2 = y\,\partial_3 H - \partial_2 H = 0.$$

The resultant $R(x)$ in $y$ and the subresultant $S_1(x)\,y + S_0(x)$ of degree 1 give all of them:
a real root of $R$ with $S_1 \ne 0$ carries exactly one solution, $y = -S_0/S_1$. That $S_1 \ne 0$
at every real root, and that no critical direction lies on the line at infinity of the chart, is
verified, otherwise another rotation is taken; so the list is complete.

If $f_1$ and $f_2$ have a common factor, the critical set contains a curve; a definite quadratic
factor has no real point and is removed, any other one is reported.
"""

from __future__ import annotations

from math import prod
from typing import Any

import mpmath
import numpy as np
from sympy import Matrix, Poly, Rational, Symbol, eye, factor_list

from flowtheory.symbolic.directions.moment import Moment
from flowtheory.symbolic.directions.plane import Points, T, unit
from flowtheory.symbolic.directions.roots import (
    evaluate,
    has_real_root,
    real_roots,
    working_precision,
)
from flowtheory.symbolic.expression import Polynomial

X, Y = Symbol("x"), Symbol("y")
# Axes (with length) of the rational rotations (1 - K)(1 + K)^-1 that are tried in turn.
_AXES = ((2, -1, 3), (1, 4, -2), (-5, 2, 3), (3, 7, 1))
# A value this small beside the terms that it is the sum of may be zero.
_ZERO = mpmath.mpf(2) ** -100


def critical_in_space(moment: Moment) -> Points | None:
    """All critical lines for $D = 3$, or `None` if no rotation separates them."""
    for axis in _AXES:
        Q = _rotation(axis)
        points = _in_rotated_frame(_rotated(moment.polynomial, Q), Q)
        if points is not None:
            return points
    return None


def _in_rotated_frame(H: Polynomial, Q: Matrix) -> Points | None:
    gradient = [H.diff(u) for u in H.gens]
    f1, f2, common = _equations(gradient)
    curve = common is not None and not _without_real_points(common)
    if not curve and _meets_infinity(gradient):
        return None
    if f1.is_ground or f2.is_ground:
        return Points(np.empty((0, 3)), (), curve)
    resultant, chain = f2.resultant(f1, includePRS=True)
    linear = next((Poly(s.as_expr(), Y, X) for s in chain if s.degree(0) == 1), None)
    if f2.degree(0) != f2.total_degree() or linear is None:
        return None
    slope, offset = (_coefficient(linear, k) for k in (1, 0))
    eliminant = Poly(resultant.as_expr(), X).primitive()[1]
    found = []
    bits = max(working_precision(p) for p in (eliminant, slope, offset) if not p.is_zero)
    roots = real_roots(eliminant)
    with mpmath.workprec(bits):
        for root in roots:
            divisor = evaluate(slope, root.value)
            if abs(divisor) <= _ZERO * _size(slope, root.value):
                return None
            point = (root.value, -evaluate(offset, root.value) / divisor, mpmath.mpf(1))
            found.append(unit(*_back(Q, point)))
    multiplicities = tuple(root.multiplicity for root in roots)
    return Points(np.array(found).reshape(-1, 3), multiplicities, curve)


def _equations(gradient: list[Polynomial]) -> tuple[Polynomial, Polynomial, Polynomial | None]:
    """$f_1, f_2$ with integer coefficients, without their common factor, which is the third."""
    h1, h2, h3 = (_at_height_one(form) for form in gradient)
    f1 = (h3.mul(Poly(X, Y, X)) - h1).clear_denoms(convert=True)[1]
    f2 = (h3.mul(Poly(Y, Y, X)) - h2).clear_denoms(convert=True)[1]
    if not (f1.is_zero or f2.is_zero) and not f2.resultant(f1).is_zero:
        return f1, f2, None
    common = f1.gcd(f2)
    return f1.quo(common), f2.quo(common), common


def _at_height_one(form: Polynomial) -> Polynomial:
    return Poly({(b, a): c for (a, b, _), c in form.terms()}, Y, X, domain=form.domain)


def _meets_infinity(gradient: list[Polynomial]) -> bool:
    r"""Whether a critical $u$ has $u_3 = 0$: $\partial_3 H = 0$, and $u$ critical in its plane."""
    h1, h2, h3 = (
        Poly({(b,): c for (_, b, k), c in form.terms() if k == 0} or {(0,): 0}, T)
        for form in gradient
    )
    order = gradient[0].homogeneous_order() or 0
    at_the_end = all(_top(h, order) == 0 for h in (h1, h3))
    return at_the_end or has_real_root(h3.gcd(h2 - h1.mul(Poly(T, T))))


def _top(h: Polynomial, degree: int) -> Any:
    """The value of the form at $(0, 1)$, given in the chart $(1, t)$."""
    return h.coeff_monomial(T**degree)


def _without_real_points(curve: Polynomial) -> bool:
    """Whether every factor is a definite quadratic form (others are not decided: `False`)."""
    return all(_definite(Poly(f.as_expr(), X, Y)) for f, _ in factor_list(curve)[1])


def _definite(factor: Polynomial) -> bool:
    if factor.total_degree() != 2:
        return False
    a, b, c = (factor.coeff_monomial(m) for m in (X**2, Y**2, 1))
    ab, ac, bc = (factor.coeff_monomial(m) / 2 for m in (X * Y, X, Y))
    form = Matrix([[a, ab, ac], [ab, b, bc], [ac, bc, c]])
    return bool(form.is_positive_definite or form.is_negative_definite)


def _rotation(axis: tuple[int, int, int]) -> Matrix:
    a, b, c = (Rational(k, 4) for k in axis)
    K = Matrix([[0, c, -b], [-c, 0, a], [b, -a, 0]])
    return (eye(3) - K) * (eye(3) + K).inv()


def _rotated(H: Polynomial, Q: Matrix) -> Polynomial:
    """$H(Qv)$."""
    rows = [
        Poly.from_expr(sum(Q[j, k] * v for k, v in enumerate(H.gens)), *H.gens) for j in range(3)
    ]
    zero = Poly(0, *H.gens, domain=H.domain)
    return sum(
        (prod((r**k for r, k in zip(rows, m, strict=True)), start=zero + c) for m, c in H.terms()),
        zero,
    )


def _back(Q: Matrix, v: tuple[Any, ...]) -> list[Any]:
    """$Qv$ in the current precision of mpmath."""
    rows = [[mpmath.mpf(int(q.p)) / int(q.q) for q in row] for row in Q.tolist()]
    return [mpmath.fdot(row, v) for row in rows]


def _coefficient(linear: Polynomial, power: int) -> Polynomial:
    terms = {(k,): c for (j, k), c in linear.terms() if j == power}
    return Poly(terms or {(0,): 0}, X, domain=linear.domain)


def _size(polynomial: Polynomial, x: Any) -> Any:
    return mpmath.fsum(abs(int(c)) * abs(x) ** k for (k,), c in polynomial.terms())
