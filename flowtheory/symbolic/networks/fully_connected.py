r"""Fully connected networks of any depth, with or without biases, one or several outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import ANY_ACTIVATION, Activation, find_activation
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.index import tensor
from flowtheory.symbolic.network import (
    COORDINATE,
    INPUT_DIMENSION,
    SAMPLE,
    SAMPLES,
    Network,
)
from flowtheory.symbolic.networks.layer import (
    hidden_axis,
    linear_layer,
    output_axes,
    output_name,
    require_layers,
    weight_name,
)


def two_layer(sigma: str | Expr | Activation = "relu") -> Network:
    r"""$f_i = \sum_{j=1}^h v_j\, \sigma\bigl(\sum_{p=1}^D W_{jp} x_{ip}\bigr)$, without biases."""
    return fully_connected(2, sigma)


def fully_connected(
    layers: int,
    activation: str | Expr | Activation = "tanh",
    *,
    output: Literal["scalar", "vector"] = "scalar",
    biases: bool | Sequence[bool] = False,
) -> Network:
    r"""$f = v^\top \sigma(W_{L-1} \cdots \sigma(W_1 x + b_1)) + b_L$, or with $W_L$ for $v^\top$.

    Args:
        layers: The number $L \ge 1$ of weight layers; there are $L - 1$ hidden layers.
        activation: The activation of every hidden layer: a name, an expression in z, or an object.
        output: "scalar", $f_i$ with the last layer a vector $v$; or "vector", $f_{io}$ with a
            matrix, $o = 1, \dots, C$.
        biases: Whether layers have a bias: one answer for all, or one for each layer, the last one
            of which is that of the output.

    With one hidden layer the tensors are `W` [h, D] and `v` [h]; with more, `W1` [h1, D], `W2`
    [h2, h1], ..., `v`. The matrix of a vector output is `V` [C, h]. Biases are `b1`, ..., `bL`;
    that of a scalar output has no axis.

    Raises:
        ParameterError: `layers` is not a positive integer, `output` is neither kind, or the number
            of biases is not that of the layers.
    """
    sigma = find_activation(activation)
    require_layers(layers)
    outputs = output_axes(output)
    with_bias = _biases(biases, layers)
    x = tensor("x", SAMPLES, INPUT_DIMENSION)[SAMPLE, COORDINATE]
    signal, axis = x, (COORDINATE, INPUT_DIMENSION)
    parameters: list[tuple[Indexed, ...]] = []
    for layer in range(1, layers + 1):
        after = outputs if layer == layers else (hidden_axis(layer, layers),)
        entry, signal = linear_layer(_name(layer, layers, output), signal, axis, after)
        group: tuple[Indexed, ...] = (entry,)
        if with_bias[layer - 1]:
            bias = tensor(f"b{layer}", *(s for _, s in after))[tuple(i for i, _ in after)]
            signal, group = signal + bias, (entry, bias)
        parameters.append(group)
        if layer < layers:
            signal, (axis,) = ANY_ACTIVATION(signal), after
    return Network(
        name=f"{_COUNTS.get(layers, f'{layers}-layer')} {sigma.name} network"
        + (" with biases" if any(with_bias) else ""),
        output=signal,
        parameters=tuple(entry for group in parameters for entry in group),
        inputs=x,
        axes=((SAMPLE, SAMPLES), *outputs),
        groups=tuple(tuple(str(entry.base) for entry in group) for group in parameters),
    ).with_activation(sigma)


_COUNTS = {1: "one-layer", 2: "two-layer", 3: "three-layer", 4: "four-layer"}


def _biases(biases: bool | Sequence[bool], layers: int) -> tuple[bool, ...]:
    given = (biases,) * layers if isinstance(biases, bool) else tuple(biases)
    if len(given) != layers or not all(isinstance(b, bool) for b in given):
        raise ParameterError(
            f"biases is {biases!r}",
            expected=f"True, False, or {layers} of them, one for each layer",
            fix=f"biases={(True,) * (layers - 1) + (False,)} leaves out that of the output",
        )
    return given


def _name(layer: int, layers: int, output: str) -> str:
    if layer == layers:
        return output_name(output)
    return weight_name(layer, layers)
