r"""Whether a kinked flow has come to rest, so that what is waited for will not happen.

Within a cell the field is smooth. At rest no margin moves either, so that the cell stays. With
$F$ the (sliding) field, the loss falls by $|F|^2$ a unit of time and, where nothing grows, ever
more slowly; what grows is looked for among the motions along the kinks that are slid along.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from flowtheory.flow.dormant import THOROUGH, fastest
from flowtheory.flow.field import Model, Samples, TwoLayer, energy, frozen
from flowtheory.flow.problem import GradientFlow
from flowtheory.flow.sliding import Cell, rate
from flowtheory.flow.until import norm
from flowtheory.outcome import Outcome
from flowtheory.precision import float64

_STILL = 1e-3

Number = Float[Array, ""] | float


class _Standing(NamedTuple):
    """Speed, norm of the parameters, loss, rate and speed of the fastest growth."""

    speed: Number
    size: Number
    loss: Number
    rate: Number
    along: Number


@partial(jax.jit, static_argnames=("model",))
def _look(model: Model, data: Samples, cell: Cell, params: TwoLayer) -> _Standing:
    flat, back = ravel_pytree(params)

    def slid(z: Array) -> Array:
        motion = back(z)
        across = jnp.einsum("hkd,hd->hk", cell.basis, motion.W)
        W = motion.W - jnp.einsum("hkd,hk->hd", cell.basis, across)
        return ravel_pytree(motion._replace(W=W))[0]

    force, product = jax.linearize(
        lambda z: ravel_pytree(rate(model, data, cell, back(z)))[0], flat
    )
    found, u, _ = fastest(lambda z: slid(product(slid(z))), flat, THOROUGH)
    loss = energy(model, data, frozen(model, data, cell.pattern), params)
    return _Standing(norm(force), norm(flat), loss, found, jnp.abs(jnp.vdot(u, force)))


def rests(
    flow: GradientFlow, cell: Cell, params: TwoLayer, ahead: float, target: float | None
) -> Outcome | None:
    r"""`CONVERGED` or `STALLED` if nothing will happen in the time `ahead`; None to go on.

    Nothing happens if the state would not move by 1e-3 of its norm at its present speed, or the
    loss not fall to `target`, and what grows there, like $e^{\lambda t}$, stays small.

    Args:
        flow: the flow.
        cell: where it is.
        params: where in the cell.
        ahead: time.
        target: the loss that is waited for, if it is one.
    """
    with float64():
        at = _Standing(*map(float, _look(flow.model, flow.samples, cell, params)))
    far = target is not None and at.loss - at.speed**2 * ahead > target
    if not (far or at.speed * ahead <= _STILL * at.size):
        return None
    if at.rate * ahead < 1:
        return Outcome.CONVERGED
    if at.along == 0:
        return Outcome.STALLED
    grown = math.log(at.along / at.rate) - math.log(at.size) + at.rate * ahead
    return None if grown > 0 else Outcome.STALLED
