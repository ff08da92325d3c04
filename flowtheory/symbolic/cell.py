r"""One neuron between two switches, where $a$ is constant: the linear flow and its closed form.

With $\alpha = |a|$ and $p = \langle w, a\rangle/\alpha$ the flow is $\dot v = \alpha p$,
$\dot p = \alpha v$, and $w(t) = w_0 + S(t)\,a$ with $S = \int_0^t v$.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sympy import ImmutableMatrix, Symbol, cancel, cosh, eye, log, sinh

from flowtheory.errors import ParameterError
from flowtheory.symbolic.contract import contract
from flowtheory.symbolic.direction import COORDINATES, A, NeuronFlow
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.index import sum_over, tidy
from flowtheory.symbolic.normal import fold

T = Symbol("t", real=True)
ALPHA = Symbol("alpha", positive=True)
V, P = Symbol("v", real=True), Symbol("p", real=True)
V0, P0 = Symbol("v_0", real=True), Symbol("p_0", real=True)
_STATE, _START = ImmutableMatrix([V, P]), ImmutableMatrix([V0, P0])


@dataclass(frozen=True)
class Cell:
    r"""The linear flow of $(v, p)$ in a cell: `rates` are $\dot v$ and $\dot p$ in `V` and `P`."""

    rates: ImmutableMatrix

    @cached_property
    def matrix(self) -> ImmutableMatrix:
        r"""$M$ with $(\dot v, \dot p)^T = M (v, p)^T$."""
        return self.rates.jacobian(_STATE)

    @cached_property
    def propagator(self) -> ImmutableMatrix:
        r"""$e^{Mt} = \cosh(\alpha t)\,1 + \sinh(\alpha t)\,M/\alpha$, from $M^2 = \alpha^2 1$.

        The even powers of $M$ sum to cosh, the odd ones to sinh.
        """
        if self.matrix**2 != ALPHA**2 * eye(2):
            raise ParameterError(
                f"the flow in the cell has the matrix {self.matrix.tolist()}",
                expected="a matrix whose square is alpha^2 times the identity",
                fix="use the flow w' = v a, v' = <w, a>",
            )
        return cosh(ALPHA * T) * eye(2) + sinh(ALPHA * T) * self.matrix / ALPHA

    @cached_property
    def output_weight(self) -> Expr:
        """$v(t)$ from $v_0$ and $p_0$."""
        return (self.propagator * _START)[0]

    @cached_property
    def projection(self) -> Expr:
        """$p(t)$ from $v_0$ and $p_0$."""
        return (self.propagator * _START)[1]

    @cached_property
    def path(self) -> Expr:
        r"""$S(t) = \int_0^t v$, from $w = w_0 + S a$ and hence $p = p_0 + \alpha S$."""
        return (self.projection - P0) / ALPHA

    def rate(self, quantity: Expr) -> Expr:
        r"""$\frac{d}{dt}$ of a function of `V` and `P`."""
        return cancel((ImmutableMatrix([quantity]).jacobian(_STATE) * self.rates)[0])

    @cached_property
    def elapsed(self) -> Expr:
        r"""The time from $(v_0, p_0)$ to $(v, p)$, from the growth rate of $v + p$."""
        growth = cancel(self.rate(V + P) / (V + P))
        return log((V + P) / (V0 + P0)) / growth


def cell_flow(neuron: NeuronFlow) -> Cell:
    r"""Derive $\dot v$ and $\dot p$, $p = \langle w, a\rangle/\alpha$, from the neuron's flow."""
    inner = sum_over(neuron.W * A, COORDINATES)
    names = {inner: P * ALPHA, sum_over(A**2, COORDINATES): ALPHA**2}

    def rate(quantity: Expr) -> Expr:
        named = fold(tidy(contract(neuron.field.along(quantity))), names)
        return named.xreplace({neuron.v: V})

    return Cell(ImmutableMatrix([rate(neuron.v), rate(inner / ALPHA)]))
