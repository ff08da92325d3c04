r"""The regimes of a rectangle of the plane, as polygons."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from sympy import expand

from flowtheory.errors import ParameterError
from flowtheory.phase.asymptotic import regime_of, regimes
from flowtheory.plot.regimes import Region
from flowtheory.symbolic.phase import GAMMA, GAMMA_PRIME

_ROUNDING = 1e-12

Corners = Float[np.ndarray, "k 2"]


def regions(
    gamma: tuple[float, float], gamma_prime: tuple[float, float], activation: str = "relu"
) -> tuple[Region, ...]:
    r"""The regimes that a rectangle meets, each cut to it.

    A regime is an intersection of half-planes: the rectangle is cut by one after the other. One
    that another one covers, which comes before it in the table, is left out.

    Args:
        gamma: ends of the rectangle.
        gamma_prime: its ends.
        activation: of the network.

    Raises:
        ParameterError: ends that do not increase.
    """
    if not (gamma[0] < gamma[1] and gamma_prime[0] < gamma_prime[1]):
        raise ParameterError(
            f"the rectangle {gamma} x {gamma_prime}",
            expected="ends that increase",
            fix="regions((0.0, 2.0), (-1.0, 1.0))",
        )
    (left, right), (low, high) = gamma, gamma_prime
    whole = np.array([(left, low), (right, low), (right, high), (left, high)], dtype=float)
    found = []
    for regime in regimes(activation):
        corners = whole
        for condition in regime.domain:
            corners = _cut(corners, expand(condition.gts - condition.lts))
        if len(corners) < 3 or _area(corners) < _ROUNDING:
            continue
        one, other = map(float, corners.mean(axis=0))
        if regime_of(one, other, activation) == regime:
            slope = regime.hidden.expression.xreplace({GAMMA: one, GAMMA_PRIME: other})
            found.append(Region(regime.name, corners, bool(slope > 0)))
    return tuple(found)


def _cut(corners: Corners, margin: Any) -> Corners:
    """The part of a convex polygon in which a linear expression is not negative."""
    normal = np.array([float(margin.coeff(GAMMA)), float(margin.coeff(GAMMA_PRIME))])
    offset = float(margin.subs({GAMMA: 0, GAMMA_PRIME: 0}))
    kept: list[np.ndarray] = []
    for here, after in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        one, other = (float(normal @ point + offset) for point in (here, after))
        if one >= 0:
            kept.append(here)
        if (one > 0 > other) or (one < 0 < other):
            kept.append(here + one / (one - other) * (after - here))
    return np.array(kept).reshape(-1, 2)


def _area(corners: Corners) -> float:
    x, y = corners.T
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))
