r"""Gradient descent with a constant step, $\theta_{n+1} = \theta_n - \eta\nabla L(\theta_n)$.

What a flow is compared with: the number of steps to a loss, and as a time $\eta n$ with the
fraction of the last step.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from flowtheory.errors import ParameterError
from flowtheory.flow.smooth import Functions, SmoothFlow, descent
from flowtheory.outcome import Outcome
from flowtheory.precision import float64


class Descended(NamedTuple):
    r"""Where gradient descent came to.

    Attributes:
        outcome: `EVENT` if the loss was reached, else `STEP_LIMIT` or `NONFINITE`.
        steps: steps taken.
        time: $\eta$ times the steps until the loss was crossed; within the last step $\ln(L_0 - L)$
            is taken as linear, $L_0$ the loss at zero output, which is exact on a plateau of
            degree 2.
        loss: after the last step.
        params: after the last step.
    """

    outcome: Outcome
    steps: int
    time: float
    loss: float
    params: Any


def gradient_descent(
    flow: SmoothFlow, params: Any, step: float, loss: float, *, max_steps: int = 10_000_000
) -> Descended:
    r"""Take steps until the loss is at most `loss`.

    Args:
        flow: network, loss and data.
        params: $\theta_0$.
        step: $\eta > 0$, in the clock of the flow.
        loss: level to stop at, below that of the start.
        max_steps: budget.

    Raises:
        ParameterError: a step or a level that makes no sense.
        DataError: parameters that are not finite, or all zero.
    """
    start = flow.start(params)
    if not (math.isfinite(step) and step > 0):
        raise ParameterError(f"step is {step!r}", expected="a finite number > 0", fix="step=0.1")
    if not loss < flow.energy(start):
        raise ParameterError(
            f"loss is {loss!r}, that of the start {flow.energy(start):.6g}",
            expected="a level below the start",
            fix="a part of the loss at zero output, as in 0.9 * flow.plateau(params)",
        )
    with float64():
        numbers = np.float64(step), np.float64(loss), np.int64(max_steps)
        at = jax.tree.map(np.asarray, _descended(flow.functions, start, flow.data, *numbers))
    before, now, plateau = float(at.before), float(at.loss), flow.plateau(start)
    outcome = Outcome.EVENT if now <= loss else Outcome.STEP_LIMIT
    if not math.isfinite(now):
        outcome = Outcome.NONFINITE
    steps = int(at.steps)
    part = 0.0
    if outcome is Outcome.EVENT:
        low, high, level = (max(plateau - value, 0.0) for value in (before, now, loss))
        logs = [math.log(value) if value > 0 else -math.inf for value in (low, high, level)]
        part = (logs[1] - logs[2]) / (logs[1] - logs[0]) if math.isfinite(sum(logs)) else 0.0
    return Descended(outcome, steps, step * (steps - part), now, at.params)


class _At(NamedTuple):
    """Where the loop is: parameters, the loss before the last step and after it, steps taken."""

    params: Any
    before: Float[Array, ""]
    loss: Float[Array, ""]
    steps: Int[Array, ""]


@partial(jax.jit, static_argnames=("functions",))
def _descended(
    functions: Functions, params: Any, data: Any, step: Array, level: Array, most: Array
) -> _At:
    def goes_on(at: _At) -> Array:
        return (at.loss > level) & (at.steps < most)

    def further(at: _At) -> _At:
        moved = jax.tree.map(
            lambda a, rate: a + step * rate, at.params, descent(functions, at.params, data)
        )
        return _At(moved, at.loss, functions.energy(moved, data), at.steps + 1)

    first = functions.energy(params, data)
    return jax.lax.while_loop(goes_on, further, _At(params, first, first, jnp.asarray(0)))
