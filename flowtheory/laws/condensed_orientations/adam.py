r"""Adam on a two-layer network, as in published experiments on condensation: not a gradient flow.

$$m \leftarrow \beta_1 m + (1-\beta_1) g,\quad v \leftarrow \beta_2 v + (1-\beta_2) g^2,\quad
  \theta \leftarrow \theta - \eta\,\frac{m/(1-\beta_1^k)}{\sqrt{v/(1-\beta_2^k)} + \epsilon}$$

Every coordinate moves at the speed $\eta$ at first, whatever the size of its gradient.

Source: Kingma, Ba, arXiv:1412.6980, Algorithm 1, with its default constants.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from flowtheory.flow.field import Model, Samples, TwoLayer, energy, live
from flowtheory.precision import float64

_FIRST, _SECOND, _SMALL = 0.9, 0.999, 1e-8


class Trained(NamedTuple):
    """The parameters at the end, with the loss before the last step and the number of steps."""

    params: TwoLayer
    loss: float
    steps: int


class _At(NamedTuple):
    """Where the loop is: parameters, both moments, the loss before the last step, steps taken."""

    params: TwoLayer
    mean: Any
    square: Any
    loss: Float[Array, ""]
    steps: Int[Array, ""]


def adam(
    model: Model,
    samples: Samples,
    start: TwoLayer,
    level: float,
    *,
    step: float,
    max_steps: int = 100_000,
) -> Trained:
    """Take full-batch steps until the loss is at most `level`, or the budget is spent.

    Args:
        model: network and loss.
        samples: data.
        start: parameters.
        level: of the loss.
        step: the learning rate.
        max_steps: budget.
    """
    with float64():
        numbers = np.float64(level), np.float64(step), np.int64(max_steps)
        at = jax.tree.map(np.asarray, _trained(model, samples, start, *numbers))
    return Trained(at.params, float(at.loss), int(at.steps))


@partial(jax.jit, static_argnames=("model",))
def _trained(
    model: Model, data: Samples, start: TwoLayer, level: Array, rate: Array, most: Array
) -> _At:
    def loss_at(params: TwoLayer) -> Array:
        return energy(model, data, live(model, data), params)

    def further(at: _At) -> _At:
        loss, g = jax.value_and_grad(loss_at)(at.params)
        k = at.steps + 1
        mean = jax.tree.map(lambda a, b: _FIRST * a + (1 - _FIRST) * b, at.mean, g)
        square = jax.tree.map(lambda a, b: _SECOND * a + (1 - _SECOND) * b**2, at.square, g)

        def moved(theta: Array, a: Array, b: Array) -> Array:
            size = jnp.sqrt(b / (1 - _SECOND**k)) + _SMALL
            return theta - rate * a / (1 - _FIRST**k) / size

        return _At(jax.tree.map(moved, at.params, mean, square), mean, square, loss, k)

    zeros = jax.tree.map(jnp.zeros_like, start)
    first = _At(start, zeros, zeros, jnp.asarray(jnp.inf), jnp.asarray(0))
    return jax.lax.while_loop(lambda s: (s.loss > level) & (s.steps < most), further, first)
