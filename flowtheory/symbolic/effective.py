r"""The leading flow at small initialization, derived from a network and a loss.

With $\theta = \varepsilon\tilde\theta$ and a network whose output starts at degree $k$,

$$L(\varepsilon\tilde\theta) = L(0) - \varepsilon^k H(\tilde\theta) + O(\varepsilon^{k+q}),
  \qquad H = \sum_i c_i f_i^{(k)}, \quad c_i = -\partial_f\ell(y_i, 0),$$

so that in the time $\varepsilon^{k-2} t$ the flow is $\dot{\tilde\theta} = \nabla H$, with a
relative error of order $\varepsilon^q$. For $L$ layers and an activation of multiplicity $p$ the
engine finds $k = 1 + p + \dots + p^{L-1}$. The degree is that of generic data: it is higher if the
data moments in $H$ vanish.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from sympy import Eq, Integer

from flowtheory.errors import ParameterError
from flowtheory.symbolic.contract import contract
from flowtheory.symbolic.expand import Expansion, expand_in_scale, expand_to_gap, leading_power
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.field import VectorField, gradient_flow
from flowtheory.symbolic.index import tidy
from flowtheory.symbolic.loss import ANY_LOSS, LABEL, AnyLoss, Loss, find_loss
from flowtheory.symbolic.network import Network, total_loss
from flowtheory.symbolic.printing import Rate


@dataclass(frozen=True)
class EffectiveFlow:
    r"""The leading flow of a network under a summed loss.

    Attributes:
        network: The network.
        loss: The loss of one sample.
        expansion: $L(\varepsilon\tilde\theta)$ for this loss, with $c_i$ written out.
        weight: The generic entry $c_i$ of the data weights, with the axes of the output.
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
        r"""Time in the leading flow is $\varepsilon^{k-2}$ times the time of the full flow.

        For 0 the leading flow is linear or of degree 1, and its stages last $\ln(1/\varepsilon)$.
        """
        return self.degree - 2

    @property
    def equations(self) -> tuple[Expr, ...]:
        r"""$\dot\theta = \nabla H$, one equation for the generic entry of every tensor."""
        return tuple(Eq(Rate(entry), rate, evaluate=False) for entry, rate in self.field.components)

    @cached_property
    def layer_degrees(self) -> Mapping[str, int]:
        r"""The degree $d_l$ of $H$ in every parameter tensor alone, by name; they sum to $k$.

        Raises:
            ParameterError: $H$ is not homogeneous in one tensor, as with unequal branches.
        """
        degrees = {}
        for base in self.network.bases:
            powers = expand_in_scale(self.potential, {base: 1}, self.degree).powers
            if len(powers) != 1:
                raise ParameterError(
                    f"the leading part has the powers {powers} in {base}",
                    expected="a leading part that is homogeneous in every tensor",
                    fix="use `degree`, its degree in all parameters together",
                )
            degrees[str(base)] = powers[0]
        return degrees


def effective_flow(network: Network, loss: str | Loss) -> EffectiveFlow:
    r"""Derive the leading flow of `network` under $\sum_i \ell(y_i, f_i)$.

    The structure is derived once for an arbitrary loss; the given loss then fixes $c_i$. The order
    of the expansion is raised until the leading and the next term are found.

    Args:
        network: Any network whose output vanishes at zero parameters.
        loss: A loss, or the name of one.

    Raises:
        ParameterError: The loss does not vary up to the limit of the order, or the output starts at
            a degree below 2 with an activation that has $\sigma(0) \ne 0$: the origin is then no
            saddle, and there is no plateau that the leading flow could describe.
    """
    chosen = find_loss(loss)
    scales = dict.fromkeys(network.bases, 1)
    start = leading_power(network.output, scales)
    expansion = expand_to_gap(total_loss(network, chosen), scales, start)
    if not any(power > 0 for power in expansion.powers):
        raise ParameterError(
            f"the loss of {network.name} does not vary up to power {expansion.order} of the scale",
            expected="a network with a non-zero leading part",
            fix="use an activation with a non-zero Taylor term of lower order",
        )
    _require_saddle(network, expansion.degree)
    general = expand_in_scale(total_loss(network, ANY_LOSS), scales, expansion.degree)
    c = network.per_output("c")
    slope = AnyLoss(network.labels, Integer(0), Integer(1))
    potential = tidy(contract(-general[general.degree].xreplace({slope: -c})))
    return EffectiveFlow(
        network=network,
        loss=chosen,
        expansion=expansion,
        weight=c,
        weight_value=chosen.slope.xreplace({LABEL: network.labels}),
        potential=potential,
        field=gradient_flow(-potential, network.parameters),
    )


def _require_saddle(network: Network, degree: int) -> None:
    r"""Refuse $\sigma(0) \ne 0$ where it makes the loss vary at first order."""
    if degree > 1 or (constant := network.activation.local.constant) == 0:
        return
    raise ParameterError(
        f"{network.activation.name} is {constant} at 0, so the loss of {network.name} varies at "
        "first order and the origin is not a saddle",
        expected="an activation with the value 0 at 0",
        fix="use `activation.centred()`, a network of its own, whose output vanishes at the origin",
    )
