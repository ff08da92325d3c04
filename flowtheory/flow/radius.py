r"""The spectral radius $\rho$ of the Jacobian, by a power iteration on Jacobian-vector products.

It starts from a random vector, then from the last eigenvector with a random part added: the field
itself is no good start, since late in a run it has no component along the stiff directions (an
estimate 300 times too small was seen).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

Vector = Float[Array, " N"]

MARGIN = 1.2
r"""What the last $|Jv|$ is multiplied by: the iteration approaches $\rho$ from below."""

_CHANGE, _PRODUCTS, _MIXED = 0.01, 60, 0.1
_REUSE = 25  # accepted steps


class Radius(NamedTuple):
    """An estimate, kept from step to step.

    Attributes:
        value: of the spectral radius, margin included.
        vector: the eigenvector, of unit length; zero before the first estimate.
        age: accepted steps since it was made.
        seed: estimates so far; the seed of the random part.
    """

    value: Float[Array, ""]
    vector: Vector
    age: Int[Array, ""]
    seed: Int[Array, ""]


def unknown(size: int) -> Radius:
    """Before the first estimate, for a state of `size` entries."""
    return Radius(np.float64(0), np.zeros(size), np.int64(_REUSE), np.int64(0))  # type: ignore[arg-type]


def refreshed(
    field: Callable[[Vector], Vector], y: Vector, old: Radius
) -> tuple[Radius, Int[Array, ""]]:
    """The estimate at `y`, and the number of products it took."""
    random = jax.random.normal(jax.random.key(old.seed), y.shape, y.dtype)
    guess = old.vector + _MIXED * random / jnp.linalg.norm(random)
    value, vector, products = spectral_radius(field, y, guess)
    return Radius(MARGIN * value, vector, jnp.zeros_like(old.age), old.seed + 1), products


def due(old: Radius) -> Bool[Array, ""]:
    """Whether it is time for a new estimate."""
    return old.age >= _REUSE


def doubted(old: Radius) -> Radius:
    """After a rejected step: the Jacobian may have grown; look again, unless that was just done."""
    return old._replace(age=jnp.where(old.age > 0, _REUSE, 0))


def spectral_radius(
    field: Callable[[Vector], Vector], y: Vector, guess: Vector
) -> tuple[Float[Array, ""], Vector, Int[Array, ""]]:
    r"""Power iteration on the Jacobian of `field` at `y`, to a change of 1 %.

    Returns:
        $|Jv|$ of the last unit vector $v$ (at most $\rho$ for a symmetric $J$; take a margin), that
        vector, and the number of products.
    """
    product = jax.linearize(field, y)[1]

    def go_on(carry: tuple) -> Bool[Array, ""]:
        rho, old, _, count = carry
        return (count < _PRODUCTS) & (jnp.abs(rho - old) > _CHANGE * rho)

    def body(carry: tuple) -> tuple:
        rho, _, v, count = carry
        image = product(v)
        norm = jnp.linalg.norm(image)
        return norm, rho, jnp.where(norm > 0, image / jnp.where(norm > 0, norm, 1.0), v), count + 1

    v = guess / jnp.linalg.norm(guess)
    start = (jnp.inf * jnp.ones_like(y[0]), jnp.zeros_like(y[0]), v, jnp.zeros((), jnp.int64))
    first = body(start)
    rho, _, v, count = lax.while_loop(go_on, body, (first[0], jnp.zeros_like(y[0]), *first[2:]))
    return rho, v, count
