r"""Taylor coefficients at 0 in truncated power-series arithmetic, exact.

A series is $z^v (c_0 + c_1 z + \dots + c_{n-1} z^{n-1}) + O(z^{v+n})$ with exact coefficients and
any integer $v$, so that removable singularities ($\sin z / z$) and poles are told apart. Functions
obey their differential equation, coefficient by coefficient: $s = e^u$ is $s' = u' s$,
$s = \tanh u$ is $s' = u' (1 - s^2)$, and for $\mathrm{erf}\,u$, $\ln u$, $\arctan u$, ...
$s' = u' g(u)$ with a simpler $g$. `sympy.series` is not used: it is slower by orders of magnitude.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp
from sympy import Dummy, Integer, Pow, S, Symbol

from flowtheory.errors import ParameterError
from flowtheory.symbolic.expression import Expr

SLACK = 32
"""Terms beyond the order asked for that cancelling denominators may consume."""


class _TooShortError(Exception):
    """All known coefficients of a denominator vanish: more terms are needed."""


@dataclass(frozen=True)
class _Series:
    r"""$\sum_k$ `terms`[k] $z^{\mathrm{low} + k}$, and unknown from there on."""

    low: int
    terms: tuple[Expr, ...]

    @property
    def end(self) -> int:
        return self.low + len(self.terms)

    def at(self, power: int) -> Expr:
        return self.terms[power - self.low] if power >= self.low else S.Zero

    def stripped(self) -> _Series:
        """Without leading zeros."""
        lead = next((k for k, c in enumerate(self.terms) if c != 0), len(self.terms))
        return _Series(self.low + lead, self.terms[lead:])


def taylor(expr: Expr, z: Symbol, order: int) -> tuple[Expr, ...]:
    r"""The exact coefficients $(c_0, \dots, c_N)$ of `expr` at $z = 0$, $N$ = `order`.

    Symbols other than `z` are parameters; a coefficient that contains them counts as non-zero
    unless it is identically zero.

    Raises:
        ParameterError: `expr` is not analytic at 0: a pole, an essential singularity, a branch
            point, or a function whose derivatives there are not finite. The message names it.
    """
    return _taylor(expr, z, order)


@lru_cache(maxsize=1024)
def _taylor(expr: Expr, z: Symbol, order: int) -> tuple[Expr, ...]:
    for terms in (order + 1, order + 1 + SLACK // 4, order + 1 + SLACK):
        try:
            series = _evaluate(expr, z, terms)
        except _TooShortError:
            continue
        kept = series.stripped()
        if kept.low < 0 and kept.terms:
            raise refusal(expr, z, f"a pole of order {-kept.low}")
        if series.end > order:
            return tuple(series.at(power) for power in range(order + 1))
    raise refusal(expr, z, f"a denominator that vanishes to order {order + SLACK}")


def refusal(expr: Expr, z: Symbol, what: str) -> ParameterError:
    """The error for `expr` having `what` at 0."""
    return ParameterError(
        f"{expr} has {what} at {z} = 0",
        expected="a function that is analytic at 0, or positively homogeneous",
        fix="use an activation with a Taylor series at 0, or one such as relu, leaky_relu, abs",
    )


def _evaluate(expr: Expr, z: Symbol, n: int) -> _Series:
    if expr == z:
        return _Series(1, (S.One, *(S.Zero,) * (n - 1)))
    if z not in expr.free_symbols:
        return _Series(0, (_clean(expr), *(S.Zero,) * (n - 1)))
    if isinstance(expr, sp.Add):
        return _add([_evaluate(arg, z, n) for arg in expr.args])
    if isinstance(expr, sp.Mul):
        product = _evaluate(expr.args[0], z, n)
        for arg in expr.args[1:]:
            product = _multiply(product, _evaluate(arg, z, n))
        return product
    if isinstance(expr, Pow):
        return _power(expr, z, n)
    inner = [arg for arg in expr.args if z in arg.free_symbols]
    if len(inner) != 1:
        raise refusal(expr, z, f"a function of {len(inner)} arguments that vary")
    return _function(expr, _evaluate(inner[0], z, n), z)


def _clean(value: Expr) -> Expr:
    """A coefficient in a form in which zero is recognised."""
    if value.is_Rational:
        return value
    if value.has(S.NaN, S.Infinity, S.NegativeInfinity, S.ComplexInfinity):
        raise ParameterError(
            f"a coefficient of the Taylor series is {value}",
            expected="a finite number",
            fix="use a function that is analytic at 0",
        )
    expanded = sp.expand(value)
    if expanded.is_Rational or expanded.free_symbols or _is_clearly_nonzero(expanded):
        return expanded
    if expanded.equals(0):
        return S.Zero
    raise ParameterError(
        f"cannot decide whether {expanded} is zero",
        expected="coefficients that are decidable",
        fix="simplify the activation by hand",
    )


def _is_clearly_nonzero(number: Expr) -> bool:
    """Whether it is larger than the rounding error of its own terms, at 60 digits."""
    terms = [term.evalf(60) for term in sp.Add.make_args(number)]
    return bool(abs(sum(terms)) > sum(map(abs, terms)) * sp.Float("1e-45"))


def _add(parts: Sequence[_Series]) -> _Series:
    low, end = min(p.low for p in parts), min(p.end for p in parts)
    powers = range(low, max(end, low))
    return _Series(low, tuple(_clean(sp.Add(*(p.at(k) for p in parts))) for k in powers))


def _convolve(a: Sequence[Expr], b: Sequence[Expr], k: int) -> Expr:
    return sp.Add(*(a[m] * b[k - m] for m in range(k + 1) if a[m] != 0 and b[k - m] != 0))


def _multiply(a: _Series, b: _Series) -> _Series:
    n = min(len(a.terms), len(b.terms))
    return _Series(a.low + b.low, tuple(_clean(_convolve(a.terms, b.terms, k)) for k in range(n)))


def _power(expr: Pow, z: Symbol, n: int) -> _Series:
    base, exponent = expr.as_base_exp()
    if z in exponent.free_symbols:
        return _evaluate(sp.exp(exponent * sp.log(base), evaluate=False), z, n)
    u = _evaluate(base, z, n).stripped()
    if not u.terms:
        raise _TooShortError
    if u.low != 0 and not exponent.is_Integer:
        raise refusal(expr, z, "a branch point")
    low = u.low * int(exponent) if u.low else 0
    return _Series(low, _power_of_unit(u.terms, exponent))


def _power_of_unit(u: Sequence[Expr], exponent: Expr) -> tuple[Expr, ...]:
    r"""$s = u^\alpha$ from $u s' = \alpha u' s$, for $u_0 \ne 0$."""
    s = [_clean(u[0] ** exponent)]
    for k in range(1, len(u)):
        terms = ((exponent * m - (k - m)) * u[m] * s[k - m] for m in range(1, k + 1) if u[m] != 0)
        s.append(_clean(sp.Add(*terms) / (k * u[0])))
    return tuple(s)


def _function(expr: Expr, argument: _Series, z: Symbol) -> _Series:
    stripped = argument.stripped()
    if stripped.low < 0 and stripped.terms:
        raise refusal(expr, z, "an essential singularity")
    u = tuple(argument.at(k) for k in range(argument.end))
    if not u:
        raise _TooShortError
    head, slot = expr.func, Dummy(real=True)
    outer = head(*(slot if z in arg.free_symbols else arg for arg in expr.args))
    value = outer.subs(slot, u[0])
    if isinstance(expr, sp.log) and u[0] == 0:
        raise refusal(expr, z, "a logarithmic branch point")
    if value.is_finite is False:
        raise refusal(expr, z, "a singularity")
    if head in _OWN_EQUATION:
        return _Series(0, _OWN_EQUATION[head](u))
    if head in _INTEGRALS:
        rate = _evaluate(outer.diff(slot).subs(slot, u[0] + z), z, len(u))
        return _Series(0, _integrate(value, u, _compose(rate, u, z, expr)))
    values = [outer.diff(slot, m).subs(slot, u[0]) / sp.factorial(m) for m in range(len(u))]
    if any(v.is_finite is False or v.has(sp.Derivative, sp.Subs) for v in values):
        raise refusal(expr, z, "derivatives that are not known")
    return _Series(0, _compose(_Series(0, tuple(map(_clean, values))), u, z, expr))


def _compose(outer: _Series, u: Sequence[Expr], z: Symbol, expr: Expr) -> tuple[Expr, ...]:
    """Horner's scheme for `outer` at u - u_0."""
    if outer.stripped().low < 0:
        raise refusal(expr, z, "a singularity")
    n = len(u)
    delta = (S.Zero, *u[1:])
    result = [S.Zero] * n
    for m in reversed(range(min(n, outer.end))):
        result = [_clean(_convolve(result, delta, k)) for k in range(n)]
        result[0] = outer.at(m)
    return tuple(result)


def _integrate(start: Expr, u: Sequence[Expr], rate: Sequence[Expr]) -> tuple[Expr, ...]:
    """The s with s' = u' rate(u), given the series of rate(u)."""
    slope = [(k + 1) * c for k, c in enumerate(u[1:])]
    steps = (_clean(_convolve(slope, rate, k) / (k + 1)) for k in range(len(slope)))
    return (_clean(start), *steps)


def _solve(
    start: Sequence[Expr], u: Sequence[Expr], rate: Callable[[list[list[Expr]], int], list[Expr]]
) -> list[list[Expr]]:
    r"""Solutions of $s_a' = u' g_a(s)$; `rate`(s, k) is the coefficient $k$ of every $g_a$."""
    s = [[_clean(value)] for value in start]
    slope = [(k + 1) * c for k, c in enumerate(u[1:])]
    rates: list[list[Expr]] = [[] for _ in s]
    for k in range(len(slope)):
        for known, new in zip(rates, rate(s, k), strict=True):
            known.append(_clean(new))
        for series, known in zip(s, rates, strict=True):
            series.append(_clean(_convolve(slope, known, k) / (k + 1)))
    return s


def _exp(u: Sequence[Expr]) -> tuple[Expr, ...]:
    return tuple(_solve([sp.exp(u[0])], u, lambda s, k: [s[0][k]])[0])


def _pair(first: Expr, second: Expr, sign: int, part: int) -> Callable[..., tuple[Expr, ...]]:
    """Sine and cosine (sign -1), or their hyperbolic cousins (sign +1)."""

    def rows(u: Sequence[Expr]) -> tuple[Expr, ...]:
        start = [first(u[0]), second(u[0])]
        return tuple(_solve(start, u, lambda s, k: [s[1][k], sign * s[0][k]])[part])

    return rows


def _riccati(head: Expr, sign: int) -> Callable[..., tuple[Expr, ...]]:
    r"""$s' = u' (1 \pm s^2)$: tangent and hyperbolic tangent."""

    def rows(u: Sequence[Expr]) -> tuple[Expr, ...]:
        def rate(s: list[list[Expr]], k: int) -> list[Expr]:
            return [Integer(k == 0) + sign * _convolve(s[0], s[0], k)]

        return tuple(_solve([head(u[0])], u, rate)[0])

    return rows


_OWN_EQUATION: Mapping[Expr, Callable[[Sequence[Expr]], tuple[Expr, ...]]] = {
    sp.exp: _exp,
    sp.sin: _pair(sp.sin, sp.cos, -1, 0),
    sp.cos: _pair(sp.sin, sp.cos, -1, 1),
    sp.sinh: _pair(sp.sinh, sp.cosh, 1, 0),
    sp.cosh: _pair(sp.sinh, sp.cosh, 1, 1),
    sp.tan: _riccati(sp.tan, 1),
    sp.tanh: _riccati(sp.tanh, -1),
}

# Heads whose derivative is a function of simpler heads.
_INTEGRALS = {
    *(sp.log, sp.atan, sp.asin, sp.acos, sp.asinh, sp.acosh, sp.atanh, sp.erf, sp.erfc, sp.erfi),
    *(sp.fresnels, sp.fresnelc),
}
