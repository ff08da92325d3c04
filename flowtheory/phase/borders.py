r"""Where the theory of a diagram changes: the boundary $S_w = 0$, and the edges of regimes."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.ndimage import maximum_filter, minimum_filter
from sympy import Poly, expand

from flowtheory.lower import numeric
from flowtheory.phase.asymptotic import (
    asymptotic_slopes,
    margin,
    plane,
    regime_indices,
    regimes,
)
from flowtheory.phase.slopes import Grid
from flowtheory.plot.phase import Lines
from flowtheory.symbolic.phase import GAMMA, GAMMA_PRIME

_FINE = 241  # points of an axis of `borders`
_ROUNDING = 1e-12
_FLAT = 5.0  # steps of the grid within which |S_w| stays on a boundary that it passes through
_STEP = 1e-9  # beyond a zero


def boundary(
    gamma_prime: Float[np.ndarray, " gamma_prime"], activation: str = "relu"
) -> Float[np.ndarray, " gamma_prime"]:
    r"""$\gamma$ at which the theory's $S_w$ becomes positive, one a row; NaN for none.

    $S_w$ is linear in each regime: its zero is solved for, and kept where the regime contains it
    and the slope is positive beyond.
    """
    rows = np.asarray(gamma_prime, dtype=float)
    found = np.full(rows.shape, np.nan)
    for regime in regimes(activation):
        slope = Poly(regime.hidden.expression, GAMMA)
        if slope.degree() < 1:
            continue
        factor, rest = slope.all_coeffs()
        zeros = np.broadcast_to(numeric(-rest / factor, (GAMMA_PRIME,))(rows), rows.shape)
        closed = np.ones(rows.shape, dtype=bool)
        for condition in regime.domain:
            closed &= margin(condition)(zeros, rows) >= -_ROUNDING
        rising = np.array([_positive_after(*p, activation) for p in zip(zeros, rows, strict=True)])
        found = np.fmin(found, np.where(closed & rising, zeros, np.nan))
    return found


def _positive_after(gamma: float, gamma_prime: float, activation: str) -> bool:
    point = np.array([gamma + _STEP]), np.array([gamma_prime])
    return bool(asymptotic_slopes(*point, activation).hidden[0, 0] > 0)


def borders(
    gamma: tuple[float, float], gamma_prime: tuple[float, float], activation: str = "relu"
) -> Lines:
    """The lines of the theory within a rectangle.

    Args:
        gamma: its ends.
        gamma_prime: its ends.
        activation: of the network.
    """
    across, along = np.linspace(*gamma, _FINE), np.linspace(*gamma_prime, _FINE)
    slope = asymptotic_slopes(across, along, activation).hidden
    step = (across[-1] - across[0]) / (_FINE - 1)
    # Regimes that others hide have no edges; one that is the boundary is not told twice.
    kind = regime_indices(across, along, activation)
    change = maximum_filter(kind, 3) != minimum_filter(kind, 3)
    shown = change & (maximum_filter(np.abs(slope), 3) > _FLAT * step)
    fields = _edge_fields(plane(across, along), activation)
    edges = tuple(np.where(shown, field, np.nan) for field in fields)
    return Lines(across, along, slope, tuple(e for e in edges if np.isfinite(e).any()))


def _edge_fields(place: tuple[Any, Any], activation: str) -> list[Grid]:
    """One field a line; regimes on both sides of it share it."""
    found: dict[Any, Grid] = {}
    for regime in regimes(activation):
        margins = [np.broadcast_to(margin(c)(*place), (_FINE, _FINE)) for c in regime.domain]
        for k, (condition, field) in enumerate(zip(regime.domain, margins, strict=True)):
            inside = np.all([m >= 0 for i, m in enumerate(margins) if i != k], axis=0)
            line = expand(condition.gts - condition.lts)
            sign = 1 if (line.coeff(GAMMA_PRIME) or line.coeff(GAMMA)) > 0 else -1
            known = found.get(sign * line, np.full(inside.shape, np.nan))
            found[sign * line] = np.where(inside, sign * field, known)
    return list(found.values())
