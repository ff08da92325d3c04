r"""Why a run does not get on: it blows up, it rests, or it is stuck at a saddle."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from flowtheory.errors import DataError
from flowtheory.flow.coordinates import local_degree
from flowtheory.flow.smooth import Functions, Params, SmoothFlow, descent
from flowtheory.flow.until import norm
from flowtheory.outcome import Outcome
from flowtheory.precision import float64

_SUPERLINEAR = 0.05
_STILL = 1e-3
_GREW = 1e3


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
    flow: SmoothFlow, params: Params, reach: float, target: float | None = None
) -> Verdict:
    r"""Whether the time that is left cannot bring the flow to where it is waited for.

    At the present speed the state would not move by `_STILL` of its norm, or the loss (which falls
    by $|\nabla L|^2$ a unit of time) not fall to `target`. If the Hessian has a negative eigenvalue
    $-\lambda$, what little speed there is may grow like $e^{\lambda t}$: the run goes on if that
    suffices, and is stuck at a saddle if not.

    Args:
        flow: the flow.
        params: where it is.
        reach: time that the steps left would cover at the present step length.
        target: the loss that is waited for, if it is one.
    """
    with float64():
        speed, size, power, loss = map(float, _speed(flow.functions, params, flow.data))
    still = speed * reach <= _STILL * size
    far = target is not None and loss - power * reach > target
    if not (still or far):
        return GO_ON
    rate = escape_rate(flow, params)
    if rate * reach < 1:
        return Verdict(Outcome.CONVERGED)
    grown = math.log(speed / (rate * size)) + rate * reach if speed > 0 else -math.inf
    return GO_ON if grown > 0 else Verdict(Outcome.STALLED)


def escape_rate(flow: SmoothFlow, params: Params) -> float:
    r"""$\max(0, -\lambda_{\min})$ of the Hessian of the loss, by Lanczos iteration."""
    flat, back = ravel_pytree(params)
    with float64():
        product = _hessian_product(flow.functions, params, flow.data)
    if flat.size <= _DENSE:
        eye = np.eye(flat.size)
        dense = np.stack([_flat(product, back, e) for e in eye])
        return max(0.0, -float(np.linalg.eigvalsh((dense + dense.T) / 2)[0]))
    shape = (flat.size, flat.size)
    operator = LinearOperator(shape, matvec=lambda v: _flat(product, back, v), dtype=np.float64)  # type: ignore[call-arg]
    try:
        lowest = eigsh(operator, k=1, which="SA", return_eigenvectors=False, tol=1e-3)  # type: ignore[arg-type]
    except ArpackNoConvergence as unfinished:
        lowest = unfinished.eigenvalues
    return max(0.0, -float(np.min(lowest, initial=0.0)))


_DENSE = 16


def _flat(product: Any, back: Any, v: np.ndarray) -> np.ndarray:
    with float64():
        return np.asarray(ravel_pytree(product(back(v)))[0])


def _hessian_product(functions: Functions, params: Params, data: Any) -> Any:
    return lambda v: _product(functions, params, data, v)


@partial(jax.jit, static_argnames=("functions",))
def _product(functions: Functions, params: Params, data: Any, v: Params) -> Params:
    gradient = jax.grad(functions.energy)
    return jax.jvp(lambda p: gradient(p, data), (params,), (v,))[1]


@partial(jax.jit, static_argnames=("functions",))
def _speed(functions: Functions, params: Params, data: Any) -> tuple[Array, ...]:
    force = descent(functions, params, data)
    power = sum(jnp.sum(a**2) for a in jax.tree.leaves(force))
    return norm(force), norm(params), jnp.asarray(power), functions.energy(params, data)
