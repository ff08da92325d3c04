r"""Vector fields on parameter space in index notation, and derivatives along them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sympy import S

from flowtheory.symbolic.contract import contract
from flowtheory.symbolic.differentiate import derive, gradient
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.index import substitute, tidy


@dataclass(frozen=True)
class VectorField:
    r"""$\dot\theta = F(\theta)$: for the generic entry of every tensor, its time derivative.

    Attributes:
        components: Pairs such as ($W_{jp}$, $\dot W_{jp}$); the free indices of the rate are those
            of the entry. Tensors without a component are constant in time.
    """

    components: tuple[tuple[Indexed, Expr], ...]

    def __getitem__(self, entry: Indexed) -> Expr:
        """The rate of a tensor entry with any indices; 0 for a tensor that is constant."""
        for generic, rate in self.components:
            if generic.base == entry.base:
                return substitute(rate, dict(zip(generic.indices, entry.indices, strict=True)))
        return S.Zero

    def along(self, expr: Expr) -> Expr:
        r"""$\frac{d}{dt}$ of `expr` along the flow, where no activation switches."""
        return tidy(contract(derive(expr, self.__getitem__)))

    def decoupled(self) -> bool:
        """Whether every rate sees only entries with its own first index (one neuron each)."""
        state = {entry.base for entry, _ in self.components}
        return all(
            other.indices[0] == entry.indices[0]
            for entry, rate in self.components
            for other in rate.atoms(Indexed)
            if other.base in state
        )


def gradient_flow(energy: Expr, parameters: Sequence[Indexed]) -> VectorField:
    r"""$\dot\theta = -\nabla$ `energy`, by symbolic differentiation in index notation."""
    return VectorField(
        tuple((entry, tidy(contract(-gradient(energy, entry)))) for entry in parameters)
    )
