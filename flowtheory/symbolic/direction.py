r"""The flow of one neuron in norm and direction: $w = R\,u$, $|u| = 1$, $v = \kappa R$.

From $\dot w = v a$, $\dot v = \langle w, a\rangle$ the engine derives, with
$\phi = \langle u, a\rangle$,

$$\dot u = \kappa(a - \phi u), \quad \frac{d}{dt}\ln R = \kappa\phi, \quad
  \dot\kappa = \phi(1 - \kappa^2), \quad \dot\phi = \kappa(|a|^2 - \phi^2)$$

the last one while $a$ is constant, that is between switches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sympy import S, factor_terms, log, sqrt

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import euler
from flowtheory.symbolic.contract import contract, replace_entries
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.field import VectorField
from flowtheory.symbolic.index import fresh, sum_over, tensor, tidy
from flowtheory.symbolic.leading import LeadingFlow
from flowtheory.symbolic.network import COORDINATE, INPUT_DIMENSION, NEURON, WIDTH
from flowtheory.symbolic.normal import fold, is_zero

COORDINATES = (COORDINATE, INPUT_DIMENSION)
A = tensor("a", WIDTH, INPUT_DIMENSION)[NEURON, COORDINATE]
U = tensor("u", WIDTH, INPUT_DIMENSION)[NEURON, COORDINATE]
R = tensor("R", WIDTH, positive=True)[NEURON]
KAPPA = tensor("kappa", WIDTH)[NEURON]
PHI = tensor("phi", WIDTH)[NEURON]
SPEED = tensor("alpha", WIDTH, positive=True)[NEURON]


@dataclass(frozen=True)
class NeuronFlow:
    r"""One neuron of the effective flow, $\dot w = v\,a(w)$ and $\dot v = \langle w, a(w)\rangle$.

    Attributes:
        attraction: $a_{jp}$ as a function of $W$, the data and their weights.
        field: The same flow with $a_{jp}$ as a named tensor, constant between switches.
        W: The generic entry $W_{jp}$.
        v: The generic entry $v_j$.
    """

    attraction: Expr
    field: VectorField
    W: Indexed
    v: Indexed


def neuron_flow(flow: LeadingFlow) -> NeuronFlow:
    r"""Split the leading flow into neurons, and find $a(w) = \nabla_w \dot v$.

    $\dot v_j$ is 1-homogeneous in $w_j$; by Euler's theorem it equals
    $\langle w_j, \nabla_{w_j}\dot v_j\rangle$. That $\dot w_j = v_j \nabla_{w_j}\dot v_j$, that the
    neurons do not see each other, and that $a$ is constant between switches, is verified.
    """
    W, v = flow.network.parameter("W"), flow.network.parameter("v")
    attraction = flow.field[W].coeff(v)
    inner = sum_over(W * attraction, COORDINATES)
    named = VectorField(((W, v * A), (v, sum_over(W * A, COORDINATES))))
    proved = (
        flow.field.decoupled()
        and is_zero(flow.field[W] - v * attraction)
        and is_zero(euler(flow.field[v] - inner))
        and flow.field.along(attraction) == 0
    )
    if not proved:
        raise ParameterError(
            f"the leading flow of {flow.network.name} is not w' = v a(w), v' = <w, a(w)>",
            expected="a two-layer network with a 1-homogeneous activation",
            fix="use relu, leaky_relu or identity",
        )
    return NeuronFlow(attraction, named, W, v)


@dataclass(frozen=True)
class DirectionForm:
    """The rates of direction, log-norm, ratio and speed, in terms of `U`, `R`, `KAPPA`, `PHI`."""

    direction: Expr
    log_norm: Expr
    ratio: Expr
    speed: Expr


def direction_form(neuron: NeuronFlow) -> DirectionForm:
    r"""Differentiate $u = w/|w|$, $\ln|w|$, $v/|w|$, $\langle u, a\rangle$ along the flow."""
    W, v, along = neuron.W, neuron.v, neuron.field.along
    q = fresh(INPUT_DIMENSION, {COORDINATE})
    norm = sqrt(sum_over(W.base[NEURON, q] ** 2, (q, INPUT_DIMENSION)))
    return DirectionForm(
        direction=in_direction(along(W / norm), neuron),
        log_norm=in_direction(along(log(norm)), neuron),
        ratio=in_direction(along(v / norm), neuron),
        speed=in_direction(along(sum_over(W * A, COORDINATES) / norm), neuron),
    )


def in_direction(expr: Expr, neuron: NeuronFlow) -> Expr:
    r"""Rewrite `expr` with $W_{jp} = R_j u_{jp}$, $v_j = \kappa_j R_j$, $\sum_p u_{jp}^2 = 1$."""
    named = {sum_over(U * A, COORDINATES): PHI, sum_over(A**2, COORDINATES): SPEED**2}
    return to_direction(expr, {neuron.W: R * U, neuron.v: KAPPA * R}, named)


def to_direction(expr: Expr, replaced: Mapping[Indexed, Expr], named: Mapping[Expr, Expr]) -> Expr:
    r"""Rewrite entries as in `replaced`, then sums as in `named` and $\sum_p u_{jp}^2 = 1$."""
    rewritten = tidy(contract(replace_entries(expr, replaced)))
    return factor_terms(fold(rewritten, {sum_over(U**2, COORDINATES): S.One, **named}))
