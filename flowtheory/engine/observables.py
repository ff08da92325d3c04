r"""Observables by name, as a run of a network saves them.

Each is a JAX function of the parameters and the data; what is asked for is computed when a row is
saved, so that no trajectory of states is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from flowtheory.errors import unknown_name
from flowtheory.flow.smooth import Functions, Observe
from flowtheory.flow.until import norm

Rows = Mapping[str, Array]
Maker = Callable[[Functions, Any, Any], Rows]


def _parameters(functions: Functions, params: Any, data: Any) -> Rows:
    """The parameters themselves, under their names."""
    return {name: jnp.asarray(value) for name, value in params.items()}


def _outputs(functions: Functions, params: Any, data: Any) -> Rows:
    """The outputs f on the data."""
    return {"outputs": functions.outputs(params, data)}


def _norms(functions: Functions, params: Any, data: Any) -> Rows:
    r"""The Frobenius norm $|W|_F$ of every tensor, under `norm_` and its name."""
    return {f"norm_{name}": norm(value) for name, value in params.items()}


def _alignment(functions: Functions, params: Any, data: Any) -> Rows:
    r"""The root mean square cosine between the rows $w_j$ of the first weight matrix.

    $$\Big(\frac1{h^2}\sum_{j,k}\cos^2(w_j, w_k)\Big)^{1/2}$$

    is 1 if all of them lie on one line, about $D^{-1/2}$ for random ones in dimension $D$.
    """
    rows = unit_rows(first_matrix(params))
    gram = rows.T @ rows
    return {"alignment": jnp.sqrt(jnp.sum(gram**2)) / rows.shape[0]}


def _spectra(functions: Functions, params: Any, data: Any) -> Rows:
    """The singular values of every matrix, in falling order, under `spectrum_` and its name."""
    matrices = {name: value for name, value in params.items() if value.ndim == 2}
    return {
        f"spectrum_{name}": jnp.linalg.svd(value, compute_uv=False)
        for name, value in matrices.items()
    }


OBSERVABLES: Mapping[str, Maker] = {
    "parameters": _parameters,
    "outputs": _outputs,
    "norms": _norms,
    "alignment": _alignment,
    "spectra": _spectra,
}
"""Name -> what a run saves under it."""

DEFAULT = ("norms", "alignment")


@lru_cache(maxsize=256)
def observe(
    functions: Functions, names: tuple[str, ...], own: Callable[..., Rows] | None = None
) -> Observe:
    """One function for several names, and one of the user's own (params, data) -> dict."""
    for name in names:
        if name not in OBSERVABLES:
            raise unknown_name("observable", name, OBSERVABLES)

    def rows(params: Any, data: Any) -> dict[str, Array]:
        found: dict[str, Array] = dict(own(params, data)) if own else {}
        for name in names:
            found.update(OBSERVABLES[name](functions, params, data))
        return found

    return rows


def first_matrix(params: Any) -> Float[Array, "h D"]:
    """The first tensor with two axes or more, its further axes joined; else the first as rows."""
    for value in params.values():
        if value.ndim > 1:
            return value.reshape(value.shape[0], -1)
    return next(iter(params.values())).reshape(-1, 1)


def unit_rows(matrix: Float[Array, "h D"]) -> Float[Array, "h D"]:
    """Every row over its norm, without underflow of the squares; a zero row stays zero."""
    largest = lax.stop_gradient(jnp.max(jnp.abs(matrix), axis=1, keepdims=True))
    scaled = matrix / jnp.where(largest > 0, largest, 1.0)
    length = jnp.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / jnp.where(length > 0, length, 1.0)


def split(wanted: str | Iterable[str] | Callable[..., Rows]) -> tuple[tuple[str, ...], Any]:
    """What a user asks for, as names and a function of their own."""
    if callable(wanted):
        return (), wanted
    return ((wanted,) if isinstance(wanted, str) else tuple(wanted)), None
