r"""Directions of single neurons at their own blow-up, without feedback.

The leading flow of one neuron of multiplicity $p$ is the gradient flow of $F = aH(w)$, of degree
$p + 1$. Its direction $\xi = (w, a)/|(w, a)|$ obeys, in a time that is infinite at the blow-up,
$\xi' = \nabla F(\xi) - (p+1)F(\xi)\,\xi$ (see `flowtheory.flow.coordinates`): at the blow-up it has
come to rest, at a critical point with $F > 0$.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from flowtheory.flow.coordinates import inner
from flowtheory.flow.ensemble import solve_many
from flowtheory.lower.leading import LoweredFlow, vector_field
from flowtheory.outcome import Outcome
from flowtheory.symbolic import effective_flow, fully_connected

ALIGNED = 1e-5
"""Of the force: its part across the direction at which a neuron counts as at rest."""

_LONGEST = 3000.0  # in units of the largest rate that the data allow
_A = 0.3


class AtBlowUp(NamedTuple):
    """The neurons that blow up.

    Attributes:
        directions: $w/|w|$, one a row.
        signs: of the output weights.
        remaining: neurons that do not blow up: they shrink where $aH < 0$, and $a$ comes to rest.
    """

    directions: Float[np.ndarray, "k D"]
    signs: Float[np.ndarray, " k"]
    remaining: int


class _Direction(NamedTuple):
    """A compiled flow of directions: JAX functions of (xi, data), and what prepares the data."""

    rate: Any
    level: Any
    flow: LoweredFlow


@cache
def _direction(order: int) -> _Direction:
    """The flow of the direction, and ln of the part of the force across it over `ALIGNED`."""
    flow = vector_field(effective_flow(fully_connected(2, f"z**{order}"), "half_mse"))

    def split(xi: Any, given: Any) -> tuple[Any, Any]:
        length = jnp.sqrt(inner(xi, xi))
        xi = jax.tree.map(lambda a: a / length, xi)
        force = flow(xi, given)
        along = inner(xi, force)
        return force, jax.tree.map(lambda g, a: g - along * a, force, xi)

    def rate(xi: Any, given: Any) -> Any:
        return split(xi, given)[1]

    def level(xi: Any, given: Any) -> Any:
        force, across = split(xi, given)
        return jnp.log(inner(across, across) / inner(force, force)) / 2 - np.log(ALIGNED)

    return _Direction(rate, level, flow)


def at_blow_up(
    order: int,
    x: Float[np.ndarray, "n D"],
    y: Float[np.ndarray, " n"],
    neurons: int,
    rng: np.random.Generator,
) -> AtBlowUp:
    r"""Follow neurons from random starts, $w$ normal and $a$ 0.3 times normal.

    With a small $|a|$ the conserved $|w|^2 - pa^2$ is positive for most, so that a neuron with
    $aH(w) < 0$ shrinks, $a$ passes zero, and it blows up with the other sign.

    Args:
        order: $p$.
        x: inputs.
        y: labels.
        neurons: how many.
        rng: of the starts.
    """
    direction = _direction(order)
    W = rng.standard_normal((neurons, 1, x.shape[1]))
    v = _A * rng.standard_normal((neurons, 1))
    length = np.sqrt(np.sum(W**2, axis=(1, 2)) + np.sum(v**2, axis=1))
    start = {"W": W / length[:, None, None], "v": v / length[:, None]}
    size = float(np.mean(np.abs(y) * np.linalg.norm(x, axis=1) ** order))
    found = solve_many(
        direction.rate, direction.level, start, _LONGEST / size,
        direction.flow.prepare(x=x, y=y), shared=True, rtol=1e-9,
    )  # fmt: skip
    rests = np.array([outcome is Outcome.EVENT for outcome in found.outcomes])
    W = found.params["W"][rests, 0]
    unit = W / np.linalg.norm(W, axis=1, keepdims=True)
    signs = np.sign(found.params["v"][rests, 0])
    return AtBlowUp(unit, signs, int(np.sum(~rests)))
