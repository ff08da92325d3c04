"""One linear layer in index notation, from which the architectures are put together."""

from __future__ import annotations

from typing import Any

from sympy import Symbol

from flowtheory.errors import ParameterError
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.index import index, size, sum_over, tensor
from flowtheory.symbolic.loss import Axes
from flowtheory.symbolic.network import CLASS, CLASSES, NEURON, WIDTH

Axis = tuple[Symbol, Expr]
"""An index symbol with the size of its axis."""


def linear_layer(name: str, signal: Expr, axis: Axis, after: Axes) -> tuple[Indexed, Expr]:
    r"""The generic entry of a new tensor $W$ and the signal $\sum_p W_{jp} s_p$.

    Args:
        name: What the tensor is called.
        signal: $s_p$.
        axis: The axis of `signal` that is summed.
        after: The axes of the new signal, which come first in the tensor.
    """
    axes = (*after, axis)
    entry = tensor(name, *(extent for _, extent in axes))[tuple(i for i, _ in axes)]
    return entry, sum_over(entry * signal, axis)


def hidden_axis(layer: int, layers: int, branch: str = "") -> Axis:
    """The axis of a hidden layer; the only one of a network is called j, of size h."""
    if branch:
        mark = branch if layers == 2 else f"{branch}{layer}"
        return index(f"j_{mark}"), size(f"h_{mark}")
    if layers == 2:
        return NEURON, WIDTH
    return index(f"j_{layer}"), size(f"h{layer}")


def output_axes(output: str) -> Axes:
    """The axes of the output of a sample, "scalar" or "vector"."""
    require_choice("output", output, ("scalar", "vector"))
    return () if output == "scalar" else ((CLASS, CLASSES),)


def output_name(output: str) -> str:
    """The last layer is a vector v or a matrix V."""
    return "v" if output == "scalar" else "V"


def weight_name(layer: int, layers: int) -> str:
    """W of the only hidden layer, W1, W2, ... of several."""
    return "W" if layers == 2 else f"W{layer}"


def require_layers(layers: Any, least: int = 1) -> None:
    """Refuse anything but an integer of at least `least`."""
    if isinstance(layers, bool) or not isinstance(layers, int) or layers < least:
        raise ParameterError(
            f"layers is {layers!r}",
            expected="the number of weight layers, "
            + ("a positive integer" if least == 1 else f"an integer of at least {least}"),
            fix="layers=2 is a network with one hidden layer",
        )


def require_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Refuse an option that is none of `choices`."""
    if value not in choices:
        raise ParameterError(
            f"{name} is {value!r}",
            expected=" or ".join(map(repr, choices)),
            fix="check the spelling",
        )
