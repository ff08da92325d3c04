r"""Convolutional networks: one kernel for all patches of an input."""

from __future__ import annotations

from typing import Literal

from flowtheory.symbolic.activation import ANY_ACTIVATION, Activation, find_activation
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.index import index, size, sum_over, tensor
from flowtheory.symbolic.network import COORDINATE, INPUT_DIMENSION, SAMPLE, SAMPLES, Network
from flowtheory.symbolic.networks.layer import (
    hidden_axis,
    linear_layer,
    require_choice,
    require_layers,
    weight_name,
)

PATCHES, PATCH = size("S"), index("t")


def convolutional(
    layers: int = 2,
    activation: str | Expr | Activation = "tanh",
    *,
    readout: Literal["patch", "mean"] = "patch",
) -> Network:
    r"""$f_i = \sum_{j,t} v_{jt}\,\sigma\bigl(\sum_p W_{jp} x_{itp}\bigr)$, $t$ the patch.

    The data are given as patches, `x` [n, S, D] with D coordinates each, so that stride, padding
    and dimension of the image are a matter of the data. The kernel W [h, D] is shared by the
    patches. Layers after the first mix the channels of a patch (convolutions of width one).

    Args:
        layers: The number $L \ge 2$ of weight layers.
        activation: The activation of every hidden layer.
        readout: "patch", weights `v` [h, S] for every channel and patch; or "mean", weights `v` [h]
            on the mean over patches, $f_i = \frac1S\sum_{j,t} v_j\,\sigma(\cdot)$.

    Raises:
        ParameterError: `layers` is no integer of at least 2, or `readout` is neither kind.
    """
    sigma = find_activation(activation)
    require_layers(layers, 2)
    require_choice("readout", readout, ("patch", "mean"))
    x = tensor("x", SAMPLES, PATCHES, INPUT_DIMENSION)[SAMPLE, PATCH, COORDINATE]
    signal, axis = x, (COORDINATE, INPUT_DIMENSION)
    parameters: list[Indexed] = []
    for layer in range(1, layers):
        after = hidden_axis(layer, layers)
        entry, signal = linear_layer(weight_name(layer, layers), signal, axis, (after,))
        parameters.append(entry)
        signal, axis = ANY_ACTIVATION(signal), after
    patches, (channel, channels) = (PATCH, PATCHES), axis
    if readout == "patch":
        v = tensor("v", channels, PATCHES)[channel, PATCH]
        output = sum_over(v * signal, axis, patches)
    else:
        v = tensor("v", channels)[channel]
        output = sum_over(v * signal, axis, patches) / PATCHES
    return Network(
        name=f"{layers}-layer convolutional {sigma.name} network",
        output=output,
        parameters=(*parameters, v),
        inputs=x,
    ).with_activation(sigma)
