r"""Filippov's sliding field and the levels that end a cell, as pure JAX functions.

A cell is a stretch of flow between two events. In it every neuron has a frozen pattern $P_j$ and a
set $S_j$ of data on whose kinks $\langle w_j, x_i\rangle = 0$ it slides. With
$c_j = \sum_{i \notin S_j} g_i \sigma'_{P_{ji}} x_i$, $g_i = -\partial_{f_i} L$, the field is

$$ \dot w_j = v_j \Pi_j c_j, \qquad \Pi_j \text{ the projector on } \{x_i\}_{i \in S_j}^\perp, $$

and $\dot v_j$ needs no multiplier, because the data of $S_j$ have $\langle w_j, x_i\rangle = 0$.
The shares $\lambda_i$ of the two sides, $\Pi_j c_j = c_j + \Delta\sigma' \sum_{S_j} \lambda_i g_i
x_i$, are needed only to see when they leave $(0, 1)$:

$$ \lambda_i = -\frac{\langle x_i^+, c_j\rangle}{\Delta\sigma'\, g_i}, \qquad
   x_i^+ \text{ the rows of the pseudo-inverse of } X_{S_j} . $$

Data on one line through 0 (duplicates, $x$ and $-x$) share their kink. The first of them stands for
all in the formula, with the sum of their $g_i |x_i|$ for its own.

Basis and pseudo-inverse are constant within the cell and padded to K rows a neuron. K = 0 compiles
to the field and the levels of a flow without sliding.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from flowtheory.flow.field import (
    Model,
    Samples,
    TwoLayer,
    frozen,
    margins,
    neuron_norms,
    residuals,
    vector_field,
)

_ROUNDING = 8 * np.finfo(float).eps


class Cell(NamedTuple):
    r"""What is constant between two events.

    Attributes:
        pattern: $P$, 0 or 1; for the data of $S_j$ that of the side $\lambda = 0$; shape (h, n).
        sliding: whether $i \in S_j$, shape (h, n).
        basis: orthonormal basis of the span of $\{x_i\}_{i \in S_j}$, padded with zeros; (h, K, D).
        dual: rows $x_i^+$ of the pseudo-inverse, padded with zeros; shape (h, K, D).
        datum: the datum of each row of `dual`, shape (h, K).
        present: which rows are not padding, shape (h, K).
        group: for every datum the first one with the same kink (a multiple of it), shape (n,).
        length: $|x_i|$, shape (n,).
        sign: sign of $v_j$ at the start of the cell, shape (h,).
        jump: $\Delta\sigma' = \sigma'(0^+) - \sigma'(0^-)$.
        left: $\sigma'(0^-)$.
        ease: by how much more than rounding the shares of a neuron may be off, shape (h,).
    """

    pattern: Float[Array, "h n"]
    sliding: Bool[Array, "h n"]
    basis: Float[Array, "h K D"]
    dual: Float[Array, "h K D"]
    datum: Int[Array, "h K"]
    present: Bool[Array, "h K"]
    group: Int[Array, " n"]
    length: Float[Array, " n"]
    sign: Float[Array, " h"]
    jump: Float[Array, ""]
    left: Float[Array, ""]
    ease: Float[Array, " h"]


def slopes(model: Model, x: Float[Array, "n D"]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    r"""$\sigma'(0^-)$ and $\sigma'(0^+)$, read off the frozen outputs on the first datum.

    (0, 1) for ReLU, (a, 1) for a leaky one, (0, 0) for powers of ReLU, whose field is continuous.
    """
    first = x[:1]

    def slope(side: float) -> Float[Array, ""]:
        def output(w: Float[Array, " D"]) -> Float[Array, ""]:
            one = TwoLayer(w[None], jnp.ones((1,), x.dtype))
            return model.frozen_outputs(one, first, jnp.full((1, 1), side, x.dtype))[0]

        return jax.grad(output)(jnp.zeros_like(x[0])) @ x[0] / (x[0] @ x[0])

    return slope(0.0), slope(1.0)


def rate(model: Model, data: Samples, cell: Cell, params: TwoLayer) -> TwoLayer:
    r"""$(\dot W, \dot v)$ in the cell."""
    free = vector_field(model, data, frozen(model, data, cell.pattern), params)
    if cell.basis.shape[1] == 0:
        return free
    across = jnp.einsum("hkd,hd->hk", cell.basis, free.W)
    return free._replace(W=free.W - jnp.einsum("hkd,hk->hd", cell.basis, across))


def unit_field(
    model: Model, data: Samples, pattern: Float[Array, "h n"], params: TwoLayer
) -> tuple[Float[Array, "h D"], Float[Array, " n"]]:
    r"""$c_j$, the field of $w_j$ per unit of $v_j$, and $g_i = -\partial_{f_i} L$."""
    outputs = frozen(model, data, pattern)
    g = data.weight * residuals(model, data, outputs(params))[0]
    ones = jnp.ones_like(params.v)
    _, pull = jax.vjp(lambda W: outputs(TwoLayer(W, ones)), params.W)
    return pull(g)[0], g


def forces(
    cell: Cell, c: Float[Array, "h D"], g: Float[Array, " n"]
) -> tuple[Float[Array, "h K"], Float[Array, "h K"]]:
    r"""Push and hold of every kink that is slid along, with c and g of `unit_field`.

    Their ratio is $\lambda_i$. A kink attracts while its hold $-\Delta\sigma' g_i\,\mathrm{sign}
    v_j$ is positive.
    """
    # Data that share their kink act as one: crossing it switches all of them.
    whole = jax.ops.segment_sum(g * cell.length, cell.group, len(g)) / cell.length
    sign = cell.sign[:, None]
    return sign * jnp.einsum("hkd,hd->hk", cell.dual, c), -sign * cell.jump * whole[cell.datum]


def rounding(
    model: Model,
    data: Samples,
    params: TwoLayer,
    slope: Float[Array, "h n"],
) -> Float[Array, "h n"]:
    r"""What rounding may do to each term $g_i\sigma' x_i$ of $c_j$ of `unit_field`: that of $g_i$.

    0 where no datum pushes. `slope` is $\sigma'$ on the side of each datum.
    """
    r, curvature = residuals(model, data, model.outputs(params, data.x))
    terms = jnp.abs(params.v) @ jnp.abs(params.W @ data.x.T)
    slips = jnp.abs(r) + jnp.abs(curvature) * (jnp.abs(data.y) + terms)
    return _ROUNDING * data.weight * jnp.abs(slope) * slips * jnp.linalg.norm(data.x, axis=1)


def kink_levels(model: Model, data: Samples, cell: Cell, params: TwoLayer) -> Float[Array, " m"]:
    r"""Levels that are positive inside the cell; `decode` says which is which.

    The margins of all data that are not slid along (h n of them); with sliding also what of the
    push is above 0 and below the hold (h K each), both with a margin for rounding, and $\pm v_j$
    relative to the neuron's size (h).
    """
    margin = margins(params, data.x, cell.pattern)
    if cell.basis.shape[1] == 0:
        return margin.ravel()
    c, g = unit_field(model, data, cell.pattern, params)
    push, hold = forces(cell, c, g)
    # Where the data that push a sliding neuron are fitted, its push is nothing but rounding.
    slope = cell.left + cell.jump * cell.pattern
    noise = jnp.sum(rounding(model, data, params, slope), axis=1) * cell.ease
    noise = noise[:, None] * jnp.linalg.norm(cell.dual, axis=2)
    size = jnp.abs(hold) + noise + jnp.finfo(c.dtype).tiny
    low = jnp.where(cell.present, (push + noise) / size, 1.0)
    high = jnp.where(cell.present, (hold - push + noise) / size, 1.0)
    slides = jnp.any(cell.present, axis=1)
    sign = jnp.where(slides, cell.sign * _share_of_v(params), 1.0)
    margin = jnp.where(cell.sliding, 1.0, margin)
    return jnp.concatenate([margin.ravel(), low.ravel(), high.ravel(), sign])


def _share_of_v(params: TwoLayer) -> Float[Array, " h"]:
    r"""$v_j/|(w_j, v_j)|$, with slopes at 1e-300 too: of order one before anything is squared."""
    size = lax.stop_gradient(neuron_norms(params))
    size = jnp.where(size > 0, size, 1.0)
    unit = TwoLayer(params.W / size[:, None], params.v / size)
    return unit.v / jnp.maximum(neuron_norms(unit), jnp.finfo(size.dtype).tiny)
