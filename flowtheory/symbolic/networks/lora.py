r"""Low-rank adaptation: a product of small trained factors on top of a given matrix."""

from __future__ import annotations

from typing import Literal

from flowtheory.symbolic.expression import Indexed
from flowtheory.symbolic.index import index, size, tensor
from flowtheory.symbolic.network import COORDINATE, INPUT_DIMENSION, SAMPLE, SAMPLES, Network
from flowtheory.symbolic.networks.layer import Axis, linear_layer, output_axes, require_layers


def lora(layers: int = 2, *, output: Literal["scalar", "vector"] = "vector") -> Network:
    r"""$f(x) = (W_0 + B A)\,x$ with $W_0$ given; in general $W_0 + A_L \cdots A_1$, $L$ = `layers`.

    With two factors these are `A` [R, D] and `B` [C, R], $R$ the rank; with more, `A1` [R1, D],
    `A2` [R2, R1], ..., `AL` [C, R(L-1)]. The constant `W0` is [C, D]. A scalar output has
    no axis C. At small factors the output is $W_0 x$, and the weights of the data are the slopes
    of the loss there (Hu et al. 2021; the gradient flow is that of Xu et al. 2025).

    Raises:
        ParameterError: `layers` is no integer of at least 1, or `output` is neither kind.
    """
    require_layers(layers)
    x = tensor("x", SAMPLES, INPUT_DIMENSION)[SAMPLE, COORDINATE]
    outputs, start = output_axes(output), (COORDINATE, INPUT_DIMENSION)
    given, base = linear_layer("W0", x, start, outputs)
    signal, axis = x, start
    factors: list[Indexed] = []
    for layer in range(1, layers + 1):
        rank = _rank(layer, layers)
        after = outputs if layer == layers else (rank,)
        name = "AB"[layer - 1] if layers == 2 else f"A{layer}"
        factor, signal = linear_layer(name, signal, axis, after)
        factors.append(factor)
        axis = rank
    return Network(
        name=f"low-rank adaptation with {layers} factors",
        output=base + signal,
        parameters=tuple(factors),
        inputs=x,
        axes=((SAMPLE, SAMPLES), *outputs),
        constants=(given,),
    )


def _rank(layer: int, layers: int) -> Axis:
    mark = "" if layers == 2 else str(layer)
    return index(f"r{mark}_1"), size(f"R{mark}")
