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

from flowtheory.errors import DataError
from flowtheory.flow.coordinates import local_degree
from flowtheory.flow.smooth import Functions, Params, SmoothFlow, descent
from flowtheory.flow.until import norm
from flowtheory.outcome import Outcome
from flowtheory.precision import float64

_SUPERLINEAR = 0.05
_STILL = 1e-3
_GREW = 1e3
_DECAYED = 1e-9  # the absolute tolerance holds a decayed state at about 1e-11
_NOISE = 1e-13


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
    not.

    Args:
        flow: the flow.
        params: where it is.
        reach: time that the steps left would cover at the present step length.
        target: the loss that is waited for, if it is one.
        size_before: norm at the start of the run.
    """
    with float64():
        speed, size, power, loss = map(float, _speed(flow.functions, params, flow.data))
    still = speed * reach <= _STILL * size or size < _DECAYED * size_before
    far = target is not None and loss - power * reach > target
    if not (still or far):
        return GO_ON
    rate, vector = escape(flow, params)
    if rate * reach < 1:
        return Verdict(Outcome.CONVERGED)
    force = jax.tree.leaves(flow.vector_field(params))
    along = abs(float(np.concatenate([np.ravel(a) for a in force]) @ vector))
    if along <= _NOISE * speed and (along == 0 or speed <= _NOISE * rate * size):
        return Verdict(Outcome.STALLED)
    grown = math.log(along / (rate * size)) + rate * reach if along > 0 else math.inf
    return GO_ON if grown > 0 else Verdict(Outcome.STALLED)


def escape(flow: SmoothFlow, params: Params) -> tuple[float, np.ndarray]:
    r"""$\max(0, -\lambda_{\min})$ of the Hessian of the loss with its eigenvector, by Lanczos."""
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    with float64():
        flat, back = ravel_pytree(params)
        product = _hessian_product(flow.functions, params, flow.data)
    if flat.size <= _DENSE:
        dense = np.stack([_flat(product, back, e) for e in np.eye(flat.size)])
        values, vectors = np.linalg.eigh((dense + dense.T) / 2)
        return max(0.0, -float(values[0])), vectors[:, 0]
    shape = (flat.size, flat.size)
    operator = LinearOperator(shape, matvec=lambda v: _flat(product, back, v), dtype=np.float64)  # type: ignore[call-arg]
    try:
        values, vectors = eigsh(operator, k=1, which="SA", tol=1e-3)  # type: ignore[arg-type]
    except ArpackNoConvergence as unfinished:
        values, vectors = unfinished.eigenvalues, unfinished.eigenvectors
    if not len(values):
        return 0.0, np.zeros(flat.size)
    return max(0.0, -float(values[0])), vectors[:, 0]


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
