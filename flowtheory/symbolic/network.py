r"""Architectures, each defined once: the output in index notation with symbolic sizes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import Activation, find_activation
from flowtheory.symbolic.expression import Expr, Indexed, IndexedBase
from flowtheory.symbolic.index import index, size, sum_over, tensor
from flowtheory.symbolic.kinks import Surface, switching_surfaces
from flowtheory.symbolic.loss import Loss

WIDTH, INPUT_DIMENSION, SAMPLES = size("h"), size("D"), size("n")
NEURON, COORDINATE, SAMPLE = index("j"), index("p"), index("i")


@dataclass(frozen=True)
class Network:
    """A network on a data set, as an expression with symbolic sizes.

    Attributes:
        name: What it is.
        output: The output $f_i$ at sample $i$; its only free index is `SAMPLE`.
        parameters: The generic entry of every parameter tensor, such as $W_{jp}$.
        inputs: The generic entry $x_{ip}$ of the data.
        activation: Its nonlinearity.
    """

    name: str
    output: Expr
    parameters: tuple[Indexed, ...]
    inputs: Indexed
    activation: Activation

    @property
    def bases(self) -> tuple[IndexedBase, ...]:
        """The parameter tensors."""
        return tuple(entry.base for entry in self.parameters)

    def parameter(self, name: str) -> Indexed:
        """The generic entry of the parameter tensor called `name`."""
        for entry in self.parameters:
            if str(entry.base) == name:
                return entry
        raise ParameterError(
            f"{self.name} has no parameter {name!r}",
            expected=f"one of {', '.join(str(base) for base in self.bases)}",
            fix="check the spelling",
        )

    @cached_property
    def surfaces(self) -> tuple[Surface, ...]:
        """Where the gradient jumps."""
        return switching_surfaces(self.output)


def labels() -> Indexed:
    """The label $y_i$."""
    return tensor("y", SAMPLES)[SAMPLE]


def total_loss(network: Network, loss: Loss) -> Expr:
    r"""$L = \sum_{i=1}^n \ell(y_i, f_i)$."""
    return sum_over(loss(labels(), network.output), (SAMPLE, SAMPLES))


def mean_loss(network: Network, loss: Loss) -> Expr:
    r"""$L = \frac1n \sum_{i=1}^n \ell(y_i, f_i)$."""
    return total_loss(network, loss) / SAMPLES


def two_layer(sigma: str | Activation = "relu") -> Network:
    r"""$f_i = \sum_{j=1}^h v_j\, \sigma\bigl(\sum_{p=1}^D W_{jp} x_{ip}\bigr)$, without biases."""
    act = find_activation(sigma)
    W = tensor("W", WIDTH, INPUT_DIMENSION)[NEURON, COORDINATE]
    v = tensor("v", WIDTH)[NEURON]
    x = tensor("x", SAMPLES, INPUT_DIMENSION)[SAMPLE, COORDINATE]
    hidden = act(sum_over(W * x, (COORDINATE, INPUT_DIMENSION)))
    output = sum_over(v * hidden, (NEURON, WIDTH))
    return Network(f"two-layer {act.name} network", output, (W, v), x, act)
