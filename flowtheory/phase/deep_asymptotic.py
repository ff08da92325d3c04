r"""The slopes of a deeper network's layers over grids, in the limit of large width.

In the units of `flowtheory.phase.deep_point`. Exponents, regimes and edges are those that
`flowtheory.symbolic.depth_regimes` derives; all are affine in $(\gamma, \gamma_2)$, and are lowered
here to their coefficients.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from sympy import Expr, Poly

from flowtheory.symbolic.depth_regimes import GAMMA_2, condensation_edge, depth_regimes
from flowtheory.symbolic.depth_regimes import OfLayers as OfLayers
from flowtheory.symbolic.phase import GAMMA

Grid = Float[np.ndarray, "..."]


def layer_slopes(gamma: Grid | float, gamma_2: Grid | float, hidden: int) -> OfLayers[Grid]:
    r"""Exponents of the relative change of the weights in the width, layer by layer.

    Args:
        gamma: $\gamma$.
        gamma_2: $\gamma_2$, of a shape that goes with that of `gamma`.
        hidden: $H$, the number of hidden layers.
    """
    x, y = np.broadcast_arrays(np.asarray(gamma, float), np.asarray(gamma_2, float))
    table = _lowered(hidden)
    side = (y < 0).astype(np.intp)
    regime = 3 * side
    for constant, slope in table.edges:
        regime += x > constant[side] + slope[side] * y
    found = (a[regime] + b[regime] * x + c[regime] * y for a, b, c in table.slopes)
    return OfLayers(*found)


def boundary(gamma_2: Grid | float, hidden: int) -> Grid:
    r"""$\gamma$ at which the input weights begin to condense."""
    y = np.asarray(gamma_2, float)
    constant, slope = _lowered(hidden).boundary
    side = (y < 0).astype(np.intp)
    return constant[side] + slope[side] * y


class _Table(NamedTuple):
    """Coefficients of the formulas of all regimes; the sides are those of gamma_2 >= 0 and < 0."""

    slopes: Float[np.ndarray, "layer coefficient regime"]
    edges: Float[np.ndarray, "edge coefficient side"]
    boundary: Float[np.ndarray, "coefficient side"]


@cache
def _lowered(hidden: int) -> _Table:
    regimes = depth_regimes(hidden)
    slopes = [[_affine(one.expression) for one in regime.slopes] for regime in regimes]
    edges = [[_affine(regime.end) for regime in regimes[k::3]] for k in range(2)]
    boundary = [_affine(expression) for expression, _ in condensation_edge(hidden).args]
    return _Table(
        np.array(slopes).transpose(1, 2, 0).copy(),
        np.array(edges).transpose(0, 2, 1)[:, [0, 2]].copy(),
        np.array(boundary).T[[0, 2]].copy(),
    )


def _affine(expression: Expr) -> list[float]:
    """Its coefficients of 1, gamma and gamma_2."""
    poly = Poly(expression, GAMMA, GAMMA_2)
    return [float(poly.coeff_monomial(one)) for one in (1, GAMMA, GAMMA_2)]
