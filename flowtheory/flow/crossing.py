"""Where a function dips between two points at which its value and slope are known."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float


def dips(
    values: Float[Array, "c+1 k"], slopes: Float[Array, "c+1 k"]
) -> tuple[Float[Array, "c k"], Float[Array, "c k"]]:
    """Place in (0, 1) and depth of the minimum inside each cell of the cubic through its ends.

    1 where the cubic has none: there the ends say all.
    """
    f, g, df, dg = values[:-1], values[1:], slopes[:-1], slopes[1:]
    a, b = 2 * (f - g) + df + dg, 3 * (g - f) - 2 * df - dg
    # The root of 3 a x^2 + 2 b x + df at which the second derivative is positive.
    root = jnp.sqrt(jnp.maximum(b * b - 3 * a * df, 0.0))
    below = b + root
    x = jnp.where(below > 0, -df / jnp.where(below > 0, below, 1.0), 0.0)
    inside = (df < 0) & (dg > 0) & (x > 0) & (x < 1)
    depth = f + x * (df + x * (b + x * a))
    return x, jnp.where(inside, depth, 1.0)
