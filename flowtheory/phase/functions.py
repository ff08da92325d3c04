"""Two-layer networks with half the mean square as their loss, as JAX functions."""

from __future__ import annotations

from functools import cache
from typing import Any

from flowtheory.flow.field import Model
from flowtheory.lower.networks import PATTERN, of_parameters
from flowtheory.lower.smooth import sample_loss
from flowtheory.symbolic.kinks import freeze
from flowtheory.symbolic.loss import find_loss
from flowtheory.symbolic.network import SAMPLE
from flowtheory.symbolic.networks.fully_connected import two_layer


@cache
def model_of(activation: str) -> Model:
    """The functions of one activation; cached, so that runs of one shape share compiled code.

    Raises:
        UnknownNameError: A plain word that names no activation.
        ParameterError: A string that is no expression in z.
    """
    network = two_layer(activation)
    x = network.inputs.base
    live = of_parameters(network, network.output, (x,), (SAMPLE,))
    held = of_parameters(network, freeze(network.output, PATTERN), (x, PATTERN), (SAMPLE,))

    def outputs(params: Any, x: Any) -> Any:
        return live({"W": params.W, "v": params.v}, x)

    def frozen_outputs(params: Any, x: Any, pattern: Any) -> Any:
        return held({"W": params.W, "v": params.v}, x, pattern)

    return Model(frozen_outputs, outputs, sample_loss(find_loss("half_mse")))
