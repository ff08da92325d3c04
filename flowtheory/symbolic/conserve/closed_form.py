r"""Laws in index notation: differentiated along the field, and shown to have the derivative zero.

For any loss $\ell$ and an activation with Euler's identity $\sigma'(z)\,z = p\,\sigma(z)$, the
quantity $p\,v_j^2 - |w_j|^2$ of a neuron is constant: $p\,v_j\dot v_j = \langle w_j, \dot
w_j\rangle$. Between two linear layers the whole matrix $W_{l+1}^T W_{l+1} - W_l W_l^T$ is constant.
"""

from __future__ import annotations

from enum import Enum

from sympy import Symbol, sympify

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import euler
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.field import VectorField, gradient_flow
from flowtheory.symbolic.index import fresh, sum_over
from flowtheory.symbolic.leading import LeadingFlow
from flowtheory.symbolic.loss import ANY_LOSS
from flowtheory.symbolic.network import Network, total_loss
from flowtheory.symbolic.normal import normal


class Validity(Enum):
    """For which flows a quantity is proved to be constant, for every size and all data."""

    FULL_FLOW = "the full flow, for every loss"
    LEADING_FLOW = "the leading flow at small initialization"
    NOT_PROVED = "not proved for any flow"


def residual(quantity: Expr, field: VectorField) -> Expr:
    r"""$\frac{d}{dt}$ `quantity` in normal form, after Euler's identity; 0 if conserved."""
    return normal(euler(field.along(quantity)))


def is_conserved(quantity: Expr, field: VectorField) -> bool:
    """Whether `quantity` is proved to be constant along `field`, for every size and all data."""
    return residual(quantity, field) == 0


def validity(quantity: Expr, flow: LeadingFlow) -> Validity:
    """Whether `quantity` is constant along the full flow, along the leading one only, or neither.

    The full flow is that of an arbitrary loss; the leading one is `flow`.
    """
    network = flow.network
    if is_conserved(quantity, gradient_flow(total_loss(network, ANY_LOSS), network.parameters)):
        return Validity.FULL_FLOW
    return Validity.LEADING_FLOW if is_conserved(quantity, flow.field) else Validity.NOT_PROVED


def imbalance(network: Network, degree: Expr | int = 1) -> Expr:
    r"""$p\,v_j^2 - \sum_q W_{jq}^2$ of neuron $j$ of a two-layer network, $p$ = `degree`."""
    W, v = network.parameter("W"), network.parameter("v")
    j, p = W.indices
    width_of_input = W.shape[1]
    return degree * v.base[j] ** 2 - sum_over(W.base[j, p] ** 2, (p, width_of_input))


def gram_difference(outer: Indexed, inner: Indexed) -> Expr:
    r"""$(W_{l+1}^T W_{l+1} - W_l W_l^T)_{ab}$ of two consecutive layers, $a$ and $b$ free.

    Args:
        outer: The generic entry of $W_{l+1}$, of shape ($m_{l+1}$, $m_l$), or of a vector of shape
            ($m_l$,), the weights of a scalar output.
        inner: The generic entry of $W_l$, of shape ($m_l$, $m_{l-1}$).
    """
    shared = inner.shape[0]
    if outer.shape[-1] != shared:
        raise ParameterError(
            f"{outer} has shape {outer.shape} and {inner} has shape {inner.shape}",
            expected="the last size of the outer layer equal to the first of the inner one",
            fix="give the outer layer first",
        )
    a = fresh(shared, ())
    b = fresh(shared, (a,))
    return gram(outer, outer.rank - 1, a, b) - gram(inner, 0, a, b)


def gram(entry: Indexed, axis: int, a: Symbol, b: Symbol) -> Expr:
    r"""$\sum T_{\dots a\dots} T_{\dots b\dots}$, summed over every axis of $T$ but `axis`.

    Args:
        entry: The generic entry of $T$.
        axis: The position of the axis that stays.
        a: An index of this axis.
        b: Another one, or the same: the squared norm of the entries attached to one unit.
    """
    axes: list[tuple[Symbol, Expr]] = []
    for position, extent in enumerate(entry.shape):
        if position != axis:
            axes.append((fresh(extent, (a, b, *(i for i, _ in axes))), extent))
    summed = [i for i, _ in axes]
    left, right = (entry.base[(*summed[:axis], end, *summed[axis:])] for end in (a, b))
    return sum_over(left * right, *axes)


def norm_difference(left: Indexed, left_degree: Expr, right: Indexed, right_degree: Expr) -> Expr:
    r"""$|A|^2/d_A - |B|^2/d_B$ of two layers in which the output has the degrees $d_A$, $d_B$."""
    return square_norm(left) / sympify(left_degree) - square_norm(right) / sympify(right_degree)


def square_norm(entry: Indexed) -> Expr:
    r"""$|T|^2$, the sum of the squares of all entries."""
    return sum_over(entry**2, *zip(entry.indices, entry.shape, strict=True))
