"""The compiled side of a run through kinks: the flow within a cell, and where it ends."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from flowtheory.flow.field import (
    Model,
    Outputs,
    Samples,
    TwoLayer,
    energy,
    frozen,
    neuron_norms,
    rate_bound,
)
from flowtheory.flow.problem import GradientFlow
from flowtheory.flow.sliding import Cell, kink_levels, rate, rounding, unit_field
from flowtheory.flow.surfaces import Surfaces, View
from flowtheory.flow.system import System
from flowtheory.flow.until import Snapshot
from flowtheory.precision import float64

Keys = tuple[tuple[Any, bool], ...]
"""(value, falling) of every event, those looked at inside a step first."""


class Piece(NamedTuple):
    """What the flow takes between two switches.

    Attributes:
        data: samples.
        cell: frozen pattern and sliding sets.
        escape: largest |f| of the early phase.
        armed: whether that is looked for.
        levels: one number an event.
        signs: the sign with which its value is positive before it; 0 to ignore.
    """

    data: Samples
    cell: Cell
    escape: Float[Array, ""]
    armed: Bool[Array, ""]
    levels: Float[Array, " e"]
    signs: Float[Array, " e"]


def _snapshot(model: Model, data: Samples, outputs: Outputs, params: TwoLayer) -> Snapshot:
    """What an event may look at: on a kink the side that the cell has."""
    by_name, arrays = {"W": params.W, "v": params.v}, {"x": data.x, "y": data.y}
    return Snapshot(by_name, outputs(params), energy(model, data, outputs, params), arrays)


@lru_cache(maxsize=256)
def cell_system(model: Model, keys: Keys) -> System:
    """The flow within a cell; levels: those of the kinks, escape, events."""
    inside = sum(not falling for _, falling in keys)

    def field(params: TwoLayer, piece: Piece) -> TwoLayer:
        return rate(model, piece.data, piece.cell, params)

    def values(params: TwoLayer, piece: Piece, first: int, last: int) -> Array:
        outputs = frozen(model, piece.data, piece.cell.pattern)
        at = _snapshot(model, piece.data, outputs, params)
        found = [keys[i][0](at, piece.levels[i]) for i in range(first, last)]
        signs = piece.signs[first:last]
        return jnp.where(signs == 0, 1.0, signs * jnp.stack(found))

    def levels(params: TwoLayer, piece: Piece) -> Float[Array, " levels"]:
        outputs = frozen(model, piece.data, piece.cell.pattern)
        escape = 1 - jnp.max(jnp.abs(outputs(params))) / piece.escape
        kinks = kink_levels(model, piece.data, piece.cell, params)
        found = jnp.append(kinks, jnp.where(piece.armed, escape, 1.0))
        return jnp.append(found, values(params, piece, 0, inside)) if inside else found

    def falling(params: TwoLayer, piece: Piece) -> Array:
        return values(params, piece, inside, len(keys))

    once = falling if inside < len(keys) else None
    return System(field, neuron_norms, levels, once, tiny=inside)


@partial(jax.jit, static_argnames=("model", "keys"))
def start_values(
    model: Model,
    keys: Keys,
    data: Samples,
    pattern: Float[Array, "h n"],
    params: TwoLayer,
    levels: Float[Array, " e"],
) -> tuple[Array, Array, Array, Array]:
    """Largest output, loss, rate bound and the values of the events at the start of a run."""
    outputs = frozen(model, data, pattern)
    at = _snapshot(model, data, outputs, params)
    found = [value(at, levels[i]) for i, (value, _) in enumerate(keys)]
    values = jnp.stack(found) if found else jnp.zeros(0)
    return jnp.max(jnp.abs(at.outputs)), at.loss, rate_bound(model, data, params), values


@partial(jax.jit, static_argnames=("model",))
def _unit_field(
    model: Model,
    data: Samples,
    pattern: Float[Array, "h n"],
    slope: Float[Array, "h n"],
    params: TwoLayer,
    j: Array,
) -> tuple[Array, Array, Array]:
    c, g = unit_field(model, data, pattern, params)
    return c[j], g, rounding(model, data, params, slope)[j]


def view_of(flow: GradientFlow, surfaces: Surfaces, params: TwoLayer, j: int) -> View:
    """What the decision about neuron j needs to know."""
    pattern = surfaces.pattern.astype(np.float64)
    sides = pattern, surfaces.left + surfaces.jump * pattern
    with float64():
        found = _unit_field(flow.model, flow.samples, *sides, params, np.int64(j))
        c, g, noise = map(np.asarray, found)
    return View(np.asarray(params.W)[j], -1.0 if params.v[j] < 0 else 1.0, c, g, noise)
