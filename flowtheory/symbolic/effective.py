r"""The leading flow with everything that follows from it: laws, spectra, blow-up, validity.

`leading` derives the flow; the rooms above derive its consequences; here they are put together, so
that one object answers for one network and one loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from sympy import Integer, Symbol

from flowtheory.clock import Reduction
from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import Ramp
from flowtheory.symbolic.asymptotic import Formula
from flowtheory.symbolic.blowup import AlignedFlow
from flowtheory.symbolic.conserve.find import ClosedLaw, closed_laws
from flowtheory.symbolic.derivation import Derivation
from flowtheory.symbolic.describe import describe
from flowtheory.symbolic.directions.find import critical_directions
from flowtheory.symbolic.directions.record import Directions
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.horizon import validity_horizon
from flowtheory.symbolic.leading import LeadingFlow, leading_flow
from flowtheory.symbolic.linearize import Spectrum
from flowtheory.symbolic.loss import Loss
from flowtheory.symbolic.model import Vanishes
from flowtheory.symbolic.network import Network
from flowtheory.symbolic.origin import linearize_origin
from flowtheory.symbolic.plateau import exponential_plateau, passage_time, power_plateau


@dataclass(frozen=True)
class EffectiveFlow(LeadingFlow):
    """A leading flow; what follows from it is derived when it is asked for, and kept."""

    @cached_property
    def invariants(self) -> tuple[ClosedLaw, ...]:
        """Quadratic conserved quantities: those of the full flow, then of the leading one only."""
        return closed_laws(self)

    @cached_property
    def linearization(self) -> Spectrum:
        """The spectrum at the saddle.

        Raises:
            ParameterError: As `linearize_origin`; it says why there is none in closed form.
        """
        return linearize_origin(self)

    @cached_property
    def blow_up(self) -> AlignedFlow | None:
        r"""The aligned flow $H = C\prod_l x_l^{d_l}$, which has the blow-up time in closed form.

        None if the degree is at most 2, or $H$ is not homogeneous in every layer. For multiplicity
        1 it describes all layers aligned with the top singular pair of the data moment, $C$ being
        its singular value times the leading coefficients of the activations.
        """
        try:
            degrees = [Integer(d) for d in self.layer_degrees.values() if d > 0]
        except ParameterError:
            return None
        if self.degree <= 2 or not self.grows or sum(degrees) != self.degree:
            return None
        gains = tuple(Symbol(f"x_{m}", positive=True) for m in range(1, len(degrees) + 1))
        return AlignedFlow(Symbol("C", positive=True), gains, tuple(degrees))

    @cached_property
    def laws(self) -> tuple[Formula, ...]:
        """The formulas that follow: plateau, validity, blow-up and passage times."""
        if not (self.is_saddle and self.grows):
            return ()
        kinked = self.potential.has(Ramp)
        if self.degree == 2 and kinked:
            return ()  # no Hessian, and no rate that all neurons share
        if self.degree == 2:
            plateau = exponential_plateau()
        else:
            plateau = power_plateau(self.degree, self.gap)
        found = [plateau, validity_horizon(self.degree, self.gap)]
        if self.blow_up is not None and not kinked:
            found.append(self.blow_up.formula)
        if not kinked and self._is_linear_regression:
            found.append(passage_time(self.degree))
        return tuple(found)

    @property
    def _is_linear_regression(self) -> bool:
        """Whether `passage_time` is in the clock of this flow: a product of layers, 1/2 square."""
        single = len(self.network.parameters) == self.degree and not self.network.further_inputs
        linear = single and self.expansion.exact and set(self.layer_degrees.values()) == {1}
        return linear and self.loss.name == "half_square" and self.reduction == "sum"

    def directions(self, inputs: Any, weights: Any) -> Directions:
        r"""Where neurons of a two-layer network point: critical points of $H$ on the sphere.

        Args:
            inputs: The data $x$, of shape (n, D).
            weights: $c_i$, of shape (n,).

        Raises:
            ParameterError: The neurons do not decouple, or the flow has a kink.
        """
        if self.potential.has(Ramp) or len(self.moving) != 2 or not self.field.decoupled():
            raise ParameterError(
                f"the neurons of {self.network.name} do not follow a form on the sphere",
                expected="a smooth two-layer network with one output",
                fix="integrate the flow",
            )
        return critical_directions(inputs, weights, self.degree - 1)

    @cached_property
    def derivation(self) -> Derivation:
        """All of it in order, which prints itself as text, LaTeX or JSON."""
        spectrum = None
        if self.is_saddle and self.grows:
            # Where there is no closed form, the derivation goes without it.
            with suppress(ParameterError):
                spectrum = self.linearization
        return describe(self, self.invariants, spectrum, self.laws)

    def text(self) -> str:
        """The derivation as Unicode text."""
        return self.derivation.text()

    def latex(self) -> str:
        """The derivation as a LaTeX document."""
        return self.derivation.latex()

    def json(self) -> str:
        """The derivation as JSON."""
        return self.derivation.json()

    def _repr_latex_(self) -> str:
        return self.derivation._repr_latex_()


def effective_flow(
    network: Network,
    loss: str | Expr | Loss = "half_square",
    *,
    reduction: Reduction | None = None,
    scales: Mapping[str, int] | None = None,
    vanishes: Vanishes | None = None,
) -> EffectiveFlow:
    """Derive the leading flow of a network under a loss, and with it what follows from it.

    Args:
        network: Any network.
        loss: A loss, the name of one, or an expression in y and f.
        reduction: "sum" or "mean" over samples; by default that of the loss.
        scales: As `leading_flow`.
        vanishes: As `leading_flow`.
    """
    flow = leading_flow(network, loss, reduction=reduction, scales=scales, vanishes=vanishes)
    return EffectiveFlow(**{f.name: getattr(flow, f.name) for f in fields(flow)})
