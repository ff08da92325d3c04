r"""The first plateau of many flows of one network at once, in closed form.

As `flowtheory.engine.plateau` for degree $k = 2$, with a first axis of lanes. The linear flow is
taken from the network's functions, $M = -\nabla^2 L(0)$ by its products, so that nothing is to be
prepared lane by lane; degree and gap are those that the symbolic layer derived.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from flowtheory.engine.plateau import PROBE, SHARE, SMALL, TRIES, WORTH, worst_defect
from flowtheory.flow.flat import flat_elementwise
from flowtheory.flow.propagators import Propagators, propagators
from flowtheory.flow.smooth import Functions, descent
from flowtheory.precision import float64

PerLane = Float[np.ndarray, " lanes"]


class Lanes(NamedTuple):
    """Flows of one network, with shapes in common.

    Attributes:
        functions: network and loss.
        params: starts, every array with a first axis of lanes.
        data: arrays by name, with that axis unless `shared`.
        shared: whether all lanes have the same data.
    """

    functions: Functions
    params: Any
    data: Any
    shared: bool


class HandOvers(NamedTuple):
    """The ends of the linear flow; a lane that does not use it stays at its start.

    Attributes:
        used: lanes that do.
        times: since the start.
        params: there.
        errors: what the neglected terms may have changed later times by.
    """

    used: Bool[np.ndarray, " lanes"]
    times: PerLane
    params: Any
    errors: PerLane


class _Found(NamedTuple):
    """Hand-overs in the making; of lanes that are not good the rest means nothing."""

    good: Bool[np.ndarray, " lanes"]
    times: PerLane
    flat: Float[np.ndarray, "lanes N"]
    defects: PerLane


def hand_overs(lanes: Lanes, gap: int, rtol: float, horizons: PerLane) -> HandOvers:
    """Carry each small start to the largest scale at which the linear flow is good enough.

    Args:
        lanes: flows whose leading flow has degree 2.
        gap: of its degree to that of the next term.
        rtol: tolerance of the runs; the defects are kept below a twentieth of it.
        horizons: times that must not be passed.
    """
    flat, back = _flattened(lanes.params)
    largest = np.max(np.abs(flat), axis=1)
    small = (largest > 0) & (largest <= SMALL)  # false for a start that is not finite
    nothing = HandOvers(small & False, np.zeros(len(flat)), lanes.params, np.zeros(len(flat)))
    if not small.any():
        return nothing
    starts = np.where(small[:, None], flat, 1.0)

    def product(v: Float[np.ndarray, "lanes N"]) -> Float[np.ndarray, "lanes N"]:
        with float64():
            found = _products(lanes.functions, lanes.shared, back(v), lanes.data)
            return _flattened(jax.tree.map(np.asarray, found))[0]

    closed = propagators(product, starts)
    with np.errstate(invalid="ignore", over="ignore"):
        found = _search(lanes, closed, back, gap, SHARE * rtol, horizons, small)
    if not found.good.any():
        return nothing
    rate = np.where(found.good, closed.rate, 1.0)
    errors = np.where(found.good, found.defects, 0.0) / (gap * rate)
    times = np.where(found.good, found.times, 0.0)
    return HandOvers(
        found.good, times, back(np.where(found.good[:, None], found.flat, flat)), errors
    )


def _search(
    lanes: Lanes,
    closed: Propagators,
    back: Callable[[Any], Any],
    gap: int,
    share: float,
    horizons: PerLane,
    small: Bool[np.ndarray, " lanes"],
) -> _Found:
    """The largest scale of each lane with a defect below `share`, from its power law."""
    pending = small & closed.closed & (closed.rate > 0)
    levels = np.full(len(small), math.log(PROBE))
    good = np.zeros_like(pending)
    times, flat, defects = (
        np.zeros(len(small)),
        np.zeros((len(small), closed.basis.shape[2])),
        levels,
    )
    for _ in range(TRIES):
        pending &= levels - closed.log_sizes >= WORTH
        if not pending.any():
            break
        t = np.where(pending, np.minimum(closed.time_of(levels), horizons), 0.0)
        state = closed.at(t)
        with float64():
            speed = np.where(pending, closed.rate, 1.0)
            numbers = (back(state), lanes.data, speed)
            now = np.asarray(_defects(lanes.functions, lanes.shared, *numbers))
        fits = pending & (now <= share)
        times, defects = np.where(fits, t, times), np.where(fits, now, defects)
        flat = np.where(fits[:, None], state, flat)
        good, pending = good | fits, pending & ~fits & np.isfinite(now)
        levels = np.where(pending, levels - np.log(1.1 * now / share) / gap, levels)
    return _Found(good, times, flat, defects)


def _flattened(params: Any) -> tuple[Float[np.ndarray, "lanes N"], Callable[[Any], Any]]:
    leaves, tree = jax.tree.flatten(params)
    shapes = [np.shape(a)[1:] for a in leaves]
    cuts = np.cumsum([math.prod(shape) for shape in shapes])[:-1]

    def back(v: Float[np.ndarray, "lanes N"]) -> Any:
        parts = zip(np.split(v, cuts, axis=1), shapes, strict=True)
        return jax.tree.unflatten(tree, [p.reshape(len(v), *shape) for p, shape in parts])

    return np.concatenate([np.reshape(a, (len(a), -1)) for a in leaves], axis=1), back


def _mapped(function: Callable[..., Any], shared: bool, params: Any, data: Any, *more: Any) -> Any:
    axes = (0, None if shared else 0, *(0 for _ in more))
    return flat_elementwise(jax.vmap(function, in_axes=axes))(params, data, *more)


def _linear(functions: Functions, params: Any, data: Any) -> Any:
    """The linear part of the field at the origin, on `params`."""
    origin = jax.tree.map(jnp.zeros_like, params)
    return jax.jvp(lambda p: descent(functions, p, data), (origin,), (params,))[1]


@partial(jax.jit, static_argnames=("functions", "shared"))
def _products(functions: Functions, shared: bool, params: Any, data: Any) -> Any:
    return _mapped(partial(_linear, functions), shared, params, data)


@partial(jax.jit, static_argnames=("functions", "shared"))
def _defects(functions: Functions, shared: bool, params: Any, data: Any, speed: Any) -> Array:
    """The worst group's difference between the full and the linear field, by lane."""

    def defect(params: Any, data: Any, speed: Any) -> Any:
        return worst_defect(functions, params, data, _linear(functions, params, data), speed)

    return _mapped(defect, shared, params, data, speed)


@partial(jax.jit, static_argnames=("functions", "shared"))
def energies(functions: Functions, shared: bool, params: Any, data: Any) -> Array:
    """The loss of each lane."""
    return _mapped(functions.energy, shared, params, data)
