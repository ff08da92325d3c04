r"""The solvable diagram at the widths that were measured, with its one constant fitted.

For whitened data RD has one constant, $\zeta = |z|$ (`flowtheory.symbolic.solvable`). For ReLU the
same formula with an effective $\zeta$, the hardness of the data, describes finite widths.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize_scalar

from flowtheory.lower import numeric
from flowtheory.phase.psi import linear_closure
from flowtheory.phase.slopes import Changes, Slopes, Widths, rms, width_slopes
from flowtheory.phase.table import require_known
from flowtheory.symbolic.network import INPUT_DIMENSION
from flowtheory.symbolic.phase import KAPPA, KAPPA_PRIME, MOMENT, WIDTH
from flowtheory.symbolic.solvable import solvable_diagram

_RANGE = (-3.0, 4.0)  # of log10 zeta, where its fit looks


class Fitted(NamedTuple):
    r"""The solvable diagram with the constant that fits measured slopes best.

    Attributes:
        zeta: the constant.
        slopes: that it predicts at the widths.
        rms: root mean square of what is left of $S_w$.
    """

    zeta: float
    slopes: Slopes
    rms: float


def solvable_changes(
    gamma: Float[np.ndarray, " gamma"],
    gamma_prime: Float[np.ndarray, " gamma_prime"],
    widths: Widths,
    zeta: float,
    dimension: int,
) -> Changes:
    r"""RD of the input and the output weights in the solvable diagram.

    Args:
        gamma: the columns.
        gamma_prime: the rows.
        widths: $m$, real numbers.
        zeta: $|z|$.
        dimension: $D$ of the inputs.
    """
    m = np.asarray(widths, dtype=float)[:, None, None]
    kappa, ratio = m ** -np.asarray(gamma)[None, None, :], m ** -np.asarray(gamma_prime)[:, None]
    arrays = np.broadcast_arrays(m, kappa, ratio, float(zeta), float(dimension))
    return np.stack([formula(*arrays) for formula in _solvable()])


def fit_zeta(
    measured: Float[np.ndarray, "gamma_prime gamma"],
    gamma: Float[np.ndarray, " gamma"],
    gamma_prime: Float[np.ndarray, " gamma_prime"],
    widths: Widths,
    dimension: int,
) -> Fitted:
    r"""The constant $\zeta$ with which the solvable diagram comes nearest to measured slopes.

    Args:
        measured: $S_w$; points that were not reached are NaN, and do not count.
        gamma: the columns.
        gamma_prime: the rows.
        widths: from which `measured` is.
        dimension: of the inputs.

    Raises:
        DataError: all of `measured` is NaN.
    """
    require_known(measured)

    def predicted(log_zeta: float) -> Slopes:
        changes = solvable_changes(gamma, gamma_prime, widths, 10.0**log_zeta, dimension)
        return width_slopes(changes, widths)

    def left(log_zeta: float) -> float:
        return rms(predicted(log_zeta).hidden - measured)

    best = minimize_scalar(left, bounds=_RANGE, method="bounded", options={"xatol": 1e-4})
    return Fitted(10.0**best.x, predicted(best.x), float(best.fun))


@cache
def _solvable() -> tuple[Callable[..., Any], Callable[..., Any]]:
    names = (WIDTH, KAPPA, KAPPA_PRIME, MOMENT, INPUT_DIMENSION)
    diagram = solvable_diagram(linear_closure())
    changes = (diagram.input_change, diagram.output_change)
    first, second = (numeric(change.expression, names) for change in changes)
    return first, second
