r"""Enclosures: values of formulas in ball arithmetic, with a radius that is a proof.

Every number goes through python-flint's `arb`, whose operations return a ball that holds the exact
result. A formula is evaluated at rising precision until the ball is as small as is asked for; the
numbers put in are taken as the exact rationals that they are (a float is a dyadic rational).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType, ModuleType
from typing import Any

import sympy as sp

from flowtheory.errors import ParameterError, PrecisionError
from flowtheory.symbolic.blowup import aligned_layers
from flowtheory.symbolic.carlson import CarlsonR, CarlsonRF
from flowtheory.symbolic.plateau import END, SINGULAR, START, passage_time

DIGITS = 20
_GUARD = 32  # bits beyond the digits that are asked for
_DOUBLINGS = 8
_RF_WEIGHT = sp.Rational(3, 2)
_NOTHING: Mapping[sp.Symbol, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Enclosure:
    """A proof that a value lies in [midpoint - radius, midpoint + radius].

    Attributes:
        midpoint: a float near it.
        radius: rounded up; at least the distance of the value from its nearest float.
        text: all digits that are known, with their radius.
    """

    midpoint: float
    radius: float
    text: str

    def contains(self, value: float, error: float = 0.0) -> bool:
        """Whether [value - error, value + error] meets it: a measurement that is not refuted."""
        return abs(value - self.midpoint) <= self.radius + error


def enclose(
    expression: sp.Expr, values: Mapping[sp.Symbol, Any] | None = None, *, digits: int = DIGITS
) -> Enclosure:
    r"""The value of a formula with a proof of its accuracy.

    Args:
        expression: of rational numbers, powers, elementary functions, ${}_2F_1$ and $R_F$.
        values: a rational, an integer or a float (taken as it is) for every free symbol.
        digits: that must be known; a value of 0 can be known to no digit.

    Raises:
        ParameterError: a symbol without a value, a function that has no ball arithmetic here, or
            python-flint is not installed.
        PrecisionError: the ball does not shrink: the value is 0, infinite, or not real.
    """
    exact = {symbol: sp.Rational(value) for symbol, value in (values or {}).items()}
    formula = sp.sympify(expression).xreplace(exact)
    if formula.free_symbols:
        raise ParameterError(
            f"the formula has the free symbols {sorted(map(str, formula.free_symbols))}",
            expected="a number for each",
            fix="values={symbol: Rational(1, 3), ...}",
        )
    return _refined(lambda: _ball(formula), digits, str(expression))


def enclose_sum(
    expression: sp.Expr, cases: Sequence[Mapping[sp.Symbol, Any]], *, digits: int = DIGITS
) -> Enclosure:
    """The sum of a formula's values at several sets of rational numbers, as `enclose`.

    The numbers may have thousands of digits: SymPy does not look at them.

    Args:
        expression: see `enclose`; without special functions.
        cases: a `flint.fmpq` for every symbol, one mapping a term.
        digits: of the sum.

    Raises:
        ParameterError: as `enclose`.
        PrecisionError: as `enclose`.
    """

    def ball() -> Any:
        return _summed(*(_ball(expression, case) for case in cases))

    return _refined(ball, digits, f"the sum of {expression}")


def _refined(ball: Callable[[], Any], digits: int, name: str) -> Enclosure:
    """The ball at a precision at which it is as small as is asked for."""
    flint = require_flint()
    bits = math.ceil(digits * math.log2(10)) + _GUARD
    for _ in range(_DOUBLINGS):
        with flint.ctx.workprec(bits):
            found = ball()
            if found.is_finite() and found.rel_accuracy_bits() >= digits * math.log2(10):
                return _enclosure(found, digits)
        bits *= 2
    raise PrecisionError(
        f"{name} is not known to {digits} digits at {bits // 2} bits",
        expected="a finite real value that is not 0",
        fix="check that the values lie in the formula's domain",
    )


def enclose_blow_up(strength: Any, *gains: Any, digits: int = DIGITS) -> Enclosure:
    r"""The blow-up time of three aligned layers.

    $R_F(x_1^2, x_2^2, x_3^2)/s$ if the product of the gains is positive; for a negative one the
    time with one change of sign, $(2R_F(0, \cdot, \cdot) - R_F)/s$.

    Args:
        strength: $s$, positive.
        *gains: $x_1, x_2, x_3$ with their signs.
        digits: as in `enclose`.

    Raises:
        ParameterError: not three gains, or a start that never blows up.
        PrecisionError: as `enclose`.
    """
    flow = aligned_layers(3)
    exact = [sp.Rational(gain) for gain in gains]
    time = flow.escape(exact).time
    if time == sp.oo:
        raise ParameterError(
            f"the gains {gains} never blow up",
            expected="one smallest modulus where the product is negative or 0",
            fix="change a gain",
        )
    return enclose(time, {flow.strength: strength}, digits=digits)


def enclose_passage(
    depth: int, strength: Any, start: Any, end: Any, *, digits: int = DIGITS
) -> Enclosure:
    r"""The time of a balanced mode of a deep linear network from $u_0$ to $u_f$, with ${}_2F_1$.

    Args:
        depth: $L$.
        strength: $s$, the value that the mode tends to.
        start: $u_0$, a product of gains.
        end: $u_f < s$.
        digits: as in `enclose`.

    Raises:
        ParameterError: as `passage_time`, or not $0 < u_0 < u_f < s$.
        PrecisionError: as `enclose`.
    """
    formula = passage_time(depth)
    values = {SINGULAR: strength, START: start, END: end}
    exact = {symbol: sp.Rational(value) for symbol, value in values.items()}
    if not (exact[START] > 0 and formula.holds(exact)):
        raise ParameterError(
            f"s = {strength}, u_0 = {start}, u_f = {end}",
            expected="0 < u_0 < u_f < s",
            fix="u is the product of the gains of all layers",
        )
    return enclose(formula.expression, exact, digits=digits)


@cache
def require_flint() -> ModuleType:
    """The module `flint`.

    Raises:
        ParameterError: python-flint is not installed.
    """
    try:
        import flint
    except ImportError as error:
        raise ParameterError(
            "ball arithmetic needs python-flint, which is not installed",
            expected="the optional packages of certificates",
            fix='pip install "flowtheory[certify]"',
        ) from error
    return flint


def rational(value: float) -> Any:
    """A float as the rational number (`flint.fmpq`) that it is."""
    return require_flint().fmpq(*float(value).as_integer_ratio())


def _enclosure(ball: Any, digits: int) -> Enclosure:
    """The ball as floats, the rounding of its midpoint within the radius."""
    midpoint = float(ball.mid())
    off = float(abs(ball - midpoint).upper())
    return Enclosure(midpoint, math.nextafter(off, math.inf), ball.str(digits))


def _ball(node: sp.Basic, values: Mapping[sp.Symbol, Any] = _NOTHING) -> Any:
    """The ball of an expression at rational values of its symbols."""
    flint = require_flint()
    if isinstance(node, sp.Symbol):
        return flint.arb(values[node])
    if isinstance(node, sp.Rational):
        return flint.arb(flint.fmpq(int(node.p), int(node.q)))
    if isinstance(node, sp.Float):
        return _ball(sp.Rational(node))
    if isinstance(node, sp.Pow):
        return _power(node.base, node.exp, values)
    if isinstance(node, CarlsonR | CarlsonRF):
        return _elliptic(node)
    if isinstance(node, sp.hyper) and (len(node.ap), len(node.bq)) == (2, 1):
        (a, b), (c,) = node.ap, node.bq
        return _gauss(a, b, c, node.argument)
    rule = _RULES.get(type(node))
    if rule is None:
        raise ParameterError(
            f"{node.func} has no ball arithmetic here",
            expected="rational numbers, powers, elementary functions, 2F1 and R_F",
            fix="rewrite the formula, or add the function to flowtheory.lower.certified",
        )
    return rule(*(_ball(argument, values) for argument in node.args))


def _power(base: sp.Basic, exponent: sp.Basic, values: Mapping[sp.Symbol, Any]) -> Any:
    value = _ball(base, values)
    if exponent == sp.S.Half:
        return value.sqrt()
    if exponent == -sp.S.Half:
        return value.rsqrt()
    if isinstance(exponent, sp.Integer):
        return value ** int(exponent)
    return value ** _ball(exponent, values)


def _gauss(a: Any, b: Any, c: Any, z: Any) -> Any:
    r"""${}_2F_1$, told which differences are integers: a ball around one does not know it."""
    differences = {"ab": a - b, "ac": a - c, "bc": b - c, "abc": a + b - c}
    known = {name: bool(value.is_Integer) for name, value in differences.items()}
    argument = require_flint().acb(_ball(z))
    return argument.hypgeom_2f1(_ball(a), _ball(b), _ball(c), **known).real


def _elliptic(node: CarlsonR | CarlsonRF) -> Any:
    r"""$R_F$, also with repeated arguments."""
    if isinstance(node, CarlsonRF):
        arguments = list(node.args)
    else:
        half = [(2 * b, z) for b, z in node.pairs]
        if not all(b.is_Integer for b, _ in half) or sum(b for b, _ in half) != 2 * _RF_WEIGHT:
            raise ParameterError(
                f"{node} has no ball arithmetic here",
                expected="R_F: three weights 1/2",
                fix="three aligned layers; deeper ones are not certified",
            )
        arguments = [z for b, z in half for _ in range(int(b))]
    return require_flint().acb.elliptic_rf(*map(_ball, arguments)).real


def _summed(*balls: Any) -> Any:
    return sum(balls[1:], balls[0])


def _multiplied(*balls: Any) -> Any:
    return math.prod(balls[1:], start=balls[0])


def _constant(name: str) -> Callable[[], Any]:
    return lambda: getattr(require_flint().arb, name)()


def _method(name: str) -> Callable[[Any], Any]:
    return lambda ball: getattr(ball, name)()


_ELEMENTARY = (
    *("exp", "log", "sin", "cos", "tan", "cot", "sinh", "cosh", "tanh"),
    *("asin", "acos", "atan", "asinh", "acosh", "atanh"),
)
_RULES: Mapping[Any, Callable[..., Any]] = {
    sp.Add: _summed,
    sp.Mul: _multiplied,
    sp.Abs: abs,
    type(sp.pi): _constant("pi"),
    type(sp.E): _constant("const_e"),
    **{getattr(sp, name): _method(name) for name in _ELEMENTARY},
}
