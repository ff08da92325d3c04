r"""Attacks on the bound of the distance: data, weights and scale, over a window of some length.

The numbers of a case: inputs, labels, (a, w) of each of three neurons, and the decimal logarithm of
their scale. Its window is the one of the largest ratio among those that lose a given part of the
loss at zero output. Short windows attain the bound; long ones do where the flow is straight.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sympy as sp
from jaxtyping import Float

from flowtheory.engine.gradient_flow import GradientFlow
from flowtheory.judge import Evidence
from flowtheory.laws.attack import Attack
from flowtheory.laws.linear_growth import growth
from flowtheory.laws.wasserstein_motion.experiments import NETWORK, descended, ratios, window

s, t = sp.symbols("s t", nonnegative=True)
m = sp.Symbol("m", integer=True, positive=True)
L_s, L_t = sp.symbols("L_s L_t", nonnegative=True)
BOUND = (t - s) * (L_s - L_t) / m

LAW = "wasserstein-motion"
SAMPLES, DIMENSION, NEURONS = 3, 2, 3
_SPACING = 0.02  # of the rows, in units of 1/lambda
_WEAK = 1e-2  # growth rate at zero output below which a run takes too long


def attacks() -> tuple[Attack, ...]:
    """One for each part of the loss."""
    inputs, labels = [(-2.0, 2.0)] * (SAMPLES * DIMENSION), [(-2.0, 2.0)] * SAMPLES
    weights = [(-1.0, 1.0)] * (NEURONS * (DIMENSION + 1))
    return tuple(
        Attack(
            name=f"windows that lose {part:g} of the loss",
            law=LAW,
            bound=BOUND,
            upper=True,
            box=(*inputs, *labels, *weights, (-2.0, 0.0)),
            case=_measured(part),
            generations=generations,
        )
        for part, generations in ((0.1, (0, 4, 30)), (0.3, (0, 8, 60)))
    )


def _measured(part: float) -> Callable[[Float[np.ndarray, " numbers"]], Evidence | None]:
    def case(numbers: Float[np.ndarray, " numbers"]) -> Evidence | None:
        inputs, labels, weights, (scale,) = np.split(
            numbers, np.cumsum([SAMPLES * DIMENSION, SAMPLES, NEURONS * (DIMENSION + 1)])
        )
        x, grid = inputs.reshape(SAMPLES, DIMENSION), weights.reshape(NEURONS, DIMENSION + 1)
        flow = GradientFlow(NETWORK, "half_mse", x=x, y=labels)
        if growth(flow).rate < _WEAK:
            return None
        run = descended(
            flow, {"W": 10.0**scale * grid[:, 1:], "v": 10.0**scale * grid[:, 0]}, _SPACING
        )
        ratio, lost = ratios(run)
        ratio = np.where(lost > part * flow.plateau(run.params), ratio, 0.0)
        i, j = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
        return window(run, int(i), int(j)) if ratio[i, j] > 0 else None

    return case
