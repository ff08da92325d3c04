r"""The slopes $S_w$, $S_a$ that theory gives for a grid of points, in the limit of large width."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.symbolic.activation import find_activation
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.phase import (
    GAMMA,
    GAMMA_PRIME,
    Regime,
    leader_slopes,
    regime_at,
    slope_table,
)

Grid = Float[np.ndarray, "gamma_prime gamma"]


class Slopes(NamedTuple):
    """Exponents of the relative change in the width, one entry a point.

    Attributes:
        hidden: $S_w$.
        output: $S_a$.
    """

    hidden: Grid
    output: Grid


@cache
def regimes(activation: str) -> tuple[Regime, ...]:
    """The regimes of gradient flow for an activation: leaders where its multiplicity is above 1."""
    p = find_activation(activation).local.multiplicity
    table = slope_table(p)
    return table if p == 1 else (*leader_slopes(p), *table)


def regime_of(gamma: float, gamma_prime: float, activation: str = "relu") -> Regime:
    """The regime of a point."""
    return regime_at(regimes(activation), gamma, gamma_prime)


def asymptotic_slopes(
    gamma: Float[np.ndarray, " gamma"],
    gamma_prime: Float[np.ndarray, " gamma_prime"],
    activation: str = "relu",
) -> Slopes:
    """The slopes at every point of a grid.

    Args:
        gamma: the columns.
        gamma_prime: the rows.
        activation: of the network.
    """
    found = np.empty((2, len(gamma_prime), len(gamma)))
    for i, second in enumerate(gamma_prime):
        for j, first in enumerate(gamma):
            regime = regime_of(float(first), float(second), activation)
            values = {GAMMA: float(first), GAMMA_PRIME: float(second)}
            found[:, i, j] = [_at(f.expression, values) for f in (regime.hidden, regime.output)]
    return Slopes(*found)


def _at(expression: Expr, values: dict[Expr, float]) -> float:
    return float(expression.xreplace(values))
