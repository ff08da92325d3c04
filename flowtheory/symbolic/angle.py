r"""The angle between a balanced neuron and the constant $a$ of its cell: the half-angle law.

For $v = |w| = R$ the angle $\psi$ has $\cos\psi = p/v = \phi/\alpha$, and a change of variable
makes its equation linear: $\tan(\psi(t)/2) = e^{-\alpha t}\tan(\psi_0/2)$.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sympy import Symbol, atanh, cancel, cos, exp, log, tanh

from flowtheory.errors import ParameterError
from flowtheory.symbolic.cell import ALPHA, P0, V0, Cell, P, T, V
from flowtheory.symbolic.expression import Expr

R0 = Symbol("R_0", positive=True)
PSI0 = Symbol("psi_0", real=True)
COSINE = Symbol("c", real=True)
HALF, HALF0 = Symbol("u", positive=True), Symbol("u_0", positive=True)
_THETA = Symbol("theta", real=True)


def change_of_variable(rate: Expr, old: Symbol, function: Expr, new: Symbol) -> Expr:
    r"""The rate of `new` $= z$, when `old` $= g(z)$ = `function` and `old` has the rate $F$.

    $\dot z = F(g(z)) / g'(z)$, in lowest terms.
    """
    return cancel(rate.xreplace({old: function}) / function.diff(new))


@dataclass(frozen=True)
class AngleLaw:
    r"""The closed forms of $\psi$, from the linear flow of a cell.

    Symbols: `HALF` $= u = \tan(\psi/2)$ and `HALF0` its start, `COSINE` $= \cos\psi$, `PSI0`, `R0`.
    """

    cell: Cell

    @cached_property
    def cosine_rate(self) -> Expr:
        r"""$\frac{d}{dt}\cos\psi = \alpha(1 - \cos^2\psi)$, from $\cos\psi = p/v$."""
        return cancel(self.cell.rate(P / V).xreplace({P: COSINE * V}))

    @cached_property
    def half_angle_rate(self) -> Expr:
        r"""$\dot u = -\alpha u$, by the rational substitution $\cos\psi = (1-u^2)/(1+u^2)$."""
        cosine = (1 - HALF**2) / (1 + HALF**2)
        return change_of_variable(self.cosine_rate, COSINE, cosine, HALF)

    @cached_property
    def half_angle(self) -> Expr:
        r"""$\tan(\psi(t)/2) = e^{-\alpha t} u_0$."""
        return HALF0 * exp(_constant(self.half_angle_rate / HALF, HALF) * T)

    @cached_property
    def elapsed(self) -> Expr:
        r"""The time in which $\tan(\psi/2)$ goes from $u_0$ to $u$: $\ln(u_0/u)/\alpha$."""
        return log(HALF0 / HALF) / _constant(-self.half_angle_rate / HALF, HALF)

    @cached_property
    def cosine(self) -> Expr:
        r"""$\cos\psi(t) = \tanh(\alpha t + \mathrm{artanh}\cos\psi_0)$.

        With $\cos\psi = \tanh\theta$ the rate of $\theta$ is constant.
        """
        rate = change_of_variable(self.cosine_rate, COSINE, tanh(_THETA), _THETA)
        return tanh(_constant(rate, _THETA) * T + atanh(cos(PSI0)))

    @cached_property
    def speed(self) -> Expr:
        r"""$\phi(t) = \alpha\cos\psi(t)$, the growth rate of $\ln|w|$."""
        return ALPHA * self.cosine

    @cached_property
    def norm(self) -> Expr:
        r"""$R(t) = v(t)$ from $v_0 = R_0$, $p_0 = R_0\cos\psi_0$."""
        return self.cell.output_weight.xreplace({V0: R0, P0: R0 * cos(PSI0)})


def _constant(expr: Expr, variable: Symbol) -> Expr:
    """`expr` in lowest terms, which must not depend on `variable`."""
    value = cancel(expr)
    if value.has(variable):
        raise ParameterError(
            f"the rate {value} depends on {variable}",
            expected="a constant rate",
            fix="use the flow w' = v a, v' = <w, a>",
        )
    return value
