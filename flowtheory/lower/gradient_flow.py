r"""The gradient flow of a two-layer network on data, its functions lowered from the symbolic layer.

This is where the definition in index notation becomes the problem that `flow` integrates: nothing
is written a second time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float

from flowtheory.clock import Clock, Reduction
from flowtheory.flow import GradientFlow
from flowtheory.lower.networks import two_layer_functions
from flowtheory.lower.smooth import sample_loss
from flowtheory.symbolic.activation import Activation
from flowtheory.symbolic.loss import Loss, find_loss


def gradient_flow(
    x: Float[np.ndarray, "n D"],
    y: Float[np.ndarray, " n"],
    *,
    loss: str | Loss = "exponential",
    activation: str | Activation = "relu",
    reduction: Reduction = "sum",
) -> GradientFlow:
    r"""The exact gradient flow of $f(x) = \sum_j v_j\,\sigma(\langle w_j, x\rangle)$.

    Args:
        x: inputs, one row a sample.
        y: labels -1 or +1.
        loss: name of a loss with a constant slope $c_0$ at zero output ($-\partial_f\ell(y, 0) =
            c_0 y$): "exponential", "logistic", "two_logistic".
        activation: name of a 1-homogeneous activation.
        reduction: sum or mean over samples; with the loss's slope it fixes the clock.

    Raises:
        DataError: as `GradientFlow`.
        UnknownNameError: no such loss or activation.
    """
    frozen_outputs, outputs, of_sample = _functions(activation, loss)
    slope = float(find_loss(loss).reference_slope)
    return GradientFlow(frozen_outputs, outputs, of_sample, x, y, Clock(reduction, slope))


@cache
def _functions(
    activation: str | Activation, loss: str | Loss
) -> tuple[Callable, Callable, Callable]:
    """Cached, so that problems of a sweep share function objects and with them compiled code."""
    functions = two_layer_functions(activation, loss)
    of_sample = sample_loss(find_loss(loss))

    def frozen_outputs(params: Any, x: Any, pattern: Any) -> Any:
        return functions.frozen_outputs({"W": params.W, "v": params.v}, x, pattern)

    def outputs(params: Any, x: Any) -> Any:
        return functions.outputs({"W": params.W, "v": params.v}, x)

    return frozen_outputs, outputs, of_sample
