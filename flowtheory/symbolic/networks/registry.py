"""The registry of architectures: one row each, walked by the common test suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from inspect import Parameter, signature
from typing import Any

from flowtheory.errors import ParameterError, unknown_name
from flowtheory.symbolic.network import Network
from flowtheory.symbolic.networks.convolutional import convolutional
from flowtheory.symbolic.networks.fully_connected import fully_connected
from flowtheory.symbolic.networks.late_fusion import late_fusion
from flowtheory.symbolic.networks.linear import deep_linear, diagonal_linear, matrix_factorization
from flowtheory.symbolic.networks.lora import lora
from flowtheory.symbolic.networks.prelu import prelu
from flowtheory.symbolic.networks.residual import residual


@dataclass(frozen=True)
class Architecture:
    """A family of networks.

    Attributes:
        build: From the number of layers, an activation if it takes one, and options by keyword, to
            the network.
        summary: What it is, in one line.
    """

    build: Callable[..., Network]
    summary: str

    @property
    def takes_activation(self) -> bool:
        """Whether the activation is free."""
        return "activation" in self._parameters

    @property
    def options(self) -> Mapping[str, Any]:
        """The options besides layers and activation, with their defaults."""
        return {
            name: parameter.default
            for name, parameter in self._parameters.items()
            if parameter.kind is Parameter.KEYWORD_ONLY
        }

    @cached_property
    def _parameters(self) -> Mapping[str, Parameter]:
        return signature(self.build).parameters


ARCHITECTURES: Mapping[str, Architecture] = {
    "fully-connected": Architecture(
        fully_connected, "dense layers, scalar output, without biases unless asked for"
    ),
    "fully-connected-vector": Architecture(
        partial(fully_connected, output="vector"), "dense layers, several outputs"
    ),
    "fully-connected-biases": Architecture(
        partial(fully_connected, biases=True), "dense layers, each with a bias, scalar output"
    ),
    "fully-connected-vector-biases": Architecture(
        partial(fully_connected, output="vector", biases=True),
        "dense layers, each with a bias, several outputs",
    ),
    "deep-linear": Architecture(deep_linear, "product of matrices, on data"),
    "matrix-factorization": Architecture(matrix_factorization, "product of matrices"),
    "diagonal-linear": Architecture(diagonal_linear, "product of weights per coordinate"),
    "lora": Architecture(lora, "given matrix plus a product of trained low-rank factors"),
    "late-fusion": Architecture(
        late_fusion, "two linear branches with inputs of their own, and a common trunk"
    ),
    "convolutional": Architecture(
        convolutional, "kernel shared by patches, readout per channel and patch or of the mean"
    ),
    "residual": Architecture(
        residual, "blocks that add to their input, readout trained or fixed; layers are blocks"
    ),
    "prelu": Architecture(
        prelu, "powers of ReLU, homogeneous of degree 1 in the weights of a neuron"
    ),
}
"""Name -> architecture."""


def find_network(name: str, layers: int = 2, activation: Any = None, **options: Any) -> Network:
    """The network of the architecture called `name`.

    Args:
        name: A key of `ARCHITECTURES`.
        layers: The number of weight layers, or of blocks of a residual network.
        activation: As `find_activation` takes it; None for the default.
        **options: The options of the architecture, `Architecture.options`.

    Raises:
        UnknownNameError: No such architecture.
        ParameterError: An activation for a linear architecture, an option that it does not take,
            or a value that the architecture refuses.
    """
    if name not in ARCHITECTURES:
        raise unknown_name("architecture", name, ARCHITECTURES)
    row = ARCHITECTURES[name]
    unknown = sorted(set(options) - set(row.options))
    if unknown:
        raise ParameterError(
            f"{name} was given the option {', '.join(unknown)}",
            expected=f"of the options {', '.join(row.options)}" if row.options else "no option",
            fix="leave it out, or choose the architecture that has it",
        )
    if activation is not None:
        if not row.takes_activation:
            raise ParameterError(
                f"{name} was given the activation {activation!r}",
                expected="no activation: its own is fixed or it is linear",
                fix="use fully-connected",
            )
        options["activation"] = activation
    return row.build(layers, **options)
