"""A network, defined once: the output in index notation with symbolic sizes; its loss on data.

The architectures are in `networks`, one a file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from sympy import S, Symbol

from flowtheory.clock import Reduction
from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import Activation, with_activation
from flowtheory.symbolic.expression import Expr, Indexed, IndexedBase
from flowtheory.symbolic.index import index, size, sum_over, tensor
from flowtheory.symbolic.kinks import Surface, switching_surfaces
from flowtheory.symbolic.loss import Axes, Loss

WIDTH, INPUT_DIMENSION, SAMPLES = size("h"), size("D"), size("n")
NEURON, COORDINATE, SAMPLE = index("j"), index("p"), index("i")
CLASSES, CLASS = size("C"), index("o")


@dataclass(frozen=True)
class Network:
    r"""A network on a data set, as an expression with symbolic sizes.

    Attributes:
        name: What it is.
        output: The output $f_i$ at sample $i$, or $f_{io}$ for several outputs.
        parameters: The generic entry of every parameter tensor, such as $W_{jp}$.
        inputs: The generic entry $x_{ip}$ of the data; None if the network takes no inputs.
        axes: The free indices of `output` with their sizes.
        groups: The layers, each the names of the tensors that belong to it; empty if every tensor
            is a layer of its own.
        constants: Generic entries of given tensors that are not trained, such as $W_0$ of LoRA.
        further_inputs: The data of branches other than the first.
        activation: The activation of all hidden layers, if there is one.
        sketch: The output with $\sigma$ in place of the activation, to be read.
    """

    name: str
    output: Expr
    parameters: tuple[Indexed, ...]
    inputs: Expr = None
    axes: Axes = ((SAMPLE, SAMPLES),)
    groups: tuple[tuple[str, ...], ...] = ()
    constants: tuple[Indexed, ...] = ()
    further_inputs: tuple[Indexed, ...] = ()
    activation: Activation | None = None
    sketch: Expr = None

    def with_activation(self, sigma: Activation) -> Network:
        r"""The network with $\sigma$ in place of the arbitrary activation that it has."""
        filled = with_activation(self.output, sigma)
        return replace(self, output=filled, activation=sigma, sketch=self.output)

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        """The real parameters that stay symbols, such as the slope of a leaky ReLU."""
        indices = {i for entry in self.output.atoms(Indexed) for i in entry.indices}
        labels = {entry.base.label for entry in self.output.atoms(Indexed)}
        sizes = {s for entry in self.output.atoms(Indexed) for s in entry.shape}
        free = {s for s in self.output.free_symbols if type(s) is Symbol}
        return tuple(sorted(free - indices - labels - sizes, key=str))

    @property
    def layers(self) -> tuple[tuple[Indexed, ...], ...]:
        """The parameters layer by layer, from the input to the output."""
        groups = self.groups or tuple((str(base),) for base in self.bases)
        return tuple(tuple(self.parameter(name) for name in group) for group in groups)

    @property
    def bases(self) -> tuple[IndexedBase, ...]:
        """The parameter tensors."""
        return tuple(entry.base for entry in self.parameters)

    @property
    def data(self) -> tuple[IndexedBase, ...]:
        """The tensors of constants, inputs and labels."""
        return tuple(e.base for e in (*self.constants, *self.all_inputs, self.labels))

    @property
    def all_inputs(self) -> tuple[Indexed, ...]:
        """The generic entries of the inputs, one for every branch."""
        return (() if self.inputs is None else (self.inputs,)) + self.further_inputs

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
    (sample, *classes), y, f = network.axes, network.labels, network.output
    return sum_over(loss.of_sample(y, f, tuple(classes)), sample)


def sample_share(network: Network, reduction: Reduction) -> Expr:
    """The weight of a sample: 1 for a sum, $1/n$ for a mean."""
    return 1 / network.axes[0][1] if reduction == "mean" else S.One


def mean_loss(network: Network, loss: Loss) -> Expr:
    r"""$L = \frac1n \sum_{i=1}^n \ell(y_i, f_i)$."""
    return sample_share(network, "mean") * total_loss(network, loss)


def reduced_loss(network: Network, loss: Loss, reduction: Reduction | None = None) -> Expr:
    """The total or the mean loss; without a `reduction`, as the loss says."""
    return sample_share(network, reduction or loss.reduction) * total_loss(network, loss)
