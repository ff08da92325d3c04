r"""Observables that a run can save: JAX functions (params, x, y) -> dict of arrays.

A user's own observable has the same signature. It is compiled once per shape, so it should be a
module-level function: a new lambda is a new compilation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from flowtheory.flow.field import TwoLayer

Observe = Callable[..., Mapping[str, Array]]


def weights(params: TwoLayer, x: Float[Array, "n D"], y: Float[Array, " n"]) -> dict[str, Array]:
    """The parameters themselves: `W` of shape (h, D) and `v` of shape (h,)."""
    return {"W": params.W, "v": params.v}


def spectrum(params: TwoLayer, x: Float[Array, "n D"], y: Float[Array, " n"]) -> dict[str, Array]:
    r"""Spectral norm and stable rank of $W$.

    `spectral_norm_squared` is $|W|_2^2$, `stable_rank` is $|W|_F^2/|W|_2^2$. Both from the
    eigenvalues of $W W^T$ ($h \times h$): only the largest is used, so nothing is lost by squaring.
    """
    gram = params.W @ params.W.T
    largest = jnp.linalg.eigvalsh(gram)[-1]
    return {"spectral_norm_squared": largest, "stable_rank": jnp.trace(gram) / largest}


def weights_and_spectrum(
    params: TwoLayer, x: Float[Array, "n D"], y: Float[Array, " n"]
) -> dict[str, Array]:
    """`weights` and `spectrum` together."""
    return {**weights(params, x, y), **spectrum(params, x, y)}
