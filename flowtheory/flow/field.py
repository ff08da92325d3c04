r"""The flow as pure JAX functions: energy, vector field, activation levels, step-size bound.

Everything here takes arrays and is traced inside the compiled loops of this room; nothing is
jitted, nothing converts. The network and the loss come in as functions (`Model`), so that one
compiled loop serves every data set and every start of the same shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


class TwoLayer(NamedTuple):
    r"""Parameters of $f(x) = \sum_j v_j\,\sigma(\langle w_j, x\rangle)$.

    Attributes:
        W: input weights $w_j$, one a row, shape (h, D).
        v: output weights $v_j$, shape (h,).
    """

    W: Float[Array, "h D"]
    v: Float[Array, " h"]


class Samples(NamedTuple):
    """Data as the compiled loops see them; `weight` is 1 (sum clock) or 1/n (mean clock)."""

    x: Float[Array, "n D"]
    y: Float[Array, " n"]
    weight: Float[Array, ""]


Params = TypeVar("Params")
Outputs = Callable[[Any], Float[Array, " n"]]


def frozen(model: Model, data: Samples, pattern: Any) -> Outputs:
    """Outputs on the data as a function of the parameters, activation pattern held fixed."""
    return lambda params: model.frozen_outputs(params, data.x, pattern)


def live(model: Model, data: Samples) -> Outputs:
    """Outputs on the data as a function of the parameters."""
    return lambda params: model.outputs(params, data.x)


def energy(model: Model, data: Samples, outputs: Outputs, params: Any) -> Float[Array, ""]:
    r"""$L = w \sum_i \ell(y_i, f_i)$, $w$ the clock's weight."""
    return data.weight * jnp.sum(model.sample_loss(data.y, outputs(params)))


def vector_field(model: Model, data: Samples, outputs: Outputs, params: Params) -> Params:
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
    # Of order one before anything is squared: slopes are wanted at 1e-300 too.
    largest = lax.stop_gradient(jnp.max(jnp.abs(params.W), axis=1, keepdims=True))
    W = params.W / jnp.where(largest > 0, largest, 1.0)
    w_norm = jnp.maximum(_row_norms(W), jnp.finfo(x.dtype).tiny)
    x_norm = jnp.linalg.norm(x, axis=1)
    return (2 * pattern - 1) * (W @ x.T) / (w_norm[:, None] * x_norm)


def neuron_norms(params: TwoLayer) -> Float[Array, " h"]:
    r"""$\sqrt{|w_j|^2 + v_j^2}$."""
    return _row_norms(jnp.concatenate([params.W, params.v[:, None]], axis=1))


def _row_norms(rows: Float[Array, "h D"]) -> Float[Array, " h"]:
    """Euclidean norms, of entries whose squares underflow too."""
    largest = jnp.max(jnp.abs(rows), axis=1)
    scale = lax.stop_gradient(jnp.where(largest > 0, largest, 1.0))
    squares = jnp.sum((rows / scale[:, None]) ** 2, axis=1)
    # The root's derivative at a row of zeros would be nan.
    return scale * jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1.0)), 0.0)


def rate_bound(model: Model, data: Samples, params: TwoLayer) -> Float[Array, ""]:
    r"""An upper bound on the rates of the flow at `params`, for choosing step sizes.

    $$ \sum_i \left[w\,\ell''_i |\nabla_\theta f_i|^2 + |g_i|\,
       \max_j \bigl(|\sigma'(q_{ji})|\,|x_i| + |v_j \sigma''(q_{ji})|\,|x_i|^2\bigr)\right] $$

    with $g_i = w\,\ell'_i$ and $w$ the clock's weight. Between kinks the Hessian is
    $\sum_i [w \ell''_i \nabla f_i \nabla f_i^T - g_i \nabla^2 f_i]$: the first sum is the trace of
    its first part, and the second bounds $|\nabla^2 f_i|$, neuron by neuron. The larger of the
    slopes at $\pm q$ is taken, since a datum may cross within a step. The trace alone is not
    enough: it is of second order in the initialization scale, while the directions turn at a rate
    of order one.
    """
    # Neurons along the last axis: reductions along the first are twice as slow on a CPU.
    q = data.x @ params.W.T
    value, slope, bend = activation_of(model, q)
    x2, v = jnp.sum(data.x**2, axis=1), jnp.abs(params.v)
    squares = jnp.sum(value**2, axis=1) + x2 * jnp.sum((v * slope) ** 2, axis=1)
    _, there, bent = activation_of(model, -q)
    steepest = jnp.maximum(jnp.abs(slope), jnp.abs(there)) * jnp.sqrt(x2)[:, None]
    bend = v * jnp.maximum(jnp.abs(bend), jnp.abs(bent)) * x2[:, None]
    second = jnp.max(steepest + bend, axis=1)
    r, curvature = residuals(model, data, model.outputs(params, data.x))
    return data.weight * jnp.sum(jnp.abs(curvature) * squares + jnp.abs(r) * second)


def activation_of(
    model: Model, z: Float[Array, "a b"]
) -> tuple[Float[Array, "a b"], Float[Array, "a b"], Float[Array, "a b"]]:
    r"""$\sigma(z)$, $\sigma'(z)$ and $\sigma''(z)$, read off the model's own outputs.

    They are those of one-dimensional neurons with weight $z$ on the input 1.
    """
    flat, one = z.ravel(), jnp.ones((1, 1), z.dtype)

    def network(weight: Float[Array, " m"], v: Float[Array, " m"]) -> Float[Array, ""]:
        return model.outputs(TwoLayer(weight[:, None], v), one)[0]

    ones = jnp.ones_like(flat)
    value = jax.grad(network, argnums=1)(flat, ones)
    slope, bend = jax.jvp(lambda w: jax.grad(network)(w, ones), (flat,), (ones,))
    return value.reshape(z.shape), slope.reshape(z.shape), bend.reshape(z.shape)


class Model(NamedTuple):
    """Network and loss as functions; hashable, and static in every compiled loop.

    Two models made of the same function objects share their compiled loops. Make the functions
    once (module level), not inside a sweep. `params` may be any nesting of arrays; the defaults are
    those of `TwoLayer`, whose pattern is one array.

    Attributes:
        frozen_outputs: (params, x, pattern) -> f of shape (n,), smooth in params.
        outputs: (params, x) -> f of shape (n,), with the network's own activation.
        sample_loss: (y, f) -> l of shape (n,), elementwise.
        preactivations: (params, x) -> what the activations with a kink are taken of; `pattern` has
            the same arrays.
        rate_bound: (model, data, params) -> a bound on the rates of the flow.
    """

    frozen_outputs: Callable[..., Float[Array, " n"]]
    outputs: Callable[..., Float[Array, " n"]]
    sample_loss: Callable[..., Float[Array, " n"]]
    preactivations: Callable[..., Any] = preactivations
    rate_bound: Callable[..., Float[Array, ""]] = rate_bound
