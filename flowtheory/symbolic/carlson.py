r"""Carlson's symmetric integrals, in which every aligned blow-up time is expressed.

$$R_{-a}(b; z) = a \int_0^\infty \prod_j (t + z_j)^{-b_j}\,dt, \qquad a = \sum_j b_j - 1 > 0,$$

is symmetric, homogeneous of degree $-a$ and equal to $z^{-a}$ where all $z_j = z$ (DLMF 19.16.9
with $a' = 1$). Three $b_j = \frac12$ make it the elliptic integral $R_F$.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mpmath
from sympy import Add, Float, Mul, Poly, Pow, Rational, S, Symbol, acos, acosh, oo, sqrt
from sympy import integrate as antiderivative
from sympy.core.function import ArgumentIndexError

from flowtheory.errors import ParameterError
from flowtheory.symbolic.expression import Expr, Head

_HALF = Rational(1, 2)


class CarlsonR(Head):
    r"""`CarlsonR(b1, z1, b2, z2, ...)`: $R_{-a}(b_1, b_2, \dots; z_1, z_2, \dots)$.

    Equal $z_j$ are merged, and the cases of one argument and of $R_F$ are recognised. Defined for
    $z_j \ge 0$; infinite where the $b_j$ of the vanishing $z_j$ sum to 1 or more.
    """

    @classmethod
    def eval(cls, *args: Expr) -> Expr | None:
        """The canonical form: distinct $z_j$ in SymPy's order."""
        weights: dict[Expr, Expr] = {}
        for b, z in _pairs(args):
            weights[z] = weights.get(z, S.Zero) + b
        ordered = sorted(((z, b) for z, b in weights.items() if b != 0), key=_order)
        a = Add(*(b for _, b in ordered)) - 1
        if not ordered or a.is_nonpositive:
            raise ParameterError(
                f"the b_j of CarlsonR{args} sum to {a + 1}",
                expected="a sum above 1: the integral diverges otherwise",
                fix="a flow of degree 2 grows exponentially and has no blow-up time",
            )
        if len(ordered) == 1:
            return ordered[0][0] ** -a
        if (weights.get(S.Zero, S.Zero) - 1).is_nonnegative:
            return oo
        if [b for _, b in ordered] == [_HALF] * 3:
            return CarlsonRF(*(z for z, _ in ordered))
        canonical = tuple(part for z, b in ordered for part in (b, z))
        return cls(*canonical) if canonical != args else None

    @property
    def pairs(self) -> tuple[tuple[Expr, Expr], ...]:
        """The ($b_j$, $z_j$)."""
        return tuple(_pairs(self.args))

    @property
    def order(self) -> Expr:
        r"""$a = \sum_j b_j - 1$; the function is homogeneous of degree $-a$."""
        return Add(*(b for b, _ in self.pairs)) - 1

    def fdiff(self, argindex: int = 1) -> Expr:
        r"""$\partial R_{-a}(b; z)/\partial z_j = -\frac{a b_j}{a + 1} R_{-a-1}(b + e_j; z)$."""
        if argindex % 2 == 1:
            raise ArgumentIndexError(self, argindex)
        b, z = self.pairs[argindex // 2 - 1]
        return -self.order * b / (self.order + 1) * CarlsonR(*self.args, S.One, z)

    def _eval_is_positive(self) -> bool | None:
        return all(z.is_positive and b.is_positive for b, z in self.pairs) or None

    def _eval_evalf(self, prec: int) -> Expr | None:
        return _evaluated(carlson_r, self.args, prec)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        b, z = (", ".join(map(printer.doprint, row)) for row in zip(*self.pairs, strict=True))
        text = rf"R_{{{printer.doprint(-self.order)}}}\left({b};\, {z}\right)"
        return text if exp is None else rf"{text}^{{{exp}}}"

    def _unicode_line(self, printer: Any) -> str:
        b, z = (", ".join(map(printer.doprint, row)) for row in zip(*self.pairs, strict=True))
        return f"R_({printer.doprint(-self.order)})({b}; {z})"


class CarlsonRF(Head):
    r"""$R_F(x, y, z) = \frac12\int_0^\infty dt / \sqrt{(t + x)(t + y)(t + z)}$."""

    nargs = 3

    @classmethod
    def eval(cls, *args: Expr) -> Expr | None:
        """Distinct arguments in SymPy's order; a repeated one leaves the elliptic case."""
        if len(set(args)) < 3:
            return CarlsonR(*(part for z in args for part in (_HALF, z)))
        ordered = tuple(sorted(args, key=lambda z: z.sort_key()))
        return cls(*ordered) if ordered != args else None

    def fdiff(self, argindex: int = 1) -> Expr:
        r"""$-\frac16 R_D$, that is $-\frac16 R_{-3/2}(\frac32, \frac12, \frac12; \cdot)$."""
        general = (part for z in self.args for part in (_HALF, z))
        return -CarlsonR(*general, S.One, self.args[argindex - 1]) / 6

    def _eval_is_positive(self) -> bool | None:
        return all(z.is_positive for z in self.args) or None

    def _eval_evalf(self, prec: int) -> Expr | None:
        return _evaluated(mpmath.elliprf, self.args, prec)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        text = rf"R_F\left({', '.join(map(printer.doprint, self.args))}\right)"
        return text if exp is None else rf"{text}^{{{exp}}}"

    def _unicode_line(self, printer: Any) -> str:
        return f"R_F({', '.join(map(printer.doprint, self.args))})"


def carlson_r(*args: Any) -> Any:
    r"""$R_{-a}(b; z)$ in the working precision of mpmath; arguments as for `CarlsonR`.

    With $t = e^u$ the integrand is analytic for $|\mathrm{Im}\,u| < \pi$ and decays exponentially,
    so that the trapezoidal rule of step $h$ has an error of order $e^{-2\pi^2/h}$.
    """
    digits = mpmath.mp.prec * mpmath.log(2)
    with mpmath.workprec(mpmath.mp.prec + 20):
        pairs = [(mpmath.mpf(b), mpmath.mpf(z)) for b, z in _pairs(args)]
        a = sum(b for b, _ in pairs) - 1
        rise = 1 - sum(b for b, z in pairs if z == 0)
        if rise <= 0:
            return mpmath.inf
        positive = [mpmath.log(z) for _, z in pairs if z > 0]
        start, stop = min(positive) - digits / rise, max(positive) + digits / a
        # 0.9 pi instead of pi: the integrand grows towards the edge of the strip.
        count = int(mpmath.ceil((stop - start) * (digits + 10) / (2 * mpmath.pi**2 * 0.9)))
        step = (stop - start) / count
        nodes = (mpmath.exp(start + step * m) for m in range(count + 1))
        values = (t * mpmath.fprod((t + z) ** -b for b, z in pairs) for t in nodes)
        total = a * step * mpmath.fsum(values)
    return +total


def integral_to_infinity(integrand: Expr, variable: Symbol, lower: Expr = S.Zero) -> Expr:
    r"""The integral of $C \prod_j (c_j + d_j\tau)^{-b_j}$, $d_j > 0$, to infinity: a `CarlsonR`.

    Args:
        integrand: Such a product, with positive $c_j + d_j\tau$ above `lower`.
        variable: $\tau$.
        lower: The lower end.

    Returns:
        The integral, or infinity when it diverges.

    Raises:
        ParameterError: A factor is not a power of a linear function of $\tau$.
    """
    constant: Expr = S.One
    args: list[Expr] = []
    for factor in Mul.make_args(integrand):
        base, exponent = factor.as_base_exp()
        if not factor.has(variable):
            constant *= factor
            continue
        linear = Poly(base, variable) if base.is_polynomial(variable) else None
        if linear is None or linear.degree() != 1 or exponent.has(variable):
            raise ParameterError(
                f"the factor {factor} of the integrand",
                expected=f"powers of linear functions of {variable}",
                fix="factor the integrand first",
            )
        slope, value = linear.coeff_monomial(variable), linear.eval(0)
        constant *= slope**exponent
        args += [-exponent, value / slope + lower]
    order = Add(*args[::2]) - 1
    if order.is_nonpositive:
        return oo
    return constant * CarlsonR(*args) / order


def elementary(first: Expr, weight: Expr, second: Expr, *, first_is_larger: bool) -> Expr:
    r"""$R_{-a}(\frac12, b; x, y)$ in elementary functions, for $2b = 2, 3, \dots$ and $x \ne y$.

    The substitution $u^2 = (x + t)/(y + t)$ makes the integral
    $2a\,|y - x|^{1/2 - b}\,\bigl|\int_{\sqrt{x/y}}^1 |1 - u^2|^{b - 3/2}\,du\bigr|$.

    Args:
        first: $x$, whose weight is $\frac12$.
        weight: $b$.
        second: $y$.
        first_is_larger: Whether $x > y$; then a logarithm takes the place of the arc cosine.
    """
    if not (2 * weight).is_Integer or weight < 1:
        raise ParameterError(
            f"the weight is {weight}", expected="1, 3/2, 2, ...", fix="keep the CarlsonR"
        )
    u = Symbol("u", positive=True)
    sign = -1 if first_is_larger else 1
    body = Pow(sign * (1 - u**2), weight - Rational(3, 2))
    # d acosh = du/sqrt(u^2 - 1) and d(-acos) = du/sqrt(1 - u^2): SymPy's own primitives of the
    # weight 1 are a logarithm that cancels near u = 1 and an arc sine.
    primitive = antiderivative(body, u)
    if weight == 1:
        primitive = acosh(u) if first_is_larger else -acos(u)
    change = sign * (primitive.subs(u, 1) - primitive.subs(u, sqrt(first / second)))
    return (2 * weight - 1) * Pow(sign * (second - first), _HALF - weight) * change


def _pairs(args: tuple[Any, ...]) -> Iterator[tuple[Any, Any]]:
    if len(args) % 2:
        raise ParameterError(
            f"CarlsonR has {len(args)} arguments", expected="pairs b_j, z_j", fix="add the last z_j"
        )
    return zip(args[::2], args[1::2], strict=True)


def _order(pair: tuple[Expr, Expr]) -> Any:
    return pair[0].sort_key()


def _evaluated(function: Any, args: tuple[Expr, ...], prec: int) -> Expr | None:
    numbers = [arg._to_mpmath(prec + 20) for arg in args if arg.is_comparable]
    if len(numbers) < len(args) or any(number < 0 for number in numbers):
        return None  # a symbol, or outside the domain: it stays as it is
    with mpmath.workprec(prec + 20):
        value = function(*numbers)
    return Float._new(value._mpf_, prec)
