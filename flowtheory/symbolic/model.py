r"""The loss near the saddle, power by power in the scale of the parameters.

With $f = s + \varphi$, $s_i$ the output at the saddle, $\varphi = \sum_m \varphi_m\varepsilon^m$,

$$L = L_0 - \sum_i c_i\varphi_i + \tfrac12\sum_i h_i\varphi_i^2 + O(\varphi^3),\qquad
  c_i = -\partial_f\ell(y_i, s_i),\quad h_i = \partial_f^2\ell(y_i, s_i).$$

While a constant stays fitted, $\varphi$ is the part of the output that depends on the sample, and
the square loses its mean, $-\frac12(\sum_i h_i\varphi_i)^2/\sum_i h_i$. The cubic term starts at
three times the first power of $\varphi$, beyond everything that is used here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from sympy import S, cancel

from flowtheory.errors import ParameterError
from flowtheory.symbolic.contract import contract, replace_entries
from flowtheory.symbolic.expand import (
    ORDER_LIMIT,
    Expansion,
    expand_in_scale,
    expand_to_gap,
    leading_power,
)
from flowtheory.symbolic.expression import Expr, Indexed, IndexedBase
from flowtheory.symbolic.fit import (
    ConstantFit,
    constant_fit,
    fitted_level,
    varying,
    without_constants,
)
from flowtheory.symbolic.index import substitute, sum_over, tensor, tidy
from flowtheory.symbolic.loss import Loss, twin
from flowtheory.symbolic.moments import Moment, name_moments
from flowtheory.symbolic.network import Network

Vanishes = Callable[[Moment], bool]


class ScaledLoss:
    """The summed loss of a network in powers of the scale, in terms of slopes and curvatures."""

    def __init__(
        self,
        network: Network,
        loss: Loss,
        scales: dict[IndexedBase, int],
        vanishes: Vanishes | None,
    ) -> None:
        self.network, self.loss, self.vanishes = network, loss, vanishes
        # Tensors of order 1 are like data: activations that contain no others stay as they are.
        self.scales = {base: power for base, power in scales.items() if power > 0}
        self.sample, *classes = network.axes
        self.classes = tuple(classes)
        self.weight = network.per_output("c")
        self.start = leading_power(network.output, self.scales)
        self.output = expand_to_gap(network.output, self.scales, self.start)
        self.vanished: dict[Moment, None] = {}
        self._parts: dict[Expr, Expr] = {}
        self._coefficients: dict[int, Expr | None] = {}
        if any(e.base in scales for e in self.output[0].atoms(Indexed)):
            raise ParameterError(
                f"the output of {network.name} has parameters left at epsilon = 0",
                expected="at least one small tensor in every term of the output",
                fix="give more tensors a positive scale",
            )

    @cached_property
    def fit(self) -> ConstantFit | None:
        """The constant that is fitted first."""
        level = fitted_level(self.network)
        slope = self.loss.slope_at(self.network.labels, self.output[0] + level, self.classes)
        return constant_fit(self.network, slope, level)

    @cached_property
    def saddle(self) -> Expr:
        """The output at the saddle."""
        return self.output[0] + (self.fit.level if self.fit else 0)

    @cached_property
    def weight_value(self) -> Expr:
        """$c_i$ in terms of labels."""
        return self.loss.slope_at(self.network.labels, self.saddle, self.classes)

    @cached_property
    def curvature(self) -> Indexed:
        """The generic entry of $h$; a matrix in the outputs if the loss couples them."""
        if not self.loss.couples:
            return self.network.per_output("h")
        axes = (*self.network.axes, *((twin(o), extent) for o, extent in self.classes))
        return tensor("h", *(extent for _, extent in axes))[tuple(i for i, _ in axes)]

    @cached_property
    def curvature_value(self) -> Expr:
        """$h_i$ in terms of labels."""
        return self.loss.curvature_at(self.network.labels, self.saddle, self.classes)

    def powers(self, above: int) -> tuple[int, ...]:
        r"""Powers beyond `above` at which $\varphi$ or its square may contribute, one at least.

        The expansion is extended until one is known, or until its limit; then there is none.
        """
        while True:
            known = self.output.order
            candidates = (m for m in self._candidates() if self.output.exact or m <= known)
            found = tuple(m for m in candidates if m > above)
            if found or self.output.exact or known >= self.start + ORDER_LIMIT:
                return found
            self._extend(2 * known - self.start + 1)

    def _candidates(self) -> list[int]:
        r"""The powers of $\varphi$ that are known so far, and of its square."""
        own = [m for m in self.output.powers if m > 0 and self.part(m) != 0]
        return sorted({*own, *(a + b for a in own for b in own)})

    def _extend(self, order: int) -> None:
        order = min(order, self.start + ORDER_LIMIT)
        self.output = expand_in_scale(self.network.output, self.scales, order)

    def part(self, power: int) -> Expr:
        r"""$\varphi_m$."""
        whole = self.output[power]
        if not self.fit or whole == 0:
            return whole
        if whole not in self._parts:
            self._parts[whole] = varying(whole, self.sample[0])
        return self._parts[whole]

    def coefficient(self, power: int) -> Expr | None:
        r"""The coefficient of $\varepsilon^m$ in $L$, without vanishing moments.

        None where it is not derived: at second order in outputs that a loss couples, while a
        constant stays fitted.
        """
        if power not in self._coefficients:
            self._coefficients[power] = self._derive(power)
        return self._coefficients[power]

    def _derive(self, power: int) -> Expr | None:
        self._reach(power)
        linear = sum_over(self.weight * self.part(power), *self.network.axes)
        if self.fit:
            linear = without_constants(linear, self.weight, self.sample)
        square = self._square(power)
        if square is None:
            return None
        return self._with_data(tidy(contract(square - linear)))

    def _square(self, power: int) -> Expr | None:
        r"""The coefficient of $\varepsilon^m$ in the second-order term."""
        total: Expr = S.Zero
        for a in self.output.powers:
            first, second = self.part(a), self.part(power - a)
            if 0 < a < power and first != 0 and second != 0:
                term = self._product(first, second)
                if term is None:
                    return None
                total += term
        return total / 2

    def _product(self, first: Expr, second: Expr) -> Expr | None:
        h, sample = self.curvature, self.sample
        if self.fit is None:
            return self._with_curvature(first, second)
        if self.loss.couples:
            return None
        plain = self._with_curvature(first, second)
        means = sum_over(h * first, sample) * sum_over(h * second, sample) / sum_over(h, sample)
        return plain - sum_over(means, *self.classes)

    def _with_curvature(self, first: Expr, second: Expr) -> Expr:
        r"""$\sum_i h_i a_i b_i$."""
        twins = {o: twin(o) for o, _ in self.classes} if self.loss.couples else {}
        axes = ((twins[o], extent) for o, extent in self.classes if o in twins)
        product = self.curvature * first * substitute(second, twins)
        return sum_over(product, *self.network.axes, *axes)

    def misfit(self) -> Expr:
        r"""$\frac12\sum_i h_i (g - s)^2$, the loss of an output whose constant is not fitted."""
        assert self.fit is not None
        deviation = self.fit.direction - self.fit.level
        whole = self._with_curvature(deviation, deviation) / 2
        if not self.loss.couples:
            return whole
        # Written out, because the matrix has a diagonal that array code need not build.
        return replace_entries(whole, {self.curvature: self.curvature_value})

    def _with_data(self, coefficient: Expr) -> Expr:
        """The coefficient without the moments that vanish for the data."""
        if self.vanishes is None:
            return coefficient
        form = name_moments(coefficient, self.sample, self.network.all_inputs, self._weights)
        if form is None:
            return coefficient
        gone = [moment for moment in form.moments if self.vanishes(moment)]
        if not gone:
            return coefficient
        self.vanished.update(dict.fromkeys(gone))
        left = {m.entry: m.definition for m in form.moments if m not in gone}
        return tidy(contract(replace_entries(form.without(gone), left)))

    @property
    def _weights(self) -> tuple[Indexed, ...]:
        return (self.weight, self.curvature, self.network.labels)

    def next_power(self, above: int) -> int | None:
        """The first power beyond `above` with a non-zero coefficient; None up to the limit."""
        tried = above
        while found := self.powers(tried):
            for power in found:
                if self.coefficient(power) != 0:
                    return power
                tried = power
        return None

    def expansion(self, degree: int, gap: int) -> Expansion:
        """The loss with slopes and curvatures written out, up to below the next power but one."""
        exact = self.output.exact and self._is_quadratic and not self.fit
        highest = max(self.output.powers, default=0)
        first = min(self._candidates(), default=degree)
        order = 2 * highest if exact else min(degree + 2 * gap - 1, 3 * first - 1)
        values = {self.weight: self.weight_value, self.curvature: self.curvature_value}
        self._reach(order)
        level = self._level()
        coefficients = [(0, level)] if level != 0 else []
        for power in (m for m in self._candidates() if m <= order):
            found = self.coefficient(power)
            if found is None:
                return Expansion(tuple(coefficients), power - 1, exact=False)
            if found != 0:
                coefficients.append((power, tidy(contract(replace_entries(found, values)))))
        return Expansion(tuple(coefficients), order, exact)

    def _reach(self, order: int) -> None:
        """Extend the expansion to an order if it is not known so far."""
        if order > self.output.order and not self.output.exact:
            self._extend(order)

    def _level(self) -> Expr:
        """$L_0$, the loss at the saddle."""
        at_saddle = self.loss.of_sample(self.network.labels, self.saddle, self.classes)
        return tidy(contract(sum_over(at_saddle, self.sample)))

    @property
    def _is_quadratic(self) -> bool:
        if self.loss.couples or self.curvature_value.atoms(Indexed):
            return False
        return cancel(self.loss.derivative(3)) == 0


def second_output_power(output: Expansion) -> int:
    """The power of the first term of the output beyond first order."""
    return next((m for m in output.powers if m > 1), output.order + 1)


def no_leading_part(network: Network, order: int) -> ParameterError:
    """The refusal of a network whose loss does not vary."""
    return ParameterError(
        f"the loss of {network.name} does not vary up to power {order} of the scale",
        expected="a network with a non-zero leading part",
        fix="use an activation with a non-zero Taylor term of lower order",
    )
