r"""The leading flow at small initialization, derived from a network and a loss.

With $\theta = \varepsilon\tilde\theta$ and a network that is homogeneous of degree $k$,

$$L(\varepsilon\tilde\theta) = L(0) - \varepsilon^k H(\tilde\theta) + O(\varepsilon^{k+q}),
  \qquad H = \sum_i c_i f_i^{(k)}, \quad c_i = -\partial_f\ell(y_i, 0),$$

so that in the time $\varepsilon^{k-2} t$ the flow is $\dot{\tilde\theta} = \nabla H$, with a
relative error of order $\varepsilon^q$.
"""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Integer

from flowtheory.errors import ParameterError
from flowtheory.symbolic.contract import contract
from flowtheory.symbolic.expand import Expansion, expand_in_scale
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.field import VectorField, gradient_flow
from flowtheory.symbolic.index import tensor, tidy
from flowtheory.symbolic.loss import ANY_LOSS, LABEL, AnyLoss, Loss, find_loss
from flowtheory.symbolic.network import SAMPLE, SAMPLES, Network, labels, total_loss


@dataclass(frozen=True)
class EffectiveFlow:
    r"""The leading flow of a network under a summed loss.

    Attributes:
        network: The network.
        loss: The loss of one sample.
        expansion: $L(\varepsilon\tilde\theta)$ for this loss, with $c_i$ written out.
        weight: The generic entry $c_i$ of the data weights.
        weight_value: $c_i = -\partial_f\ell(y_i, 0)$ in terms of $y_i$.
        potential: $H(\theta) = \sum_i c_i f_i$, in terms of $c_i$.
        field: $\dot\theta = \nabla H$.
    """

    network: Network
    loss: Loss
    expansion: Expansion
    weight: Indexed
    weight_value: Expr
    potential: Expr
    field: VectorField

    @property
    def degree(self) -> int:
        """The degree $k$ of the leading part."""
        return self.expansion.degree

    @property
    def gap(self) -> int:
        r"""The order $q$ of the relative error: the field is exact up to $O(\varepsilon^q)$."""
        return self.expansion.gap

    @property
    def time_exponent(self) -> int:
        r"""Time in the leading flow is $\varepsilon^{k-2}$ times the time of the full flow."""
        return self.degree - 2


def effective_flow(network: Network, loss: str | Loss, order: int = 8) -> EffectiveFlow:
    r"""Derive the leading flow of `network` under $\sum_i \ell(y_i, f_i)$.

    The structure is derived once for an arbitrary loss; the given loss then fixes $c_i$.

    Args:
        network: Any network whose output vanishes at zero parameters.
        loss: A loss, or the name of one.
        order: Highest power of the scale computed in the expansion of the loss.
    """
    chosen = find_loss(loss)
    scales = dict.fromkeys(network.bases, 1)
    expansion = expand_in_scale(total_loss(network, chosen), scales, order)
    general = expand_in_scale(total_loss(network, ANY_LOSS), scales, order)
    if expansion.degree > order:
        raise ParameterError(
            f"the loss of {network.name} does not vary up to power {order} of the scale",
            expected="a network with a non-zero leading part",
            fix="raise `order`",
        )
    c = tensor("c", SAMPLES)[SAMPLE]
    slope = AnyLoss(labels(), Integer(0), Integer(1))
    potential = tidy(contract(-general[general.degree].xreplace({slope: -c})))
    return EffectiveFlow(
        network=network,
        loss=chosen,
        expansion=expansion,
        weight=c,
        weight_value=chosen.slope.xreplace({LABEL: labels()}),
        potential=potential,
        field=gradient_flow(-potential, network.parameters),
    )
