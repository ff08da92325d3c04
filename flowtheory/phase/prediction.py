r"""What theory says of slopes at the widths that were measured, and what it is held against.

- Multiplicity 1, homogeneous: the solvable diagram with its one constant fitted.
- Multiplicity 1, smooth: the closure $\Psi$ on the data, without a free constant, where a linear
  function fits the labels to the loss at which runs end; beyond it higher degrees take part.
- Multiplicity 2 and more: the exponents of leaders (`symbolic.phase.leader_slopes`), where
  $\gamma - \gamma' \ge 2$: nearer to 1 the number of neurons that carry the fit falls slowly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from flowtheory.lower import numeric
from flowtheory.phase.asymptotic import asymptotic_slopes
from flowtheory.phase.data import Samples
from flowtheory.phase.psi import linear_floor, psi_changes
from flowtheory.phase.slopes import Grid, Slopes, Widths, rms, width_slopes
from flowtheory.phase.solvable import fit_zeta
from flowtheory.symbolic.activation import find_activation
from flowtheory.symbolic.phase import GAMMA, GAMMA_PRIME
from flowtheory.symbolic.theorems import luo_upper

SLOPES = 0.04
"""Tolerance of the rms of slopes at the same widths."""

LEADERS = 0.08
"""Tolerance for leaders, whose number is of order 1 in the limit only; half of 1/6, by which the
exponents of a shared fit of multiplicity 2 differ."""

_FAR = 2.0  # gamma - gamma' from which leaders are few at the widths that one can afford


class Prediction(NamedTuple):
    r"""Slopes at the widths of a diagram, and another theory beside them.

    Attributes:
        name: what they are, in two or three words.
        claim: what is claimed, a sentence.
        slopes: the prediction.
        where: the points of which it is claimed.
        tolerance: of the rms of $S_w$.
        zeta: the constant that was fitted; NaN if none was.
        alternative: the other theory, in words.
        other: its $S_w$.
    """

    name: str
    claim: str
    slopes: Slopes
    where: Bool[np.ndarray, "gamma_prime gamma"]
    tolerance: float
    zeta: float
    alternative: str
    other: Grid

    def left(self, measured: Grid) -> float:
        """Root mean square of what is left of measured $S_w$; NaN where nothing is claimed."""
        return rms((measured - self.slopes.hidden)[self.where])

    def left_of_other(self, measured: Grid) -> float:
        """The same for the other theory."""
        return rms((measured - self.other)[self.where])


def predict(
    measured: Grid,
    gamma: np.ndarray,
    gamma_prime: np.ndarray,
    widths: Widths,
    data: Samples,
    about: Mapping[str, Any],
) -> Prediction:
    r"""The prediction for an activation and data.

    Args:
        measured: $S_w$, NaN where it is not known.
        gamma: the columns.
        gamma_prime: the rows.
        widths: $m$.
        data: on which networks are trained.
        about: `activation`, and `loss` at which runs end.

    Raises:
        DataError: all of `measured` is NaN.
    """
    activation = str(about.get("activation", "relu"))
    local, grid = find_activation(activation).local, (gamma, gamma_prime)
    if local.multiplicity > 1:
        return _leaders(grid, activation)
    alternative = {
        "alternative": "the published upper bounds as equalities",
        "other": _published_slopes(*grid, activation),
    }
    everywhere = np.ones(measured.shape, dtype=bool)
    if not local.analytic:
        fitted = fit_zeta(measured, *grid, widths, data.x.shape[1])
        return Prediction(
            "solvable diagram",
            "S_w is that of the solvable diagram at the same widths, one constant fitted",
            fitted.slopes,
            everywhere,
            SLOPES,
            fitted.zeta,
            **alternative,
        )
    return _closure(grid, widths, data, float(about.get("loss", 1e-3)), activation, alternative)


def _closure(
    grid: tuple[np.ndarray, np.ndarray],
    widths: Widths,
    data: Samples,
    loss: float,
    activation: str,
    alternative: dict[str, Any],
) -> Prediction:
    floor, constant = linear_floor(*data), find_activation(activation).local.constant
    why = f"the best linear function leaves {floor:.2g} of the loss" if floor >= loss else ""
    why = why if constant == 0 else "the activation is not 0 at 0"
    if why:
        slopes, name = asymptotic_slopes(*grid, activation), "asymptotic"
        claim = f"no prediction at these widths: {why}"
    else:
        slopes = width_slopes(psi_changes(*grid, widths, *data, loss=loss), widths)
        name, claim = "closure", "S_w is that of the closure Psi at the same widths"
    where = np.full(slopes.hidden.shape, not why)
    return Prediction(name, claim, slopes, where, SLOPES, math.nan, **alternative)


def _leaders(grid: tuple[np.ndarray, np.ndarray], activation: str) -> Prediction:
    gamma, gamma_prime = np.meshgrid(*grid)
    return Prediction(
        "leaders",
        "few neurons carry the fit where gamma - gamma' >= 2",
        asymptotic_slopes(*grid, activation),
        (gamma > 1) & (gamma - gamma_prime >= _FAR - 1e-9),
        LEADERS,
        math.nan,
        "all neurons carry it",
        asymptotic_slopes(*grid, activation, shared=True).hidden,
    )


def _published_slopes(gamma: np.ndarray, gamma_prime: np.ndarray, activation: str) -> Grid:
    """Slopes of the published upper bounds on the lazy side; of the table elsewhere."""
    found = asymptotic_slopes(gamma, gamma_prime, activation).hidden.copy()
    place, open_ = np.meshgrid(gamma, gamma_prime), np.ones(found.shape, dtype=bool)
    for value, inside in _published():
        here = open_ & (inside(*place) > 0)
        found[here] = value(*place)[here]
        open_ &= ~here
    return found


@cache
def _published() -> tuple[tuple[Callable[..., Any], Callable[..., Any]], ...]:
    """Slopes and regions of the bounds on the input weights, as functions of the coordinates."""
    slopes = [b.slope for b in luo_upper() if b.quantity == "input weights" and b.slope]
    coordinates = (GAMMA, GAMMA_PRIME)
    return tuple(
        (numeric(one.expression, coordinates), numeric(one.inside, coordinates)) for one in slopes
    )
