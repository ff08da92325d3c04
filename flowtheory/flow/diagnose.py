r"""Why a run does not get on: it blows up, it rests, or it is stuck at a saddle."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from flowtheory.errors import DataError
from flowtheory.flow.coordinates import local_degree
from flowtheory.flow.dormant import THOROUGH, dormant
from flowtheory.flow.smooth import Functions, Params, SmoothFlow, descent
from flowtheory.flow.until import norm
from flowtheory.outcome import Outcome
from flowtheory.precision import float64

_SUPERLINEAR = 0.05
_STILL = 1e-3
_GREW = 1e3
_DECAYED = 1e-9  # the absolute tolerance holds a decayed state at about 1e-11


class Verdict(NamedTuple):
    """An outcome, or None to go on; and the time of a blow-up."""

    outcome: Outcome | None
    blow_up_time: float = math.inf


GO_ON = Verdict(None)


def runaway(flow: SmoothFlow, params: Params, t: float, *, asked: bool) -> Verdict:
    r"""Whether the norm becomes infinite in finite time, from the field on the ray through here.

    With $|\dot\theta| \sim |\theta|^{k-1}$, $k > 2$, and $r = |\theta|$, $y = r^{-(k-2)}$ falls
    linearly to zero near a blow-up: $T^* = t + r/((k-2)\,\dot r)$.

    Args:
        flow: the flow.
        params: where it is.
        t: the time there.
        asked: whether the norm is known to have grown a lot; else that is a condition.
    """
    with float64():
        size = float(norm(params))
        if not (math.isfinite(size) and (asked or size > _GREW)):
            return GO_ON
        force = descent(flow.functions, params, flow.data)
        pairs = zip(jax.tree.leaves(params), jax.tree.leaves(force), strict=True)
        growth = float(sum(jnp.sum((a / size) * b) for a, b in pairs))
    try:
        degree, _ = local_degree(partial(descent, flow.functions), params, flow.data)
    except DataError:
        return GO_ON
    if not (growth > 0 and degree - 2 > _SUPERLINEAR):
        return GO_ON
    return Verdict(Outcome.BLEW_UP, t + size / ((degree - 2) * growth))


def standstill(
    flow: SmoothFlow,
    params: Params,
    reach: float,
    target: float | None = None,
    size_before: float = 0.0,
) -> Verdict:
    r"""Whether the time that is left cannot bring the flow to where it is waited for.

    At the present speed the state would not move by `_STILL` of its norm, or the loss (which falls
    by $|\nabla L|^2$ a unit of time) not fall to `target`; or the parameters have decayed. If the
    Hessian has a negative eigenvalue $-\lambda$ with eigenvector $u$, the part of the speed along
    $u$ grows like $e^{\lambda t}$: the run goes on if that suffices, and is stuck at a saddle if
    not, or if that part is nothing but rounding errors.

    Args:
        flow: the flow.
        params: where it is.
        reach: time that the steps left would cover at the present step length.
        target: the loss that is waited for, if it is one.
        size_before: norm at the start of the run.
    """
    with float64():
        speed, size, power, loss = map(float, motion(flow.functions, params, flow.data))
    still = speed * reach <= _STILL * size or size < _DECAYED * size_before
    far = target is not None and loss - power * reach > target
    if not (still or far):
        return GO_ON
    found = dormant(flow.functions, params, flow.data, THOROUGH)
    if found.rate * reach < 1:
        return Verdict(Outcome.CONVERGED)
    if found.along == 0 or math.isinf(found.lost):
        return Verdict(Outcome.STALLED)
    grown = math.log(found.along / (found.rate * size)) + found.rate * reach
    return GO_ON if grown > 0 else Verdict(Outcome.STALLED)


@partial(jax.jit, static_argnames=("functions",))
def motion(functions: Functions, params: Params, data: Any) -> tuple[Array, ...]:
    """Speed, norm, loss lost a unit of time, and loss."""
    force = descent(functions, params, data)
    power = sum(jnp.sum(a**2) for a in jax.tree.leaves(force))
    return norm(force), norm(params), jnp.asarray(power), functions.energy(params, data)


def pace(flow: SmoothFlow, params: Params) -> float:
    r"""$|\dot\theta|/|\theta|$: times a delay, the error of the state in units of its norm.

    0 where nothing moves, be it at the origin.
    """
    with float64():
        speed, size, *_ = map(float, motion(flow.functions, params, flow.data))
    if speed == 0:
        return 0.0
    return speed / size if size > 0 else math.inf
