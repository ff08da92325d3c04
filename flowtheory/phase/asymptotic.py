r"""The slopes $S_w$, $S_a$ that theory gives for a grid of points, in the limit of large width."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from sympy import GreaterThan, LessThan

from flowtheory.lower import numeric
from flowtheory.phase.slopes import Slopes
from flowtheory.symbolic.activation import find_activation
from flowtheory.symbolic.phase import (
    GAMMA,
    GAMMA_PRIME,
    Regime,
    leader_slopes,
    regime_at,
    slope_table,
)

_PLANE = (GAMMA, GAMMA_PRIME)


@cache
def regimes(activation: str, shared: bool = False) -> tuple[Regime, ...]:
    """The regimes of gradient flow for an activation.

    Args:
        activation: of the network; of multiplicity above 1, leaders carry the fit.
        shared: whether all neurons do all the same.
    """
    p = find_activation(activation).local.multiplicity
    table = slope_table(p)
    return table if shared or p == 1 else (*leader_slopes(p), *table)


@lru_cache(maxsize=1 << 16)
def regime_of(gamma: float, gamma_prime: float, activation: str = "relu") -> Regime:
    """The regime of a point."""
    return regime_at(regimes(activation), gamma, gamma_prime)


def asymptotic_slopes(
    gamma: Float[np.ndarray, " gamma"],
    gamma_prime: Float[np.ndarray, " gamma_prime"],
    activation: str = "relu",
    shared: bool = False,
) -> Slopes:
    """The slopes at every point of a grid.

    Args:
        gamma: the columns.
        gamma_prime: the rows.
        activation: of the network.
        shared: as in `regimes`.

    Returns:
        Those of the first regime that contains the point.
    """
    place = plane(gamma, gamma_prime)
    rows = _lowered(activation, shared)
    where = [row.inside(*place) for row in rows]
    hidden, output = (
        [values(*place) for values in column]
        for column in zip(*((row.hidden, row.output) for row in rows), strict=True)
    )
    return Slopes(np.select(where, hidden, np.nan), np.select(where, output, np.nan))


def regime_indices(
    gamma: Float[np.ndarray, " gamma"],
    gamma_prime: Float[np.ndarray, " gamma_prime"],
    activation: str = "relu",
) -> Int[np.ndarray, "gamma_prime gamma"]:
    """Which of `regimes` every point of a grid is in: the first that contains it."""
    place = plane(gamma, gamma_prime)
    where = [row.inside(*place) for row in _lowered(activation, False)]
    return np.select(where, range(len(where)), -1)


class _Row(NamedTuple):
    """A regime as functions of grids of gamma and gamma'."""

    inside: Callable[..., Bool[np.ndarray, "gamma_prime gamma"]]
    hidden: Callable[..., Any]
    output: Callable[..., Any]


@cache
def _lowered(activation: str, shared: bool) -> tuple[_Row, ...]:
    return tuple(
        _Row(
            _region(regime.domain),
            numeric(regime.hidden.expression, _PLANE),
            numeric(regime.output.expression, _PLANE),
        )
        for regime in regimes(activation, shared)
    )


def _region(domain: tuple[Any, ...]) -> Callable[..., Bool[np.ndarray, "gamma_prime gamma"]]:
    margins = [(margin(c), isinstance(c, (GreaterThan, LessThan))) for c in domain]

    def inside(gamma: Any, gamma_prime: Any) -> Any:
        held = ((by(gamma, gamma_prime), closed) for by, closed in margins)
        parts = [value >= 0 if closed else value > 0 for value, closed in held]
        return np.all(np.broadcast_arrays(*parts), axis=0)

    return inside


def margin(condition: Any) -> Callable[..., Any]:
    """By how much an inequality holds."""
    return numeric(condition.gts - condition.lts, _PLANE)


def plane(gamma: Any, gamma_prime: Any) -> tuple[Any, Any]:
    """Columns and rows, ready to be broadcast."""
    return np.asarray(gamma, float)[None, :], np.asarray(gamma_prime, float)[:, None]
