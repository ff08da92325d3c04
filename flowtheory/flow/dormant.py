r"""What is dormant: modes far below the tolerance of their neuron that grow until they take over.

At a saddle the modes that were learned rest, and what is learned next grows like $e^{\lambda t}$
from, say, $10^{-20}$. If it shares its neurons with a mode that rests, no error estimate sees it,
and nothing but stability limits the step. Its growth is then that of the stability function,
$R(h\lambda)$ in place of $e^{h\lambda}$: at the limit it is wrong by percents, in a run at any
tolerance by the same. Therefore a step is at most `reach`/$\lambda$ long, $\lambda$ the largest
rate at which anything can grow at present, so that the rate of growth is right to `rtol`. A mode
that has more than a thousandth of the parameters' norm is seen, and limits nothing; it is looked at
again whenever the parameters have come to rest further (`CALMER`), since what is still decaying may
pass for it.

What is below roundoff *in its own entries* cannot be helped: `lost` says by how much a time may be
wrong because rounding errors of the weights excite the growing mode as strongly as it is there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from flowtheory.flow.settings import Fixed
from flowtheory.flow.smooth import Functions, Params, descent
from flowtheory.flow.until import norm
from flowtheory.precision import float64

GROWTH: dict[Fixed, tuple[int, float]] = {
    "dopri8": (8, 1.6e-8),
    "tsit5": (5, 7e-5),
    "rock4": (4, 3e-3),
    "rkc2": (2, 0.17),
}
r"""$p$ and $C$ with $|\ln R(z) - z| \le C z^{p+1}$ for $0 < z \le 1$, all members of a family."""

TRUST = 0.3
"""Relative change of the parameters after which the rate is looked up again."""

CALMER = 0.01
"""Change in a step, in units of that at the last look, below which to look again."""

CALM = 1e-5
"""Change in a step, below which rounding errors in what grows are accounted for: a mode of such a
share is far above them, and before there is no saddle to speak of."""

_MOVES = 0.05  # a step that changes the parameters by more is limited by its error
_SURE = 0.2
_VISIBLE = 1e-3
_NOISE = 16 * float(np.finfo(np.float64).eps)  # of a run's rounding errors in one direction


class Dormant(NamedTuple):
    r"""The fastest growth at a point, and what is there of it.

    Attributes:
        rate: $\lambda$, the largest eigenvalue of the negative Hessian; 0 if none is positive.
        along: $|\langle u, F\rangle|$, the part of the speed along its eigenvector.
        noise: what rounding errors of the parameters may have put into it, as a speed.
        share: the mode's amplitude, as it follows from its speed, over the norm of the parameters.
        products: Hessian-vector products that it took.
    """

    rate: float
    along: float
    noise: float
    share: float
    products: int

    @property
    def unseen(self) -> bool:
        """Whether something grows that no error estimate sees (nor what still decays covers)."""
        return self.rate > 0 and self.share < _VISIBLE

    @property
    def lost(self) -> float:
        """By how much the time at which it takes over may be wrong for rounding; inf: unknown."""
        if self.noise == 0:
            return 0.0
        return self.noise / self.along / self.rate if self.noise < self.along else math.inf


class Limits(NamedTuple):
    """When to be content with an eigenvector.

    Attributes:
        relative: residual over the eigenvalue.
        least: smallest eigenvalue that is told from 0, over the norm of the map.
        products: budget of products.
    """

    relative: Any
    least: Any
    products: Any


SHARP = Limits(1e-9, 1e-3, 80)
"""The vector has nothing of what decays, so that `Dormant.along` is right."""

BLUNT = Limits(0.05, 1e-3, 80)
"""The rate to some percent."""

THOROUGH = Limits(1e-9, 1e-9, 1000)
"""Slow growth too."""


def reach(method: Fixed, rtol: float) -> float:
    r"""Largest $h\lambda$ at which a method has the rate of growth right to `rtol`."""
    order, constant = GROWTH[method]
    return min(1.0, (rtol / constant) ** (1 / order))


def moves(method: Fixed, rtol: float) -> float:
    """Relative change of the parameters in a step below which something else may limit it.

    A mode that grows alone is not below: it changes by `reach` in a step.
    """
    return min(_MOVES, reach(method, rtol) / 2)


def dormant(
    functions: Functions,
    params: Params,
    data: Any,
    limits: Limits = SHARP,
) -> Dormant:
    """The fastest growth at `params`.

    Args:
        functions: network and loss.
        params: where.
        data: arrays that they take.
        limits: of the search for the eigenvector.
    """
    with float64():
        seen = jax.tree.map(float, _look(functions, params, data, limits))
    count = int(seen.products)
    if not seen.rate > 0:
        return Dormant(0.0, 0.0, 0.0, 0.0, count)
    share = seen.along / seen.rate / seen.size if seen.along > 0 else 0.0
    return Dormant(seen.rate, seen.along, _NOISE * seen.mixed * seen.rate, share, count)


class _Seen(NamedTuple):
    r"""$\lambda$, $|\langle u, F\rangle|$, $|u \circ \theta|$, $|\theta|$, products."""

    rate: Float[Array, ""]
    along: Float[Array, ""]
    mixed: Float[Array, ""]
    size: Float[Array, ""]
    products: Int[Array, ""]


@partial(jax.jit, static_argnames=("functions",))
def _look(functions: Functions, params: Params, data: Any, limits: Limits) -> _Seen:
    flat, back = ravel_pytree(params)
    force, product = jax.linearize(
        lambda x: ravel_pytree(descent(functions, back(x), data))[0], flat
    )
    rate, u, count = fastest(product, flat, limits)
    # In the frame of the coordinates a mode has its own entries, far below the rounding errors of
    # the others: what is small in u must not bring these in, nor what it is not orthogonal to.
    main = jnp.where(jnp.abs(u) > _SURE * jnp.max(jnp.abs(u)), u, 0.0)
    along = jnp.minimum(jnp.abs(jnp.vdot(u, force)), jnp.abs(jnp.vdot(main, force)))
    return _Seen(rate, along, norm(main * flat), norm(flat), count)


class _Ritz(NamedTuple):
    """A vector, the direction it came from, their images, and how far it has come."""

    x: Float[Array, " N"]
    Jx: Float[Array, " N"]
    p: Float[Array, " N"]
    Jp: Float[Array, " N"]
    value: Float[Array, ""]
    rest: Float[Array, ""]
    size: Float[Array, ""]
    products: Int[Array, ""]


def fastest(
    product: Callable[[Array], Array],
    like: Float[Array, " N"],
    limits: Limits,
) -> tuple[Float[Array, ""], Float[Array, " N"], Int[Array, ""]]:
    r"""The largest eigenvalue of a symmetric map with its eigenvector.

    Locally optimal conjugate gradients (Knyazev, SIAM J. Sci. Comput. 23, 2001, 517-541) with a
    block of one: the best vector in the span of the last one, its residual, and the last direction.
    It ends when the residual is below `relative` times the value, or times `least` times the map's
    norm. What is far off in the spectrum is the first to leave the vector. An eigenvalue that
    rounding does not tell from 0 is 0.
    """
    start = jax.random.normal(jax.random.key(0), like.shape, like.dtype)
    zero, none = jnp.zeros_like(start), jnp.zeros((), like.dtype)
    first = _Ritz(zero, zero, zero, zero, none, none + jnp.inf, none, jnp.zeros((), jnp.int64))

    def unfinished(at: _Ritz) -> Bool[Array, ""]:
        level = jnp.maximum(jnp.abs(at.value), limits.least * at.size)
        return (at.products < limits.products) & (at.rest > limits.relative * level)

    def body(at: _Ritz) -> _Ritz:
        # The first vector is what is left of none, so that the map is compiled once.
        residual = jnp.where(at.products == 0, start, at.Jx - at.value * at.x)
        rest = jnp.linalg.norm(residual)
        r, _ = _orthonormal(residual, zero, (at.x,), (at.Jx,))
        Jr = product(r)
        size = jnp.maximum(at.size, jnp.linalg.norm(Jr))
        p, Jp = _orthonormal(at.p, at.Jp, (at.x, r), (at.Jx, Jr))
        basis, images = jnp.stack([at.x, r, p]), jnp.stack([at.Jx, Jr, Jp])
        small = basis @ images.T
        # A vector that vanished has no say.
        gone = -jnp.diag(jnp.where(jnp.sum(basis**2, axis=1) > 0, 0.0, 1 + 4 * size))
        c = jnp.linalg.eigh((small + small.T) / 2 + gone)[1][:, -1]
        x, Jx = c @ basis, c @ images
        c = c.at[0].set(0.0)
        length = jnp.linalg.norm(x)
        x, Jx = x / length, Jx / length
        new = _Ritz(x, Jx, c @ basis, c @ images, jnp.vdot(x, Jx), rest, size, at.products + 1)
        return jax.tree.map(lambda a, b: jnp.where(rest > 0, a, b), new, at._replace(rest=rest))

    end = lax.while_loop(unfinished, body, first)
    told = jnp.abs(end.value) > _NOISE * end.size
    return jnp.where(told, end.value, 0.0), end.x, end.products


def _orthonormal(
    v: Array, Jv: Array, basis: tuple[Array, ...], images: tuple[Array, ...]
) -> tuple[Array, Array]:
    """A vector made orthogonal to others, of length 1; zero if nothing is left of it."""
    length = jnp.linalg.norm(v)
    for _ in range(2):
        for b, Jb in zip(basis, images, strict=True):
            along = jnp.vdot(b, v)
            v, Jv = v - along * b, Jv - along * Jb
    left = jnp.linalg.norm(v)
    good = left > 1e-10 * length
    scale = jnp.where(good, 1 / jnp.where(good, left, 1.0), 0.0)
    return scale * v, scale * Jv
