r"""One step of the Dormand-Prince pair of orders 8(5, 3), for many lanes at once.

The coefficients are those of Hairer, Nørsett and Wanner, *Solving Ordinary Differential Equations
I*, section II.10, as tabulated by SciPy. Stages are written out, not looped over: each sum then is
one pass over its stages alone, zero coefficients left out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Lanes = Float[Array, "lanes N"]
PerLane = Float[Array, " lanes"]

ORDER = 8
STAGES = 12
"""Field evaluations of a step; the first of them is the last of the step before."""


class Tableau(NamedTuple):
    """Stage coefficients `A` [12, 12], weights `b` [12], and weights of the two error estimates."""

    A: Float[np.ndarray, "12 12"]
    b: Float[np.ndarray, " 12"]
    fifth: Float[np.ndarray, " 12"]
    third: Float[np.ndarray, " 12"]


class Step(NamedTuple):
    """End of a step, and its error estimates of order 5 and 3 (both already times h)."""

    y: Lanes
    fifth: Lanes
    third: Lanes


@cache
def tableau() -> Tableau:
    """The coefficients; the field is autonomous here, so the nodes are not needed."""
    from scipy.integrate import DOP853

    # The last error weight belongs to the field at the end of the step, and is zero.
    return Tableau(DOP853.A, DOP853.B, DOP853.E5[:STAGES], DOP853.E3[:STAGES])


def step(field: Callable[[Lanes], Lanes], y: Lanes, first: Lanes, h: PerLane) -> Step:
    """The step of length `h` from `y`, where the field is `first`."""
    pair = tableau()
    k = [first]
    for row in pair.A[1:]:
        k.append(field(y + h[:, None] * _weighted(row, k)))
    fifth, third = (h[:, None] * _weighted(row, k) for row in (pair.fifth, pair.third))
    return Step(y + h[:, None] * _weighted(pair.b, k), fifth, third)


def error_norm(
    fifth: Float[Array, "lanes groups"], third: Float[Array, "lanes groups"]
) -> Float[Array, "lanes groups"]:
    r"""$|e_5|^2 / \sqrt{|e_5|^2 + 0.01 |e_3|^2}$, of order 8, from the norms over tolerance."""
    below = jnp.sqrt(fifth**2 + 0.01 * third**2)
    return jnp.where(below == 0, 0.0, fifth**2 / jnp.where(below == 0, 1.0, below))


def _weighted(row: Float[np.ndarray, " 12"], k: list[Lanes]) -> Lanes:
    terms = [float(a) * stage for a, stage in zip(row, k, strict=False) if a != 0]
    return sum(terms[1:], terms[0])
