r"""A compiled loop for few nodes: integrate to a loss level or to a time, whichever comes first.

For nodes so few that an evaluation of the field takes microseconds, what counts is what is done
besides: the stages of a step are one small product, and the loss comes with the field. The loss
falls along the flow, so that its value at the end of a step says whether the level was passed;
it is landed on by Newton steps on the length of the last Runge-Kutta step.

Several flows, each with nodes and outputs of its own, move side by side with common steps; the
first one decides where to stop. Before the start each node is taken along the linear flow in closed
form, and corrected for what that leaves out to first order,

$$ \theta(T) \mathrel{+}= \int_0^T e^{A(T-s)}\,[F(\theta_s) - A\theta_s]\,ds,\qquad
   \theta_s = e^{As}\theta(0), $$

in $x = e^{-\lambda(T-s)}$ an integral of powers of $x$, down to $x^{-2}$ where two neurons that do
not grow act on one that does: Gauss-Legendre points on panels $[e^{-k-1}, e^{-k}]$.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from flowtheory.flow.dormand_prince import STAGES, tableau
from flowtheory.flow.field import Samples
from flowtheory.flow.neurons import Groups, Neurons, Numbers, Rates, rates

_ORDER = 8
_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 5.0
_POINTS = 4
_PANEL = 1.0
_PANELS = 16  # what came before the last e^16 of growth is beyond roundoff
_CLOSE = 1e-6  # of a step: what Newton leaves is the square of it


class Launch(NamedTuple):
    r"""Where and how to start.

    Attributes:
        nodes: $\theta$ of all flows, shape (K, p), in the coordinates of `modes`.
        groups: which are whose, and their weights.
        rates: eigenvalues of $A$.
        modes: eigenvectors of $A$.
        skipped: time already passed along the linear flow, 0 for none.
        aside: displacement of the nodes after that, in the coordinates of `modes`.
    """

    nodes: Numbers
    groups: Groups
    rates: Numbers
    modes: Numbers
    skipped: Numbers
    aside: Numbers


class Goal(NamedTuple):
    """Where to stop, and how to step.

    Attributes:
        level: loss to stop at.
        end: time to stop at, counted from the start.
        rtol: error of a step, relative to each node.
        step: first step.
        max_steps: budget.
    """

    level: Numbers
    end: Numbers
    rtol: Numbers
    step: Numbers
    max_steps: Numbers


class Landed(NamedTuple):
    r"""The end of a run.

    Attributes:
        time: since the start.
        nodes: at that time, shape (K, p).
        loss: of each flow.
        slope: $dL/dt$ of each flow.
        drift: sum over the accepted steps of the largest relative error of a node.
        defect: rms of the first-order correction at the start, relative to that of the nodes.
        accepted: steps.
        rejected: steps.
        done: whether the level or the end was reached.
        fell: whether it was the level.
    """

    time: Float[Numbers, ""]
    nodes: Float[Numbers, "K p"]
    loss: Float[Numbers, " G"]
    slope: Float[Numbers, " G"]
    drift: Float[Numbers, ""]
    defect: Float[Numbers, ""]
    accepted: Int[Numbers, ""]
    rejected: Int[Numbers, ""]
    done: Bool[Numbers, ""]
    fell: Bool[Numbers, ""]


class _Carry(NamedTuple):
    """State of the loop."""

    t: Array
    y: Array
    at: Rates
    h: Array
    landing: Array
    done: Array
    drift: Array
    accepted: Array
    rejected: Array


def _norm(a: Array) -> Array:
    return jnp.sqrt(jnp.sum(a**2, axis=-1))


def correction(neurons: Neurons, data: Samples, start: Launch) -> Array:
    """The first-order correction of the nodes for the time skipped, in the coordinates of modes."""
    top = start.rates[-1]
    points, weights = np.polynomial.legendre.leggauss(_POINTS)
    passed = top * start.skipped
    count = jnp.clip(jnp.ceil(passed / _PANEL), 1, _PANELS)
    length = jnp.minimum(passed / count, _PANEL)

    def at(x: Array) -> Array:
        back = jnp.exp(start.rates * jnp.log(x) / top)
        c = start.nodes * back
        force = rates(neurons, data, c @ start.modes.T, start.groups).force
        return (force @ start.modes - start.rates * c) / (back * x)

    def panel(k: Array, total: Array) -> Array:
        high, low = jnp.exp(-k * length), jnp.exp(-(k + 1) * length)
        parts = jax.vmap(at)(low + (high - low) * (points + 1) / 2)
        return total + jnp.tensordot(weights, parts, 1) * (high - low) / 2

    blank = jnp.zeros_like(start.nodes)
    return lax.fori_loop(0, count.astype(jnp.int64), panel, blank) / top


@partial(jax.jit, static_argnames=("neurons", "skip"))
def run(neurons: Neurons, data: Samples, start: Launch, goal: Goal, skip: bool) -> Landed:
    """From the start to the level or the end; see `Landed`."""

    def field(y: Array) -> Rates:
        return rates(neurons, data, y, start.groups)

    def body(c: _Carry) -> _Carry:
        h = jnp.where(c.landing, c.h, jnp.minimum(c.h, goal.end - c.t))
        y, error = _attempt(field, c.y, c.at.force, h)
        at = field(y)
        size = jnp.maximum(_norm(c.y), _norm(y))
        worst = jnp.max(_norm(error) / jnp.where(size > 0, size, 1.0))
        finite = jnp.isfinite(worst) & jnp.isfinite(at.loss[0])
        good = finite & (worst <= goal.rtol)
        passed = at.loss[0] < goal.level
        newton = h - (at.loss[0] - goal.level) / at.slope[0]
        landing = c.landing | (good & passed)
        # Hermite's cubic through both ends places the level to start Newton's iteration.
        aim = lax.cond(
            landing & ~c.landing, lambda: _hermite(c.at, at, h, goal.level), lambda: newton
        )
        there = c.landing & (jnp.abs(newton - h) <= _CLOSE * h)
        nudge = jnp.where(there, newton - h, 0.0)
        take = jnp.where(landing, there, good)
        factor = _SAFETY * (worst / goal.rtol) ** (-1 / _ORDER)
        factor = jnp.where(finite, jnp.clip(factor, _SHRINK, _GROW), _SHRINK)
        at = at._replace(loss=at.loss + nudge * at.slope)
        t = c.t + h + nudge
        return _Carry(
            t=jnp.where(take, t, c.t),
            y=jnp.where(take, y + nudge * at.force, c.y),
            at=jax.tree.map(lambda new, old: jnp.where(take, new, old), at, c.at),
            h=jnp.where(landing, aim, h * factor),
            landing=landing,
            done=there | (take & (t >= goal.end)),
            drift=c.drift + jnp.where(take, worst, 0.0),
            accepted=c.accepted + take,
            rejected=c.rejected + ~take,
        )

    def go_on(c: _Carry) -> Array:
        return ~c.done & (c.accepted + c.rejected < goal.max_steps)

    y, defect = _handed_over(neurons, data, start, skip)
    zero, off = jnp.zeros((), jnp.int64), jnp.array(False)
    at = field(y)
    done = at.loss[0] <= goal.level
    first = _Carry(jnp.zeros(()), y, at, goal.step, off, done, jnp.zeros(()), zero, zero)
    c = lax.while_loop(go_on, body, first)
    fell = c.landing | (at.loss[0] <= goal.level)
    counts = (c.accepted, c.rejected, c.done, fell)
    return Landed(c.t, c.y, c.at.loss, c.at.slope, c.drift, defect, *counts)


def _handed_over(neurons: Neurons, data: Samples, start: Launch, skip: bool) -> tuple[Array, Array]:
    """The nodes at the hand-over, and the relative size of the correction."""
    nodes, defect = start.nodes, jnp.zeros(())
    if skip:
        shift = correction(neurons, data, start)
        # In the norm of the sum: a node that decays may change by more than itself, without effect.
        heavy = jnp.sum(start.groups.weights, axis=0)
        defect = jnp.sqrt(jnp.sum(heavy @ shift**2) / jnp.sum(heavy @ nodes**2))
        nodes = nodes + shift
    return (nodes + start.aside) @ start.modes.T, defect


def _attempt(field: Callable[[Array], Rates], y: Array, k0: Array, h: Array) -> tuple[Array, Array]:
    """A Runge-Kutta step of length h and its error estimate; `k0` is the field at y."""
    a, b, low = (jnp.asarray(c) for c in tableau())

    def stage(i: Array, ks: Array) -> Array:
        return ks.at[i].set(field(y + h * jnp.tensordot(a[i], ks, 1)).force)

    blank = jnp.zeros((STAGES, *y.shape), y.dtype).at[0].set(k0)
    ks = lax.fori_loop(1, STAGES, stage, blank)
    return y + h * jnp.tensordot(b, ks, 1), h * jnp.tensordot(low, ks, 1)


def _hermite(low: Rates, high: Rates, h: Array, level: Array) -> Array:
    """Where on [0, h] the cubic with the losses and slopes of both ends has the value `level`."""
    f0, f1 = low.loss[0] - level, high.loss[0] - level
    d0, d1 = h * low.slope[0], h * high.slope[0]

    def value(x: Array) -> Array:
        left = (1 + 2 * x) * f0 + x * d0
        return (1 - x) ** 2 * left + x**2 * ((3 - 2 * x) * f1 + (x - 1) * d1)

    def halve(_: Array, pair: tuple[Array, Array]) -> tuple[Array, Array]:
        a, b = pair
        middle = (a + b) / 2
        above = value(middle) > 0
        return jnp.where(above, middle, a), jnp.where(above, b, middle)

    a, b = lax.fori_loop(0, 20, halve, (jnp.zeros(()), jnp.ones(())))
    return h * (a + b) / 2
