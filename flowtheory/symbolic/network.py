"""Networks, each defined once: the output in index notation with symbolic sizes.

Here are the type, the losses on a data set and the fully connected networks; `linear_networks` has
the deep and diagonal linear ones, `architectures` the registry.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from sympy import Symbol

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import Activation, find_activation
from flowtheory.symbolic.expression import Expr, Indexed, IndexedBase
from flowtheory.symbolic.index import index, size, sum_over, tensor
from flowtheory.symbolic.kinks import Surface, switching_surfaces
from flowtheory.symbolic.loss import Loss

WIDTH, INPUT_DIMENSION, SAMPLES = size("h"), size("D"), size("n")
NEURON, COORDINATE, SAMPLE = index("j"), index("p"), index("i")
CLASSES, CLASS = size("C"), index("o")

Axes = tuple[tuple[Symbol, Expr], ...]


@dataclass(frozen=True)
class Network:
    """A network on a data set, as an expression with symbolic sizes.

    Attributes:
        name: What it is.
        output: The output $f_i$ at sample $i$, or $f_{io}$ for several outputs.
        parameters: The generic entry of every parameter tensor, such as $W_{jp}$.
        inputs: The generic entry $x_{ip}$ of the data; None if the network takes no inputs.
        activation: Its nonlinearity.
        axes: The free indices of `output` with their sizes.
    """

    name: str
    output: Expr
    parameters: tuple[Indexed, ...]
    inputs: Expr
    activation: Activation
    axes: Axes = ((SAMPLE, SAMPLES),)

    @property
    def bases(self) -> tuple[IndexedBase, ...]:
        """The parameter tensors."""
        return tuple(entry.base for entry in self.parameters)

    @property
    def data(self) -> tuple[IndexedBase, ...]:
        """The tensors of inputs and labels."""
        inputs = () if self.inputs is None else (self.inputs.base,)
        return (*inputs, self.labels.base)

    @property
    def labels(self) -> Indexed:
        """The generic entry of the labels, with the free indices of the output."""
        return self.per_output("y")

    def per_output(self, name: str) -> Indexed:
        """The generic entry of a tensor `name` that has the axes of the output."""
        return tensor(name, *(extent for _, extent in self.axes))[tuple(i for i, _ in self.axes)]

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
    r"""$L = \sum_{i=1}^n \ell(y_i, f_i)$; several outputs of a sample are summed as well."""
    return sum_over(loss(network.labels, network.output), *network.axes)


def mean_loss(network: Network, loss: Loss) -> Expr:
    r"""$L = \frac1n \sum_{i=1}^n \ell(y_i, f_i)$."""
    return total_loss(network, loss) / network.axes[0][1]


def two_layer(sigma: str | Expr | Activation = "relu") -> Network:
    r"""$f_i = \sum_{j=1}^h v_j\, \sigma\bigl(\sum_{p=1}^D W_{jp} x_{ip}\bigr)$, without biases."""
    return fully_connected(2, sigma)


def fully_connected(
    layers: int,
    activation: str | Expr | Activation = "tanh",
    *,
    output: Literal["scalar", "vector"] = "scalar",
) -> Network:
    r"""$f = v^\top \sigma(W_{L-1} \cdots \sigma(W_1 x))$, or $W_L \sigma(\cdots)$; without biases.

    Args:
        layers: The number $L \ge 1$ of weight layers; there are $L - 1$ hidden layers.
        activation: The activation of every hidden layer: a name, an expression in z, or an object.
        output: "scalar", $f_i$ with the last layer a vector $v$; or "vector", $f_{io}$ with a
            matrix, $o = 1, \dots, C$.

    With one hidden layer the tensors are `W` [h, D] and `v` [h]; with more, `W1` [h1, D], `W2`
    [h2, h1], ..., `v`. The matrix of a vector output is `V` [C, h].

    Raises:
        ParameterError: `layers` is not a positive integer, or `output` is neither kind.
    """
    sigma = find_activation(activation)
    require_layers(layers)
    if output not in ("scalar", "vector"):
        raise ParameterError(
            f"output is {output!r}", expected="'scalar' or 'vector'", fix="check the spelling"
        )
    x = tensor("x", SAMPLES, INPUT_DIMENSION)[SAMPLE, COORDINATE]
    signal, axis, parameters = x, (COORDINATE, INPUT_DIMENSION), []
    for layer in range(1, layers):
        neuron = _hidden_axis(layer, layers)
        name = "W" if layers == 2 else f"W{layer}"
        weight = tensor(name, neuron[1], axis[1])[neuron[0], axis[0]]
        signal, axis = sigma(sum_over(weight * signal, axis)), neuron
        parameters.append(weight)
    last = (
        tensor("v", axis[1])[axis[0]]
        if output == "scalar"
        else tensor("V", CLASSES, axis[1])[CLASS, axis[0]]
    )
    axes: Axes = ((SAMPLE, SAMPLES), (CLASS, CLASSES))
    return Network(
        name=f"{_COUNTS.get(layers, f'{layers}-layer')} {sigma.name} network",
        output=sum_over(last * signal, axis),
        parameters=(*parameters, last),
        inputs=x,
        activation=sigma,
        axes=axes[:1] if output == "scalar" else axes,
    )


def require_layers(layers: int) -> None:
    """Refuse anything but a positive integer."""
    if isinstance(layers, bool) or not isinstance(layers, int) or layers < 1:
        raise ParameterError(
            f"layers is {layers!r}",
            expected="the number of weight layers, a positive integer",
            fix="layers=2 is a network with one hidden layer",
        )


_COUNTS = {1: "one-layer", 2: "two-layer", 3: "three-layer", 4: "four-layer"}


def _hidden_axis(layer: int, layers: int) -> tuple[Symbol, Expr]:
    """The index and the size of a hidden layer; the only one is called j, of size h."""
    if layers == 2:
        return NEURON, WIDTH
    return index(f"j_{layer}"), size(f"h{layer}")
