"""Passages through zero between two points at which values and slopes are known."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

ROOT = 2e-15
"""A value that is called zero."""

FLOOR = 4 * ROOT
"""Below the kink by more than any landed neuron is left there by roundoff."""

_TOLD, _RELATIVE = 4.0, 1e-12


def floors(
    values: Float[Array, "c+1 k"],
    slopes: Float[Array, "c+1 k"],
    width: float | Float[Array, "c 1"],
) -> Float[Array, "c k"]:
    """How far below zero a value of a cell has passed it.

    A change that its slopes explain is none of rounding, however small the value is: the sign of a
    weight of 1e-20 passes where it does. What they do not explain has to exceed `FLOOR`.
    """
    expected = width * jnp.maximum(jnp.abs(slopes[:-1]), jnp.abs(slopes[1:]))
    told = jnp.abs(jnp.diff(values, axis=0)) <= _TOLD * expected
    small = jnp.maximum(_RELATIVE * expected, jnp.finfo(jnp.float64).tiny)
    return jnp.where(told, jnp.minimum(small, FLOOR), FLOOR)


def dips(
    values: Float[Array, "c+1 k"],
    slopes: Float[Array, "c+1 k"],
    width: float | Float[Array, "c 1"],
) -> tuple[Float[Array, "c k"], Float[Array, "c k"]]:
    """Place in (0, 1) and depth of the minimum inside each cell of the cubic through its ends.

    1 where the cubic has none: there the ends say all.
    """
    f, g, df, dg = values[:-1], values[1:], width * slopes[:-1], width * slopes[1:]
    a, b = 2 * (f - g) + df + dg, 3 * (g - f) - 2 * df - dg
    # The root of 3 a x^2 + 2 b x + df at which the second derivative is positive.
    root = jnp.sqrt(jnp.maximum(b * b - 3 * a * df, 0.0))
    below = b + root
    x = jnp.where(below > 0, -df / jnp.where(below > 0, below, 1.0), 0.0)
    inside = (df < 0) & (dg > 0) & (x > 0) & (x < 1)
    depth = f + x * (df + x * (b + x * a))
    return x, jnp.where(inside, depth, 1.0)
