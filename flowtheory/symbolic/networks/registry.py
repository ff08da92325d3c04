"""The registry of architectures: one row each, walked by the common test suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flowtheory.errors import ParameterError, unknown_name
from flowtheory.symbolic.network import Network
from flowtheory.symbolic.networks.fully_connected import fully_connected
from flowtheory.symbolic.networks.linear import deep_linear, diagonal_linear, matrix_factorization


@dataclass(frozen=True)
class Architecture:
    """A family of networks.

    Attributes:
        build: From the number of layers (and an activation, if it takes one) to the network.
        takes_activation: Whether the activation is free.
        summary: What it is, in one line.
    """

    build: Callable[..., Network]
    takes_activation: bool
    summary: str


def _vector(layers: int, activation: Any = "tanh") -> Network:
    return fully_connected(layers, activation, output="vector")


ARCHITECTURES: Mapping[str, Architecture] = {
    "fully-connected": Architecture(fully_connected, True, "scalar output, no biases"),
    "fully-connected-vector": Architecture(_vector, True, "several outputs, no biases"),
    "deep-linear": Architecture(deep_linear, False, "product of matrices, on data"),
    "matrix-factorization": Architecture(matrix_factorization, False, "product of matrices"),
    "diagonal-linear": Architecture(diagonal_linear, False, "product of weights per coordinate"),
}
"""Name -> architecture."""


def find_network(name: str, layers: int = 2, activation: Any = None) -> Network:
    """The network of the architecture called `name`.

    Args:
        name: A key of `ARCHITECTURES`.
        layers: The number of weight layers.
        activation: As `find_activation` takes it; None for the default.

    Raises:
        UnknownNameError: No such architecture.
        ParameterError: An activation for a linear architecture, or `layers` is not positive.
    """
    if name not in ARCHITECTURES:
        raise unknown_name("architecture", name, ARCHITECTURES)
    row = ARCHITECTURES[name]
    if activation is None:
        return row.build(layers)
    if not row.takes_activation:
        raise ParameterError(
            f"{name} was given the activation {activation!r}",
            expected="no activation: it is linear",
            fix="use fully-connected",
        )
    return row.build(layers, activation)
