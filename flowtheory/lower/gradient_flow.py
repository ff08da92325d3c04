r"""The gradient flow of a two-layer network on data, its functions lowered from the symbolic layer.

This is where the definition in index notation becomes the problem that `flow` integrates: nothing
is written a second time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from flowtheory.clock import Clock, Reduction
from flowtheory.errors import ParameterError
from flowtheory.flow import GradientFlow
from flowtheory.flow.field import Model, TwoLayer
from flowtheory.lower.networks import PATTERN, of_parameters
from flowtheory.lower.smooth import sample_loss
from flowtheory.symbolic.activation import Activation
from flowtheory.symbolic.expression import IndexedBase
from flowtheory.symbolic.index import tensor
from flowtheory.symbolic.kinks import freeze
from flowtheory.symbolic.loss import Loss, find_loss
from flowtheory.symbolic.network import SAMPLE, SAMPLES, WIDTH
from flowtheory.symbolic.networks.fully_connected import two_layer


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
        ParameterError: an activation without a kink.
    """
    if not two_layer(activation).surfaces:
        raise ParameterError(
            f"{activation} is smooth",
            expected="an activation with a kink at 0, such as relu",
            fix='flowtheory.GradientFlow(fully_connected(2, "tanh"), ...) takes any network',
        )
    model = two_layer_model(activation, loss)
    slope = float(find_loss(loss).reference_slope)
    functions = (_held(activation, PATTERN), model.outputs, model.sample_loss)
    return GradientFlow(*functions, x, y, Clock(reduction, slope))


@cache
def two_layer_model(activation: str | Activation, loss: str | Loss) -> Model:
    r"""The functions of $\sum_j v_j\,\sigma(\langle w_j, x\rangle)$, and of one sample's loss.

    Cached: problems of a sweep share function objects, and with them compiled code. Preactivations
    and patterns are of shape (n, h): steps of many neurons on few samples take half the time that
    they take with the samples last. For a smooth activation both kinds of outputs are the same.

    Args:
        activation: name of an activation, or an expression in z.
        loss: name of a loss, or one.

    Raises:
        UnknownNameError: no such loss or activation.
        ParameterError: a string that is no expression in z.
    """
    network = two_layer(activation)
    live = of_parameters(network, network.output, (network.inputs.base,), (SAMPLE,))

    def outputs(params: Any, x: Any) -> Any:
        return live({"W": params.W, "v": params.v}, x)

    frozen_outputs = _held(activation, tensor("P", SAMPLES, WIDTH))
    return Model(frozen_outputs, outputs, sample_loss(find_loss(loss)), _preactivations)


def _preactivations(params: TwoLayer, x: Float[Array, "n D"]) -> Float[Array, "n h"]:
    # Contracted as the lowered outputs are, so that XLA computes both once.
    return jnp.einsum("id,jd->ij", x, params.W)


@cache
def _held(activation: str | Activation, pattern: IndexedBase) -> Callable[..., Any]:
    """The outputs as a function of the parameters, inputs and activation pattern."""
    network = two_layer(activation)
    data = (network.inputs.base, pattern)
    held = of_parameters(network, freeze(network.output, pattern), data, (SAMPLE,))

    def frozen_outputs(params: Any, x: Any, pattern: Any) -> Any:
        return held({"W": params.W, "v": params.v}, x, pattern)

    return frozen_outputs
