r"""The cheap mode down to a level of the loss: one run of few hundred steps, for sweeps of many.

The steps are those of `flowtheory.flow.steps`; nothing is saved on the way but how far the weights
have been from their start. Where the level is crossed within a step, the end is on the chord.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Generic, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from flowtheory.flow.field import Model, Params, Samples, energy, live
from flowtheory.flow.steps import step
from flowtheory.outcome import Outcome
from flowtheory.precision import float64


class Fallen(NamedTuple, Generic[Params]):
    """Where a run ended.

    Attributes:
        params: at the end.
        time: of the end.
        loss: at the end, in the units of the samples.
        farthest: largest distance of every tensor from its start, over all times.
        steps: that were taken.
        outcome: `EVENT` where the level was reached, else `STEP_LIMIT` or `NONFINITE`.
    """

    params: Params
    time: float
    loss: float
    farthest: Params
    steps: int
    outcome: Outcome


class _State(NamedTuple):
    """Of the compiled loop; `before` and `loss_before` are those of the last step's start."""

    t: Float[Array, ""]
    params: Any
    loss: Float[Array, ""]
    before: Any
    loss_before: Float[Array, ""]
    step: Float[Array, ""]
    farthest: Any
    steps: Int[Array, ""]


def fall(
    model: Model,
    samples: Samples,
    start: Params,
    level: float,
    *,
    c: float,
    max_steps: int = 100_000,
) -> Fallen[Params]:
    r"""Follow the flow until its loss is `level`.

    Args:
        model: network and loss.
        samples: data; `weight` sets the clock.
        start: parameters at t = 0, in any nesting of arrays.
        level: of the loss.
        c: steps are $h = c$ / `model.rate_bound`; the error is of order $c^2$, and of order $c$
            while neurons slide.
        max_steps: budget.
    """
    with float64():
        end = _fall(model, samples, start, np.float64(level), np.float64(c), np.int64(max_steps))
        end = jax.tree.map(np.asarray, end)
    loss = float(end.loss)
    if not math.isfinite(loss):
        outcome = Outcome.NONFINITE
    else:
        outcome = Outcome.EVENT if loss <= level else Outcome.STEP_LIMIT
    back = _overshot(end, level) if outcome is Outcome.EVENT and end.steps else 0.0
    params = end.params
    if back:
        params = jax.tree.map(lambda p, b: p + back * (b - p), params, end.before)
    farthest = jax.tree.map(lambda square: math.sqrt(float(square)), end.farthest)
    time = float(end.t) - back * float(end.step)
    reached = level if back else loss
    return Fallen(params, time, reached, farthest, int(end.steps), outcome)


def _overshot(end: _State, level: float) -> float:
    """The part of the last step that lies below the level, the loss taken as exponential."""
    last, before = float(end.loss), float(end.loss_before)
    if not 0 < last < level < before:
        return 0.0
    return math.log(level / last) / math.log(before / last)


@partial(jax.jit, static_argnames=("model",))
def _fall(
    model: Model,
    data: Samples,
    start: Any,
    level: Float[Array, ""],
    c: Float[Array, ""],
    max_steps: Int[Array, ""],
) -> _State:
    def loss_at(params: Any) -> Float[Array, ""]:
        return energy(model, data, live(model, data), params)

    def go_on(s: _State) -> Bool[Array, ""]:
        # A loss that is not finite is not above the level.
        return (s.loss > level) & (s.steps < max_steps)

    def body(s: _State) -> _State:
        h = c / model.rate_bound(model, data, s.params)
        params = step(model, data, s.params, h)
        moved = jax.tree.map(lambda p, p0: jnp.sum((p - p0) ** 2), params, start)
        farthest = jax.tree.map(jnp.maximum, s.farthest, moved)
        return _State(s.t + h, params, loss_at(params), s.params, s.loss, h, farthest, s.steps + 1)

    zero = jnp.zeros((), jnp.float64)
    nowhere, loss = jax.tree.map(lambda _: zero, start), loss_at(start)
    first = _State(zero, start, loss, start, loss, zero, nowhere, jnp.zeros((), jnp.int64))
    return lax.while_loop(go_on, body, first)
