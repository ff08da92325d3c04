"""The boundary of finite widths: where RD of the solvable diagram has a given value."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float

from flowtheory.errors import ParameterError
from flowtheory.lower import numeric
from flowtheory.phase.psi import linear_closure
from flowtheory.symbolic.drift import LEVEL, contour
from flowtheory.symbolic.network import INPUT_DIMENSION
from flowtheory.symbolic.phase import KAPPA_PRIME, MOMENT, WIDTH
from flowtheory.symbolic.solvable import solvable_diagram


def boundary_gamma(
    gamma_prime: Float[np.ndarray, " gamma_prime"],
    widths: Float[np.ndarray, " widths"],
    zeta: float,
    dimension: int,
    level: float = 1.0,
) -> Float[np.ndarray, "widths gamma_prime"]:
    r"""$\gamma$ at which RD of the input weights is `level`, at widths that are real numbers.

    For large widths it tends to $\max(1, 1 + \gamma')$, with a difference of order $1/\ln m$.

    Args:
        gamma_prime: the rows of a diagram.
        widths: $m > 1$.
        zeta: $|z|$, or the constant that was fitted to a diagram.
        dimension: $D$ of the inputs.
        level: of RD.

    Raises:
        ParameterError: a width of 1 or less, or a constant that is not positive.
    """
    m = np.asarray(widths, dtype=float)[:, None]
    if not np.all(m > 1):
        raise ParameterError(
            f"the smallest width is {m.min()}",
            expected="widths above 1",
            fix="gamma is an exponent of the width",
        )
    for name, value in (("zeta", zeta), ("dimension", dimension), ("level", level)):
        if not (np.isfinite(value) and value > 0):
            raise ParameterError(f"{name} = {value}", expected="a number > 0", fix=f"{name}=1")
    ratio = m ** -np.asarray(gamma_prime, dtype=float)[None, :]
    return _gamma()(m, ratio, float(zeta), float(dimension), float(level))


@cache
def _gamma() -> Callable[..., Any]:
    found = contour(solvable_diagram(linear_closure())).gamma.expression
    return numeric(found, (WIDTH, KAPPA_PRIME, MOMENT, INPUT_DIMENSION, LEVEL))
