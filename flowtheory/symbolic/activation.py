r"""Activations: SymPy expressions in one variable, each a row of a registry.

An activation is analytic at 0 (tanh, softplus, $z\tanh z$, ...) or positively homogeneous (ReLU,
leaky ReLU, powers of ReLU, $|z|$); `Activation.local` says which, with its constant term, its
multiplicity $p$ and its leading coefficients. Kinks carry a stated derivative (`ramp`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sympy import Integer, Rational, Symbol, cos, erf, exp, log, sin, sqrt, sympify, tanh
from sympy.core.function import ArgumentIndexError

from flowtheory.errors import ParameterError, unknown_name
from flowtheory.symbolic.expression import Expr, Head
from flowtheory.symbolic.local import LocalForm, local_form, without_library_kinks
from flowtheory.symbolic.parse import parse
from flowtheory.symbolic.ramp import Ramp, Step
from flowtheory.symbolic.taylor import taylor

ARGUMENT = Symbol("z", real=True)


@dataclass(frozen=True)
class Activation:
    r"""An activation $\sigma$: its `name`, and its `expression` in the symbol `ARGUMENT` ($z$)."""

    name: str
    expression: Expr

    def __call__(self, z: Expr) -> Expr:
        r"""$\sigma(z)$."""
        return self.expression.xreplace({ARGUMENT: z})

    def derivative(self, order: int = 1) -> Expr:
        r"""$\sigma^{(m)}(z)$ for $m$ = `order`, in the symbol `ARGUMENT`."""
        return self.expression.diff(ARGUMENT, order) if order else self.expression

    @cached_property
    def local(self) -> LocalForm:
        r"""The form of $\sigma$ at 0: constant term, multiplicity $p$, coefficients, next order.

        Raises:
            ParameterError: A pole, an essential singularity, a branch point, or a kink that is not
                positively homogeneous at 0; or $\sigma$ is constant to the order searched.
        """
        return local_form(self.expression, ARGUMENT)

    def taylor(self, order: int) -> tuple[Expr, ...]:
        r"""The exact Taylor coefficients $c_0, \dots, c_N$ of $\sigma$ at 0, $N$ = `order`.

        Raises:
            ParameterError: $\sigma$ is not analytic at 0.
        """
        return taylor(self.expression, ARGUMENT, order)

    def centred(self) -> Activation:
        r"""$\sigma(z) - \sigma(0)$, the activation whose networks have a saddle at the origin."""
        constant = self.local.constant
        if constant == 0:
            return self
        return Activation(f"centred {self.name}", self.expression - constant)


class AnyActivation(Head):
    r"""`AnyActivation(z, m)` is $\sigma^{(m)}(z)$ for an arbitrary smooth activation $\sigma$."""

    nargs = 2

    def fdiff(self, argindex: int = 1) -> Expr:
        r"""$\partial_z$ raises $m$ by one."""
        if argindex == 1:
            z, m = self.args
            return AnyActivation(z, m + 1)
        raise ArgumentIndexError(self, argindex)

    def _eval_is_real(self) -> bool:
        return True

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        z, m = self.args
        name = r"\sigma" + "'" * int(m) if m <= 3 else rf"\sigma^{{({m})}}"
        text = rf"{name}\left({printer.doprint(z)}\right)"
        return text if exp is None else rf"{text}^{{{exp}}}"


ANY_ACTIVATION = Activation("arbitrary", AnyActivation(ARGUMENT, Integer(0)))
"""An activation of which nothing is known; `with_activation` puts one in its place."""


def with_activation(expr: Expr, sigma: str | Expr | Activation) -> Expr:
    r"""`expr` with $\sigma$ in place of the arbitrary activation."""
    chosen = find_activation(sigma)
    return expr.replace(
        AnyActivation, lambda z, m: chosen.derivative(int(m)).xreplace({ARGUMENT: z})
    )


def relu(at_kink: Any = 0) -> Activation:
    r"""$\max(z, 0)$ with the derivative `at_kink` at 0.

    The published results on early alignment need the default, 0: another value revives neurons
    that start on the boundary of the dead cone.
    """
    k = _number("at_kink", at_kink)
    return Activation("relu", Ramp(ARGUMENT, 0, k))


def leaky_relu(slope: Any, at_kink: Any = 0) -> Activation:
    """$z$ for $z > 0$ and `slope` $z$ otherwise; `slope` may be a symbol."""
    a, k = _number("slope", slope), _number("at_kink", at_kink)
    return Activation(f"leaky_relu({a})", Ramp(ARGUMENT, a, k))


def sloped_relu(left: Any, right: Any) -> Activation:
    r"""$s_+ z$ for $z > 0$ and $s_- z$ otherwise, $s_-$ = `left`, $s_+$ = `right` not zero.

    The derivative at the kink is $s_-$, so that data on a kink count as inactive. A slope may be a
    symbol (the parametric ReLU).

    Raises:
        ParameterError: `right` is zero; mirror the data for such an activation.
    """
    a, b = _number("left", left), _number("right", right)
    if b.is_zero:
        raise ParameterError(
            "the slope on the right is 0",
            expected="a slope that is not zero for z > 0",
            fix="sloped_relu(0, -slope) of -z: change the sign of the weights",
        )
    return Activation(f"sloped_relu({a}, {b})", b * Ramp(ARGUMENT, a / b, a / b))


def relu_power(power: int) -> Activation:
    r"""$\max(z, 0)^p$ for an integer $p \ge 2$; its derivative at the kink is 0."""
    if isinstance(power, bool) or not isinstance(power, int) or power < 2:
        raise ParameterError(
            f"power is {power!r}",
            expected="an integer of at least 2",
            fix="use relu for the first power",
        )
    return Activation(f"relu**{power}", Ramp(ARGUMENT, 0, 0) ** power)


def absolute(at_kink: Any = 0) -> Activation:
    """$|z|$ with the derivative `at_kink` at 0."""
    return Activation("abs", Ramp(ARGUMENT, -1, _number("at_kink", at_kink)))


def _number(name: str, value: Any) -> Expr:
    expr = sympify(value)
    if not isinstance(expr, Expr) or expr.is_real is False:
        raise ParameterError(
            f"{name} is {value!r}",
            expected="a real number or a real SymPy symbol",
            fix="for example Rational(1, 10); a float is taken as it is",
        )
    return expr


_SIGMOID = 1 / (1 + exp(-ARGUMENT))

ACTIVATIONS: Mapping[str, Activation] = {
    "relu": relu(),
    "leaky_relu": leaky_relu(Rational(1, 100)),
    "relu**2": relu_power(2),
    "abs": absolute(),
    "identity": Activation("identity", ARGUMENT),
    "tanh": Activation("tanh", tanh(ARGUMENT)),
    "erf": Activation("erf", erf(ARGUMENT)),
    "sin": Activation("sin", sin(ARGUMENT)),
    "sigmoid": Activation("sigmoid", _SIGMOID),
    "softplus": Activation("softplus", log(1 + exp(ARGUMENT))),
    "gelu": Activation("gelu", ARGUMENT / 2 * (1 + erf(ARGUMENT / sqrt(2)))),
    "silu": Activation("silu", ARGUMENT * _SIGMOID),
    "z*tanh(z)": Activation("z*tanh(z)", ARGUMENT * tanh(ARGUMENT)),
    "z**2*tanh(z)": Activation("z**2*tanh(z)", ARGUMENT**2 * tanh(ARGUMENT)),
    "cos-1": Activation("cos-1", cos(ARGUMENT) - 1),
}
"""Name -> activation."""


def find_activation(which: str | Expr | Activation) -> Activation:
    r"""The activation of that name, the one that an expression in $z$ defines, or the given one.

    A string that is not a registered name is read as an expression, such as "z**3 + sin(z)"; an
    expression from SymPy may contain real parameters besides its one symbol called z. Absolute
    values, maxima and case distinctions with a kink at 0 get the derivative 0 there.

    Raises:
        UnknownNameError: A plain word that is no registered name.
        ParameterError: A string that is no expression in z, or what `Activation.local` refuses.
    """
    if isinstance(which, Activation):
        return which
    if isinstance(which, str):
        if which in ACTIVATIONS:
            return ACTIVATIONS[which]
        if which.strip().isidentifier() and which.strip() != "z":
            raise unknown_name("activation", which, ACTIVATIONS, more="or an expression in z")
        heads = {name: act for name, act in ACTIVATIONS.items() if name.isidentifier()}
        formula = parse(which, [ARGUMENT], heads, "z*tanh(z)")
        return _checked(Activation(which, without_library_kinks(formula, ARGUMENT)))
    return _from_expression(which)


def _from_expression(expr: Expr) -> Activation:
    expr = sympify(expr)
    slots = [symbol for symbol in expr.free_symbols if symbol.name == "z"]
    if len(slots) != 1:
        raise ParameterError(
            f"the activation {expr} has {len(slots)} symbols called z",
            expected="an expression in one symbol called z; others are parameters",
            fix="rename its argument to z",
        )
    renamed = expr.xreplace({slots[0]: ARGUMENT})
    return _checked(Activation(str(renamed), without_library_kinks(renamed, ARGUMENT)))


def _checked(activation: Activation) -> Activation:
    """The activation, whose form at 0 is one that the engine reads."""
    _ = activation.local
    return activation


def euler(expr: Expr) -> Expr:
    r"""Euler's identity $\sigma(z) = \sigma'(z)\,z$ applied to every 1-homogeneous activation.

    It holds at the kink as well, whatever value is stated there, because $z = 0$.
    """
    return expr.replace(Ramp, lambda z, a, k: z * Step(z, a, k))
