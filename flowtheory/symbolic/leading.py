r"""The leading flow at small initialization, derived from a network and a loss.

With $\theta = \varepsilon\tilde\theta$ and an output that starts at degree $k$,

$$L(\varepsilon\tilde\theta) = L(0) - \varepsilon^k H(\tilde\theta) + O(\varepsilon^{k+q}),
  \qquad H = \sum_i c_i f_i^{(k)}, \quad c_i = -\partial_f\ell(y_i, f_i(0)),$$

so that in the time $\varepsilon^{k-2} t$ the flow is $\dot{\tilde\theta} = \nabla H$, with a
relative error of order $\varepsilon^q$. For $L$ layers and an activation of multiplicity $p$ the
engine finds $k = 1 + p + \dots + p^{L-1}$. Layers may have scales of their own,
$\varepsilon^{\alpha_l}$; an output bias or $\sigma(0) \ne 0$ fits a constant first (`fit`); data
whose moments vanish raise $k$.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from sympy import Eq, S

from flowtheory.clock import Reduction
from flowtheory.errors import ParameterError
from flowtheory.symbolic.contract import contract
from flowtheory.symbolic.expand import Expansion, expand_in_scale, leading_power
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.field import VectorField, gradient_flow
from flowtheory.symbolic.fit import ConstantFit
from flowtheory.symbolic.index import tidy
from flowtheory.symbolic.loss import Loss, find_loss
from flowtheory.symbolic.model import ScaledLoss, Vanishes, no_leading_part, second_output_power
from flowtheory.symbolic.moments import Moment, MomentForm, fold_moments, name_moments
from flowtheory.symbolic.network import Network, sample_share
from flowtheory.symbolic.printing import Rate


@dataclass(frozen=True)
class LeadingFlow:
    r"""The leading flow of a network.

    Attributes:
        network: The network.
        loss: The loss of one sample.
        reduction: Whether samples are summed or averaged.
        scales: The power $\alpha$ of $\varepsilon$ in front of every tensor, by name.
        expansion: The loss in powers of $\varepsilon$, with $c_i$ written out.
        gap: The order $q$ of the relative error: the field is exact up to $O(\varepsilon^q)$.
        weight: The generic entry $c_i$ of the data weights, with the axes of the output.
        weight_value: $c_i = -\partial_f\ell(y_i, s_i)$ at the output $s_i$ of the saddle.
        curvature: The generic entry $h_i$; a matrix in the outputs if the loss couples them.
        curvature_value: $h_i = \partial_f^2\ell(y_i, s_i)$.
        leading_part: $\sum_i c_i f_i^{(k)}$, in terms of $c_i$.
        misfit: What a constant that is not fitted costs, where the leading part drives it.
        field: $\dot\theta = \nabla H$ for the tensors that move; along a fit, its projection.
        fit: The constant that is fitted before, if the output can follow one at first order.
        is_projected: Whether `field` is $\nabla H$ without its part along the fitted constant.
        vanished: The moments that are zero for the given data.
    """

    network: Network
    loss: Loss
    reduction: Reduction
    scales: Mapping[str, int]
    expansion: Expansion
    gap: int
    weight: Indexed
    weight_value: Expr
    curvature: Indexed
    curvature_value: Expr
    leading_part: Expr
    misfit: Expr
    field: VectorField
    fit: ConstantFit | None = None
    is_projected: bool = False
    vanished: tuple[Moment, ...] = ()

    @property
    def potential(self) -> Expr:
        r"""$H(\theta)$: the leading part, less the misfit of a constant that it drives."""
        return self.leading_part - self.misfit

    @property
    def power(self) -> int:
        r"""The power $K$ of $\varepsilon$ in front of $H$; the degree $k$ if all scales are 1."""
        return self.expansion.degree

    @cached_property
    def moving(self) -> tuple[Indexed, ...]:
        r"""The parameters that move in the leading flow: of those in $H$, the smallest ones."""
        return tuple(entry for entry, _ in self.field.components)

    @cached_property
    def degree(self) -> int:
        """The degree $k$ of $H$ in the parameters that move."""
        scales = {entry.base: 1 for entry in self.moving}
        return expand_in_scale(self.leading_part, scales, self.power).degree

    @property
    def time_exponent(self) -> int:
        r"""Time in the leading flow is $\varepsilon^{K - 2\alpha}$ times that of the full flow.

        $\alpha$ is the scale of the parameters that move: $k - 2$ for equal scales. For 0 the
        leading flow is linear or of degree 1, and its stages last $\ln(1/\varepsilon)$.
        """
        return self.power - 2 * max(self.scales[str(entry.base)] for entry in self.moving)

    @property
    def grows(self) -> bool:
        r"""Whether the residuals drive $H$; otherwise $H \le 0$, and nothing leaves the origin."""
        return self.leading_part.has(self.weight.base)

    @property
    def is_saddle(self) -> bool:
        """Whether the loss has no part of first order, so that there is a plateau."""
        return self.degree > 1

    @property
    def equations(self) -> tuple[Expr, ...]:
        r"""$\dot\theta = \nabla H$, one equation for the generic entry of every moving tensor."""
        return tuple(Eq(Rate(entry), rate, evaluate=False) for entry, rate in self.field.components)

    @cached_property
    def layer_degrees(self) -> Mapping[str, int]:
        r"""The degree $d_l$ of $H$ in every layer alone; they sum to $k$.

        Keys are names of tensors, joined by commas for a layer with several. Layers that do not
        occur in $H$ have degree 0.

        Raises:
            ParameterError: $H$ is not homogeneous in one layer, as with unequal branches.
        """
        degrees = {}
        for layer in self.network.layers:
            name = ", ".join(str(entry.base) for entry in layer)
            scales = {entry.base: 1 for entry in layer}
            powers = expand_in_scale(self.leading_part, scales, self.power).powers
            if len(powers) != 1:
                raise ParameterError(
                    f"the leading part has the powers {powers} in {name}",
                    expected="a leading part that is homogeneous in every layer",
                    fix="use `degree`, its degree in all parameters together",
                )
            degrees[name] = powers[0]
        return degrees

    @property
    def share(self) -> Expr:
        """The weight of a sample: 1 for a sum, $1/n$ for a mean."""
        return sample_share(self.network, self.reduction)

    def in_moments(self, expr: Expr) -> Expr:
        """`expr` with sums over samples named, if the data are in it as a polynomial."""
        form = self._named(expr)
        return expr if form is None else form.expression

    def _named(self, expr: Expr) -> MomentForm | None:
        sample = self.network.axes[0]
        return name_moments(expr, sample, self.network.all_inputs, self._weights)

    def fold(self, expr: Expr) -> MomentForm:
        """`expr` with those sums over samples named that can be without multiplying it out."""
        return fold_moments(expr, self.network.axes[0], self.network.all_inputs, self._weights)

    @cached_property
    def moment_form(self) -> MomentForm | None:
        """The leading part in terms of data moments; None if it is no polynomial of the data."""
        return self._named(self.leading_part)

    @property
    def moments(self) -> tuple[Moment, ...]:
        """The data moments on which the leading part depends, if it is a polynomial of the data."""
        return self.moment_form.moments if self.moment_form else ()

    @property
    def _weights(self) -> tuple[Indexed, ...]:
        return (self.weight, self.curvature, self.network.labels)


def leading_flow(
    network: Network,
    loss: str | Expr | Loss = "half_square",
    *,
    reduction: Reduction | None = None,
    scales: Mapping[str, int] | None = None,
    vanishes: Vanishes | None = None,
) -> LeadingFlow:
    r"""Derive the leading flow of `network` under $\sum_i \ell(y_i, f_i)$ or its mean.

    Args:
        network: Any network.
        loss: A loss, the name of one, or an expression in y and f.
        reduction: "sum" or "mean" over samples; by default that of the loss.
        scales: The powers $\alpha \ge 0$ of $\varepsilon$ by tensor; 1 for those left out. Tensors
            with $\alpha = 0$ are of order 1 and stay inside activations.
        vanishes: Whether a data moment is zero; by default none is.

    Raises:
        ParameterError: The loss does not vary up to the limit of the order, or `scales` names an
            unknown tensor or is not a natural number.
    """
    chosen = find_loss(loss)
    powers = _scales(network, scales)
    bases = {network.parameter(name).base: power for name, power in powers.items()}
    model = ScaledLoss(network, chosen, bases, vanishes)
    averaged = reduction or chosen.reduction
    share = sample_share(network, averaged)
    degree = model.next_power(0)
    if degree is None:
        raise no_leading_part(network, model.output.order)
    leading = tidy(contract(-share * model.coefficient(degree)))
    following = model.next_power(degree)
    gap = (model.output.order + 1 if following is None else following) - degree
    expansion = model.expansion(degree, gap)
    along = _along_the_fit(model, leading, share, degree)
    field, slower = _smallest_moving(along.field, powers)
    return LeadingFlow(
        network=network,
        loss=chosen,
        reduction=averaged,
        scales=powers,
        expansion=expansion if share == 1 else _scaled(expansion, share),
        gap=min(q for q in (gap, along.gap, slower) if q is not None),
        weight=model.weight,
        weight_value=model.weight_value,
        curvature=model.curvature,
        curvature_value=model.curvature_value,
        leading_part=leading,
        misfit=along.misfit,
        field=field,
        fit=model.fit,
        is_projected=along.is_projected,
        vanished=tuple(model.vanished),
    )


@dataclass(frozen=True)
class _AlongTheFit:
    """The field of a leading part, and what a constant that it drives changes in it."""

    field: VectorField
    misfit: Expr = S.Zero
    is_projected: bool = False
    gap: int | None = None


def _along_the_fit(model: ScaledLoss, leading: Expr, share: Expr, degree: int) -> _AlongTheFit:
    """A driven constant stays fitted where its fit is faster, and costs its misfit otherwise."""
    parameters = model.network.parameters
    field = gradient_flow(-leading, parameters)
    if model.fit is None or (driven := model.fit.multiplier(field)) == 0:
        return _AlongTheFit(field)
    gap = second_output_power(model.output) - 1
    restoring = 2 * leading_power(model.fit.direction, model.scales)
    if restoring > degree:
        return _AlongTheFit(field, gap=restoring - degree)
    if restoring < degree:
        return _AlongTheFit(model.fit.project(field, driven), is_projected=True, gap=gap)
    misfit = tidy(contract(share * model.misfit()))
    return _AlongTheFit(gradient_flow(misfit - leading, parameters), misfit, gap=gap)


def _scaled(expansion: Expansion, share: Expr) -> Expansion:
    coefficients = tuple((power, share * c) for power, c in expansion.coefficients)
    return replace(expansion, coefficients=coefficients)


def _scales(network: Network, given: Mapping[str, int] | None) -> dict[str, int]:
    scales = {str(base): 1 for base in network.bases}
    for name, power in (given or {}).items():
        network.parameter(name)
        if isinstance(power, bool) or not isinstance(power, int) or power < 0:
            raise ParameterError(
                f"the scale of {name} is {power!r}",
                expected="a natural number, the power of epsilon in front of the tensor",
                fix="for fractions, multiply all powers by their common denominator",
            )
        scales[name] = power
    return scales


def _smallest_moving(
    field: VectorField, scales: Mapping[str, int]
) -> tuple[VectorField, int | None]:
    r"""The field of the tensors with the largest $\alpha$, and the order at which others move.

    $\dot{\tilde\theta}_l = \varepsilon^{K - 2\alpha_l}\partial_l H$: the smallest are the fastest.
    """
    powers = {str(e.base): scales[str(e.base)] for e, rate in field.components if rate != 0}
    top = max(powers.values(), default=0)
    slower = [top - power for power in powers.values() if power < top]
    components = tuple((e, r) for e, r in field.components if powers.get(str(e.base)) == top)
    return VectorField(components), 2 * min(slower) if slower else None
