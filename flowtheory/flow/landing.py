r"""Where a level is zero between the two ends of a Runge-Kutta step, from its values and slopes.

The step that ends at the event is found by iterating its length: each attempt gives the level and
its slope at a new end, and the cubic through both ends the next length. When the length changes by
a part of at most $\sqrt{rtol}/10$, the rest is done along the tangent, with a relative error of
about rtol/200; neither time nor state carries the error of an interpolation.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

_LANDINGS, _NEWTON = 60, 8
_NUDGE = 0.1

PerLane = Float[Array, " lanes"]


class Edge(NamedTuple):
    """Level at one end of a step, and its derivative along the flow."""

    value: PerLane
    slope: PerLane


class Bracket(NamedTuple):
    """Step lengths with the event between them."""

    low: PerLane
    high: PerLane


def hermite(
    theta: float | Array, h: PerLane, y0: Array, f0: Array, y1: Array, f1: Array
) -> Float[Array, "lanes N"]:
    """The cubic through values and rates at both ends of a step, at the part `theta` of it."""
    h = h.reshape(h.shape + (1,) * (y0.ndim - 1))
    a, b = h * f0 - (y1 - y0), (y1 - y0) - h * f1
    return (1 - theta) * y0 + theta * y1 + theta * (1 - theta) * ((1 - theta) * a + theta * b)


def aim(
    t: PerLane,
    h: PerLane,
    near: Edge,
    far: Edge,
    bracket: Bracket,
    landings: Int[Array, " lanes"],
    rtol: Float[Array, ""],
) -> tuple[PerLane, Bool[Array, " lanes"], Bracket]:
    """The next length, whether what is left may be done along the tangent, and the new bracket.

    Args:
        t: time at the start of the step.
        h: length of the step just attempted.
        near: level at its start, positive.
        far: level at its end; not positive at the first attempt (`landings` 0).
        bracket: where the event lies, from earlier attempts.
        landings: number of earlier attempts.
        rtol: relative tolerance of the run.
    """
    below, first = far.value <= 0, landings == 0
    low = jnp.where(first, 0.0, bracket.low)
    bracket = Bracket(jnp.where(below, low, h), jnp.where(below, h, bracket.high))
    chord = near.value / (near.value - jnp.where(below, far.value, 0.0))
    x = h * _cubic_root(jnp.where(first, chord, 1.0), h, near, far)
    inside = (x >= bracket.low) & (x <= bracket.high)
    x = jnp.where(inside, x, (bracket.low + bracket.high) / 2)
    close = inside & (jnp.abs(x - h) <= _NUDGE * jnp.sqrt(rtol) * h)
    width = bracket.high - bracket.low
    narrow = width <= 2 * jnp.finfo(h.dtype).eps * (jnp.abs(t) + bracket.high)
    return x, close | narrow | (landings >= _LANDINGS), bracket


def _cubic_root(start: PerLane, h: PerLane, near: Edge, far: Edge) -> PerLane:
    """Newton's method on the cubic in theta = length / h; not finite if it fails."""
    rise = far.value - near.value
    a, b = h * near.slope - rise, rise - h * far.slope
    theta = start
    for _ in range(_NEWTON):
        left = 1 - theta
        value = left * near.value + theta * far.value + theta * left * (left * a + theta * b)
        slope = rise + left * (left - 2 * theta) * a + theta * (2 * left - theta) * b
        theta = theta - value / slope
    return theta
