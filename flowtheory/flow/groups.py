"""Groups of parameters that share a tolerance: the step control looks at the worst of them.

The size of a group is its largest modulus, so that no square underflows at small scales.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Axes = tuple[tuple[str, int | None, str], ...]
"""(Name of a tensor, its axis that counts neurons or None, name of that layer)."""


def row_sizes(params: Any) -> Float[Array, " g"]:
    """One group a row of every matrix or tensor; a vector is one group."""
    return jnp.concatenate([_rows(a, 0 if a.ndim > 1 else None) for a in jax.tree.leaves(params)])


@lru_cache(maxsize=64)
def neuron_sizes(axes: Axes) -> Callable[[Any], Float[Array, " g"]]:
    """Sizes per neuron, for parameters by name.

    Args:
        axes: tensors of one layer are joined neuron by neuron.
    """

    def sizes(params: Any) -> Float[Array, " g"]:
        layers: dict[str, Array] = {}
        for name, axis, layer in axes:
            found = _rows(params[name], axis)
            layers[layer] = jnp.maximum(layers[layer], found) if layer in layers else found
        return jnp.concatenate(list(layers.values()))

    return sizes


def _rows(array: Array, axis: int | None) -> Float[Array, " rows"]:
    others = tuple(i for i in range(array.ndim) if i != axis)
    return jnp.atleast_1d(jnp.max(jnp.abs(array), axis=others))
