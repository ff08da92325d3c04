r"""The flow as pure JAX functions: energy, vector field, activation levels, step-size bound.

Everything here takes arrays and is traced inside the compiled loops of this room; nothing is
jitted, nothing converts. The network and the loss come in as functions (`Model`), so that one
compiled loop serves every data set and every start of the same shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class TwoLayer(NamedTuple):
    r"""Parameters of $f(x) = \sum_j v_j\,\sigma(\langle w_j, x\rangle)$.

    Attributes:
        W: input weights $w_j$, one a row, shape (h, D).
        v: output weights $v_j$, shape (h,).
    """

    W: Float[Array, "h D"]
    v: Float[Array, " h"]


class Model(NamedTuple):
    """Network and loss as functions; hashable, and static in every compiled loop.

    Two models made of the same function objects share their compiled loops. Make the functions
    once (module level), not inside a sweep.

    Attributes:
        frozen_outputs: (params, x, pattern) -> f of shape (n,), smooth in params.
        outputs: (params, x) -> f of shape (n,), with the network's own activation.
        sample_loss: (y, f) -> l of shape (n,), elementwise.
    """

    frozen_outputs: Callable[..., Float[Array, " n"]]
    outputs: Callable[..., Float[Array, " n"]]
    sample_loss: Callable[..., Float[Array, " n"]]


class Samples(NamedTuple):
    """Data as the compiled loops see them; `weight` is 1 (sum clock) or 1/n (mean clock)."""

    x: Float[Array, "n D"]
    y: Float[Array, " n"]
    weight: Float[Array, ""]


Outputs = Callable[[TwoLayer], Float[Array, " n"]]


def frozen(model: Model, data: Samples, pattern: Float[Array, "h n"]) -> Outputs:
    """Outputs on the data as a function of the parameters, activation pattern held fixed."""
    return lambda params: model.frozen_outputs(params, data.x, pattern)


def live(model: Model, data: Samples) -> Outputs:
    """Outputs on the data as a function of the parameters."""
    return lambda params: model.outputs(params, data.x)


def energy(model: Model, data: Samples, outputs: Outputs, params: TwoLayer) -> Float[Array, ""]:
    r"""$L = w \sum_i \ell(y_i, f_i)$, $w$ the clock's weight."""
    return data.weight * jnp.sum(model.sample_loss(data.y, outputs(params)))


def vector_field(model: Model, data: Samples, outputs: Outputs, params: TwoLayer) -> TwoLayer:
    r"""$-\nabla L$ by reverse-mode differentiation."""
    gradient = jax.grad(lambda p: energy(model, data, outputs, p))(params)
    return jax.tree.map(jnp.negative, gradient)


def residuals(
    model: Model, data: Samples, outputs: Float[Array, " n"]
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    r"""$r_i = -\partial_f \ell(y_i, f_i)$ and $\partial_f^2 \ell(y_i, f_i)$, unweighted."""

    def slope(f: Float[Array, " n"]) -> Float[Array, " n"]:
        return jax.grad(lambda g: jnp.sum(model.sample_loss(data.y, g)))(f)

    first, second = jax.jvp(slope, (outputs,), (jnp.ones_like(outputs),))
    return -first, second


def preactivations(params: TwoLayer, x: Float[Array, "n D"]) -> Float[Array, "h n"]:
    r"""$q_{ji} = \langle w_j, x_i\rangle$."""
    return params.W @ x.T


def margins(
    params: TwoLayer, x: Float[Array, "n D"], pattern: Float[Array, "h n"]
) -> Float[Array, "h n"]:
    r"""Signed cosines to the kinks, $(2P_{ji}-1)\,\langle w_j, x_i\rangle/(|w_j||x_i|)$.

    Positive while `pattern` is right, zero at the kink. Normalised per neuron, so that the same
    root tolerance serves every initialization scale.
    """
    tiny = jnp.finfo(x.dtype).tiny
    w_norm = jnp.maximum(jnp.linalg.norm(params.W, axis=1), tiny)
    x_norm = jnp.linalg.norm(x, axis=1)
    return (2 * pattern - 1) * preactivations(params, x) / (w_norm[:, None] * x_norm)


def neuron_norms(params: TwoLayer) -> Float[Array, " h"]:
    r"""$\sqrt{|w_j|^2 + v_j^2}$."""
    return jnp.sqrt(jnp.sum(params.W**2, axis=1) + params.v**2)


def rate_bound(model: Model, data: Samples, params: TwoLayer) -> Float[Array, ""]:
    r"""An upper bound on the rates of the flow at `params`, for choosing step sizes.

    $$ w \sum_i \left[\ell''_i |\nabla_\theta f_i|^2 + |r_i|\,|x_i|\right] $$

    For the ReLU network, whose Hessian is $w \sum_i [\ell''_i \nabla f_i \nabla f_i^T - r_i
    \nabla^2 f_i]$ between kinks: the first sum is the trace of its first part, and
    $|\nabla^2 f_i| \le |x_i|$ bounds the second. The trace alone is not enough: it is of second
    order in the initialization scale, while the directions turn at a rate of order one.
    """
    q = preactivations(params, data.x)
    active = q > 0
    x2 = jnp.sum(data.x**2, axis=1)
    squares = jnp.sum(active * q**2, axis=0) + x2 * jnp.sum(active * params.v[:, None] ** 2, axis=0)
    r, curvature = residuals(model, data, model.outputs(params, data.x))
    return data.weight * jnp.sum(jnp.abs(curvature) * squares + jnp.abs(r) * jnp.sqrt(x2))
