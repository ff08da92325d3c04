"""The networks and losses on which the order is measured."""

from __future__ import annotations

from dataclasses import dataclass

from flowtheory.symbolic import (
    Network,
    deep_linear,
    effective_flow,
    find_activation,
    find_loss,
    fully_connected,
)
from flowtheory.symbolic.effective import EffectiveFlow
from flowtheory.symbolic.loss import LABEL, OUTPUT, Loss

NO_FEEDBACK = Loss("no feedback", -LABEL * OUTPUT)
"""The part of a loss that is linear in the output: residuals stay what they are at the saddle."""

DIMENSION, SAMPLES, WIDTH = 3, 6, 4


@dataclass(frozen=True)
class Case:
    """A network with a loss; the sizes are fixed, the weights and data are drawn."""

    label: str
    network: Network
    loss: Loss
    on_images: bool = False

    def flow(self) -> EffectiveFlow:
        """The leading flow, with the gap that is to be tested."""
        return effective_flow(self.network, self.loss)


def _case(label: str, network: Network, loss: str | Loss, on_images: bool = False) -> Case:
    return Case(f"{label}, {find_loss(loss).name}", network, find_loss(loss), on_images)


def _two(activation: str) -> Network:
    return fully_connected(2, find_activation(activation).centred())


def without_feedback() -> tuple[Case, ...]:
    """The gap is that of the network's output; those of a quick run first."""
    names = ("tanh", "gelu", "z*tanh(z)", "z**2*tanh(z)")
    return tuple(_case(name, _two(name), NO_FEEDBACK) for name in names)


def with_feedback() -> tuple[Case, ...]:
    """The gap is that of the loss; those of a quick run first."""
    tanh = _two("tanh")
    return (
        _case("softplus - ln 2", _two("softplus"), "logistic"),
        _case("deep linear, 3 layers", deep_linear(3, output="scalar"), "half_square"),
        _case("tanh", tanh, "exponential"),
        _case("gelu", _two("gelu"), "half_square"),
        _case("deep linear, 2 layers", deep_linear(2, output="scalar"), "half_square"),
        _case("tanh, 3 layers", fully_connected(3, "tanh"), "half_square"),
        _case("tanh on images", tanh, "logistic", on_images=True),
    )
