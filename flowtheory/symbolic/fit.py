r"""The constant that a network fits first, and the flow that is left when it stays fitted.

If the output has a part of first order $g(\theta)$ that is the same for all samples, an output
bias or $\sigma(0)\sum_j v_j$, the origin is no saddle: within a time of order 1, whatever
$\varepsilon$, the output moves along $\nabla g$ to the constant $s$ that fits best,
$\sum_i \partial_f\ell(y_i, s) = 0$. A leading part of degree $k > 2$ is slow, and from then on
the constant follows at once, so that

$$\dot\theta = \nabla H - \sum_o \frac{\langle\nabla g_o, \nabla H\rangle}{|\nabla g_o|^2}
  \nabla g_o,\qquad H = \sum_i c_i f_i, \quad \sum_i c_i = 0.$$

For $k = 2$ both are as fast, and $H$ keeps the misfit $-\frac12\sum_i h_i(g - s)^2$ if $H$ drives
$g$. An output bias is not driven by $H$. With $\sigma(0) \ne 0$ and $s \ne 0$ the last layer has
moved by $O(1/h)$ when the fit is over, which is small in a wide network, but not small with
$\varepsilon$.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sympy import Add, Eq, KroneckerDelta, Mul, S, Symbol, expand

from flowtheory.errors import ParameterError
from flowtheory.symbolic.contract import contract
from flowtheory.symbolic.differentiate import gradient
from flowtheory.symbolic.expand import expand_in_scale
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.field import VectorField
from flowtheory.symbolic.index import apart, substitute, sum_over, tensor, tidy
from flowtheory.symbolic.loss import Axes, twin
from flowtheory.symbolic.network import Network
from flowtheory.symbolic.normal import normal


@dataclass(frozen=True)
class ConstantFit:
    r"""The first stage of a network whose output can follow a constant at first order.

    Attributes:
        direction: $g$, linear in the parameters, with the axes of the outputs.
        level: $s$, the output at the saddle; one for every output.
        condition: $\sum_i c_i = 0$, which determines $s$.
        shift: By how much every entry has moved when the stage is over, by generic entry:
            $s\,\partial g/|\nabla g|^2$ for a start at zero.
        square: $|\nabla g_o|^2$, the same number for every output.
        classes: The indices of the outputs with their number.
    """

    direction: Expr
    level: Expr
    condition: Expr
    shift: Mapping[Indexed, Expr]
    square: Expr
    classes: Axes

    def multiplier(self, field: VectorField) -> Expr:
        r"""$\langle\nabla g_o, F\rangle/|\nabla g_o|^2$ for the `field` $F$."""
        along = S.Zero
        for entry, rate in field.components:
            if rate == 0:
                continue
            other = apart(entry, _outputs(self.classes))
            there = substitute(rate, dict(zip(entry.indices, other.indices, strict=True)))
            axes = zip(other.indices, other.shape, strict=True)
            along += sum_over(gradient(self.direction, other) * there, *axes)
        return tidy(contract(expand(contract(along)))) / self.square

    def project(self, field: VectorField, multiplier: Expr) -> VectorField:
        r"""`field` without its part along $\nabla g$."""
        changes = (
            (entry, rate, _pull_back(self.direction, multiplier, entry, self.classes))
            for entry, rate in field.components
        )
        return VectorField(tuple((e, tidy(contract(rate - change))) for e, rate, change in changes))


def constant_fit(network: Network, slope: Expr, level: Expr) -> ConstantFit | None:
    r"""The fit of a constant by `network`, or None if its first-order part is none or no constant.

    Args:
        network: The network.
        slope: $c_i$ in terms of the labels and the level.
        level: $s$.
    """
    scales = dict.fromkeys(network.bases, 1)
    direction = expand_in_scale(network.output, scales, 1)[1]
    sample, *classes = network.axes
    if direction == 0 or sample[0] in direction.free_symbols:
        return None
    axes = tuple(classes)
    steps = {
        entry: step
        for entry in network.parameters
        if (step := gradient(direction, apart(entry, _outputs(axes)))) != 0
    }
    square = _square(steps, axes)
    shift = {entry: tidy(_pull_back(direction, level, entry, axes)) / square for entry in steps}
    condition = Eq(sum_over(slope, sample), S.Zero, evaluate=False)
    return ConstantFit(direction, level, condition, shift, square, axes)


def fitted_level(network: Network) -> Expr:
    r"""The symbol of $s$: one number, or one for every output."""
    classes = network.axes[1:]
    if not classes:
        return Symbol("s", real=True)
    return tensor("s", *(extent for _, extent in classes))[tuple(o for o, _ in classes)]


def without_constants(expr: Expr, weight: Indexed, sample: tuple[Symbol, Expr]) -> Expr:
    r"""`expr` after $\sum_i c_i = 0$."""
    split = contract(expand(contract(expr)))
    total = sum_over(weight, sample)
    return contract(split.xreplace({total: S.Zero}))


def varying(expr: Expr, sample: Symbol) -> Expr:
    """The terms of `expr` that depend on the sample."""
    split = contract(expand(contract(expr)))
    return Add(*(term for term in Add.make_args(split) if sample in term.free_symbols))


def _square(steps: Mapping[Indexed, Expr], classes: Axes) -> Expr:
    r"""$|\nabla g_o|^2$, equal for all outputs, whose gradients are orthogonal."""
    total: Expr = S.Zero
    for entry, step in steps.items():
        entries = apart(entry, _outputs(classes))
        other = substitute(step, {o: twin(o) for o, _ in classes})
        total += sum_over(step * other, *zip(entries.indices, entries.shape, strict=True))
    gram = contract(expand(contract(total)))
    diagonal = gram
    for o, _ in classes:
        diagonal = diagonal.subs(twin(o), o)
    deltas = Mul(*(KroneckerDelta(o, twin(o)) for o, _ in classes))
    if normal(gram - deltas * diagonal) != 0 or diagonal.atoms(Indexed):
        raise ParameterError(
            f"the part of first order has the Gram matrix {gram}",
            expected="outputs whose constants are moved by different parameters",
            fix="give every output a bias of its own",
        )
    return diagonal


def _pull_back(direction: Expr, values: Expr, entry: Indexed, classes: Axes) -> Expr:
    r"""$\sum_o (\partial g_o/\partial\theta)\, v_o$ at one entry, for $v$ = `values`."""
    twins = {o: twin(o) for o, _ in classes}
    step = gradient(substitute(direction, twins), entry)
    axes = [(twins[o], extent) for o, extent in classes]
    return contract(sum_over(step * substitute(values, twins), *axes))


def _outputs(classes: Axes) -> list[Symbol]:
    """The indices of the outputs and their twins."""
    return [index for o, _ in classes for index in (o, twin(o))]
