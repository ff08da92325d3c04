r"""Phase exponents of deep networks with layers of equal scales, layer by layer and norm by norm.

The row $\gamma_2 = 0$ of `flowtheory.symbolic.depth_regimes`, which derives them: there all layers
are fast ones, and two regimes are left, lazy and balanced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sympy import Ge, Le, S

from flowtheory.errors import ParameterError
from flowtheory.symbolic.asymptotic import Formula
from flowtheory.symbolic.depth_regimes import (
    GAMMA_2,
    OfLayers,
    depth_regimes,
    formula,
    start_exponents,
)
from flowtheory.symbolic.phase import GAMMA

Norm = Literal["frobenius", "operator"]


@dataclass(frozen=True)
class LayerExponents:
    r"""How one layer moves, relative to its start, in one norm.

    Attributes:
        name: "W1", ..., "WH" or "a".
        norm: Of the change and of the start; vectors have one.
        lazy: The exponent for $\gamma$ up to the critical one.
        condensed: The exponent beyond it.
    """

    name: str
    norm: Norm
    lazy: Formula
    condensed: Formula


@dataclass(frozen=True)
class DepthExponents:
    r"""The exponents in $m$ of a network of $H$ hidden layers, $\kappa = m^{-\gamma}$.

    Attributes:
        hidden_layers: $H$.
        output: Of $f$ at the start, without antisymmetric initialization.
        kernel: Of the tangent kernel at the start.
        critical: The critical $\gamma$, where the operator norms change by their own order.
        layers: From the input to the output; hidden matrices in both norms.
    """

    hidden_layers: int
    output: Formula
    kernel: Formula
    critical: Formula
    layers: tuple[LayerExponents, ...]

    def layer(self, name: str, norm: Norm = "frobenius") -> LayerExponents:
        """The exponents of one layer in one norm.

        Raises:
            ParameterError: There is no such layer.
        """
        for found in self.layers:
            if (found.name, found.norm) == (name, norm):
                return found
        known = ", ".join(f"{one.name} ({one.norm})" for one in self.layers)
        raise ParameterError(f"no layer {name} ({norm})", expected=known, fix="name one of these")


def depth_exponents(hidden_layers: int) -> DepthExponents:
    r"""The exponents for $H$ = `hidden_layers` $\ge 1$, of the regimes where $\gamma_2 = 0$.

    Raises:
        ParameterError: `hidden_layers` is no positive integer.
    """
    lazy, _, balanced = depth_regimes(hidden_layers)[:3]
    even = {GAMMA_2: S.Zero}
    critical = lazy.end.subs(even)
    output, kernel = start_exponents(hidden_layers)
    layers = tuple(
        LayerExponents(
            name,
            norm,
            *(
                formula(f"S of {name}, {norm}, {what}", at.expression.subs(even), (where,))
                for what, at, where in (
                    ("lazy", getattr(lazy.slopes, kind), Le(GAMMA, critical)),
                    ("condensed", getattr(balanced.slopes, kind), Ge(GAMMA, critical)),
                )
            ),
        )
        for name, norm, kind in _kinds(hidden_layers)
    )
    return DepthExponents(
        hidden_layers,
        formula("output at the start", output),
        formula("tangent kernel at the start", kernel),
        Formula("critical gamma", critical, {}, (), S.Zero, "derived here"),
        layers,
    )


def _kinds(hidden_layers: int) -> list[tuple[str, Norm, str]]:
    """Every layer in its norms, and which of `OfLayers` it is; vectors have one norm."""
    one, frobenius, operator, last = OfLayers._fields
    found: list[tuple[str, Norm, str]] = [("W1", "frobenius", one)]
    for k in range(2, hidden_layers + 1):
        found.append((f"W{k}", "frobenius", frobenius))
        found.append((f"W{k}", "operator", operator))
    found.append(("a", "frobenius", last))
    return found
