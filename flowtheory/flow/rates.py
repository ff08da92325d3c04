r"""How fast a flow changes, for networks of any depth: what its steps are measured by."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from flowtheory.flow.field import Model, Samples, residuals


def rate_along(model: Model, data: Samples, params: Any) -> Float[Array, ""]:
    r"""A bound on the stiffness of the flow, and its rate of change along itself.

    $$ w \sum_i |\ell''_i|\,|\nabla_\theta f_i|^2
       + \frac{\bigl|\sum_i g_i \nabla^2 f_i\, k\bigr|}{|k|}, \qquad
       g_i = -w\,\ell'_i,\quad k = \sum_i g_i \nabla f_i = -\nabla L $$

    with $w$ the clock's weight. Between kinks $\dot k = -\nabla^2 L\,k$, and the Hessian is
    $\sum_i [w \ell''_i \nabla f_i \nabla f_i^T - g_i \nabla^2 f_i]$: the first term is the trace of
    its first part, hence no smaller than its largest eigenvalue, which limits explicit steps; the
    second is the part of $|\dot k|/|k|$ that the growth of the weights makes, which limits their
    error. For two layers `field.rate_bound` bounds the second part in every direction, and is
    cheaper; for more that would take the norms of all products of layers.

    Args:
        model: network and loss.
        data: inputs, labels, and the clock's weight.
        params: parameters, in any nesting of arrays.
    """

    def squared_gradient(x: Float[Array, " D"]) -> Float[Array, ""]:
        return _squared(jax.grad(lambda p: model.outputs(p, x[None])[0])(params))

    r, curvature = residuals(model, data, model.outputs(params, data.x))
    forces = data.weight * r
    pull = jax.grad(lambda p: jnp.sum(forces * model.outputs(p, data.x)))
    k = pull(params)
    _, bent = jax.jvp(pull, (params,), (k,))
    speed, change = _squared(k), _squared(bent)
    growth = jnp.sqrt(jnp.where(speed > 0, change / jnp.where(speed > 0, speed, 1.0), 0.0))
    squares = jax.vmap(squared_gradient)(data.x)
    return data.weight * jnp.sum(jnp.abs(curvature) * squares) + growth


def _squared(tree: Any) -> Float[Array, ""]:
    return sum((jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)), jnp.zeros(()))
