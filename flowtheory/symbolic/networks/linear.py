r"""Linear networks: a product of parameters in place of one, which changes the dynamics only."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.index import sum_over, tensor
from flowtheory.symbolic.network import (
    CLASS,
    CLASSES,
    COORDINATE,
    INPUT_DIMENSION,
    SAMPLE,
    SAMPLES,
    Network,
)
from flowtheory.symbolic.networks.fully_connected import fully_connected
from flowtheory.symbolic.networks.layer import require_layers


def deep_linear(layers: int, *, output: Literal["scalar", "vector"] = "vector") -> Network:
    r"""$f(x) = W_L \cdots W_1 x$ with $L$ = `layers`, on data; tensors as in `fully_connected`."""
    network = fully_connected(layers, "identity", output=output)
    return replace(network, name=f"deep linear network of {layers} layers")


def matrix_factorization(layers: int) -> Network:
    r"""$f = W_L \cdots W_1$, a $C \times D$ matrix: every entry $(o, p)$ is an output.

    The label $y_{op}$ is the entry of the matrix to be factorized. The tensors are those of
    `deep_linear`.
    """
    network = deep_linear(layers)
    first, *rest = network.parameters
    product: Expr = first
    for weight in rest:
        shared = weight.indices[1]
        product = sum_over(weight * product, (shared, weight.shape[1]))
    return Network(
        name=f"matrix factorization of {layers} factors",
        output=product,
        parameters=network.parameters,
        inputs=None,
        axes=((CLASS, CLASSES), (COORDINATE, INPUT_DIMENSION)),
    )


def diagonal_linear(layers: int = 2) -> Network:
    r"""$f_i = \sum_p \beta_p x_{ip}$ with $\beta_p = \prod_{l=1}^L u^{(l)}_p$, $L$ = `layers`.

    The tensors are u1, ..., uL, each of shape [D].
    """
    require_layers(layers)
    x = tensor("x", SAMPLES, INPUT_DIMENSION)[SAMPLE, COORDINATE]
    factors: list[Indexed] = [
        tensor(f"u{layer}", INPUT_DIMENSION)[COORDINATE] for layer in range(1, layers + 1)
    ]
    product: Expr = x
    for factor in factors:
        product = product * factor
    return Network(
        name=f"diagonal linear network of {layers} layers",
        output=sum_over(product, (COORDINATE, INPUT_DIMENSION)),
        parameters=tuple(factors),
        inputs=x,
    )
