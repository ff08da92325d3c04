r"""The constant that a network fits first, and the flow that is left when it stays fitted.

If the output has a part of first order $g(\theta)$ that is the same for all samples, an output
bias or $\sigma(0)\sum_j v_j$, the origin is no saddle: within a time of order 1, whatever
$\varepsilon$, the output moves along $\nabla g$ to the constant $s$ that fits best,
$\sum_i \partial_f\ell(y_i, s) = 0$. If $k > 2$, the rest is slower and the constant follows:

$$\dot\theta = \nabla H - \sum_o \frac{\langle\nabla g_o, \nabla H\rangle}{|\nabla g_o|^2}
  \nabla g_o,\qquad H = \sum_i c_i f_i, \quad \sum_i c_i = 0.$$

If $k = 2$, the fit is as slow as the rest: with $h_i = \partial_f^2\ell(y_i, s)$ the limit is
$\dot\theta = \nabla(H - \frac12\sum_i h_i g^2)$, whatever the start. Both are the same where
$\nabla g$ is orthogonal to $\nabla H$, as for an output bias.
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
from flowtheory.symbolic.index import fresh, substitute, sum_over, tensor, tidy
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
    """

    direction: Expr
    level: Expr
    condition: Expr
    shift: Mapping[Indexed, Expr]
    square: Expr
    classes: Axes
    parameters: tuple[Indexed, ...]

    def project(self, field: VectorField) -> tuple[VectorField, bool]:
        r"""`field` without its part along $\nabla g$, and whether there was one."""
        twins = {o: twin(o) for o, _ in self.classes}
        along = S.Zero
        for entry, rate in field.components:
            if rate == 0:
                continue
            apart = _apart(entry, self.classes)
            there = substitute(rate, dict(zip(entry.indices, apart.indices, strict=True)))
            axes = zip(apart.indices, apart.shape, strict=True)
            along += sum_over(gradient(self.direction, apart) * there, *axes)
        multiplier = tidy(contract(expand(contract(along)))) / self.square
        if multiplier == 0:
            return field, False
        components = []
        for entry, rate in field.components:
            step = gradient(substitute(self.direction, twins), entry)
            axes = [(twins[o], extent) for o, extent in self.classes]
            change = contract(sum_over(step * substitute(multiplier, twins), *axes))
            components.append((entry, tidy(contract(rate - change))))
        return VectorField(tuple(components)), True


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
        if (step := gradient(direction, _apart(entry, axes))) != 0
    }
    square = _square(steps, axes)
    twins = {o: twin(o) for o, _ in axes}
    shift = {}
    for entry in steps:
        step = gradient(substitute(direction, twins), entry)
        over = [(twins[o], extent) for o, extent in axes]
        shift[entry] = tidy(contract(sum_over(substitute(level, twins) * step, *over))) / square
    condition = Eq(sum_over(slope, sample), S.Zero, evaluate=False)
    return ConstantFit(direction, level, condition, shift, square, axes, network.parameters)


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
        apart = _apart(entry, classes)
        other = substitute(step, {o: twin(o) for o, _ in classes})
        total += sum_over(step * other, *zip(apart.indices, apart.shape, strict=True))
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


def _apart(entry: Indexed, classes: Axes) -> Indexed:
    """`entry` with indices that are none of the outputs'."""
    avoid = {o for o, _ in classes} | {twin(o) for o, _ in classes}
    indices = []
    for extent in entry.shape:
        indices.append(fresh(extent, avoid | set(indices)))
    return entry.base[tuple(indices)]
