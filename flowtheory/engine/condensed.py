r"""The end of a plateau alone, from a few weighted neurons: for two smooth layers and one output.

Where only the time at which the loss has fallen is asked for (`solve(..., save=None)`), the many
neurons of a small start become the nodes of a quadrature rule (`flowtheory.flow.condense`),
and all of them are rebuilt at the end.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from flowtheory.engine.plateau import largest_entry
from flowtheory.flow import Checks, Happened, Run, Stage, Until
from flowtheory.flow.condensation import Condensed, condense
from flowtheory.flow.dormand_prince import STAGES
from flowtheory.flow.field import Samples
from flowtheory.flow.neurons import Neurons
from flowtheory.flow.plateau import Saddle, Start
from flowtheory.flow.smooth import SmoothFlow
from flowtheory.flow.trajectory import Statistics
from flowtheory.lower.smooth import sample_loss, smooth_functions
from flowtheory.outcome import Outcome
from flowtheory.symbolic.loss import Loss
from flowtheory.symbolic.network import Network

_COARSEST = 1e-3


def condenses(network: Network, loss: Loss) -> bool:
    """Whether a network is a sum over neurons (w, v) with one output and a loss per sample."""
    names = tuple(map(str, network.bases))
    smooth = not network.surfaces and not loss.couples
    return smooth and names == ("W", "v") and len(network.axes) == 1 and len(network.data) == 2


@lru_cache(maxsize=64)
def neurons(network: Network, loss: Loss) -> Neurons:
    r"""The neurons $\theta = (w, v)$ of a network, with weights."""
    outputs = smooth_functions(network, loss, "sum").outputs

    def weighted(theta: Array, weights: Array, x: Array) -> Array:
        params = {"W": theta[:, :-1], "v": weights * theta[:, -1]}
        return outputs(params, {"x": x, "y": jnp.zeros(x.shape[0])})

    return Neurons(weighted, sample_loss(loss))


def saddle(network: Network, loss: Loss, flow: SmoothFlow) -> Saddle:
    """The flow of weighted neurons and its linear part at the origin."""
    x, y = flow.data["x"], flow.data["y"]
    weight = 1.0 if flow.clock.reduction == "sum" else 1.0 / len(y)
    samples = Samples(x, y, np.float64(weight))  # type: ignore[arg-type]
    return Saddle.of(neurons(network, loss), samples, x.shape[1] + 1)


def solve_condensed(
    flow: SmoothFlow, at: Saddle, params: Any, t_end: float, until: Until, rtol: float
) -> Run | None:
    """The run's two ends; None where no level of the loss below the plateau is asked for."""
    events = until.events
    if len(events) != 1 or not events[0].falling or until.classified:
        return None
    if not events[0].level < at.linear.loss:
        return None
    if not (at.linear.condenses and rtol <= _COARSEST):
        return None
    theta = np.column_stack([params["W"], params["v"]])
    # In units of the largest weight: at 1e-300 the squares of the weights are zero.
    size = largest_entry(params)
    start = Start.of(at, theta / size, math.log(size))
    found = condense(start, events[0].level, end=t_end, rtol=rtol)
    return _run(flow, params, found, events[0].name, rtol)


def _run(flow: SmoothFlow, params: Any, found: Condensed, name: str, rtol: float) -> Run:
    theta = found.neurons.theta
    end = {"W": theta[:, :-1], "v": theta[:, -1]}
    loss = np.array([flow.energy(params), found.loss])
    sizes = np.array([_norm(params), _norm(end)])
    tried = "; ".join(f"{way.method} {way.error:.0e}" for way in found.tried)
    steps = sum(found.steps)
    stages = (
        Stage("leading flow in closed form", 0.0, found.hand_over, 0, 0.0, "small start"),
        Stage(
            f"condensation: {len(found.theta)} of {len(theta)} neurons, {found.method}",
            found.hand_over,
            found.time,
            steps * STAGES,
            found.error,
            f"only the end is asked for; estimated errors of the time: {tried}",
        ),
    )
    met = found.outcome is Outcome.EVENT
    return Run(
        times=np.array([0.0, found.time]),
        observables={"loss": loss, "norm": sizes},
        params=end,
        outcome=found.outcome,
        events=(Happened(name, found.time, False),) if met else (),
        error_estimate=found.error,
        blow_up_time=math.inf,
        stages=stages,
        checks=Checks(math.nan, 0, {}),
        clock=flow.clock,
        rtol=rtol,
        atol=0.0,
        statistics=Statistics(*found.steps, steps * STAGES, 1, math.nan),
    )


def _norm(params: Any) -> float:
    r"""$|\theta|$ in NumPy: outside a compiled program JAX compiles every operation by itself.

    A sum, no product: on a busy machine the threads of a product this small cost milliseconds.
    """
    size = largest_entry(params)
    return size * math.sqrt(sum(float(np.sum((a / size) ** 2)) for a in params.values()))
