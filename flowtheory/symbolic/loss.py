r"""Losses $\ell(y, f)$ of a label and an output; slopes and curvatures are derived from them.

The early flow sees a loss only through $c = -\partial_f \ell(y, s)$ at the output $s$ of the
saddle, and the first correction through $\partial_f^2\ell(y, s)$. A loss with $c(y) = c_0\,y$ at
$s = 0$ runs $c_0$ times as fast as the reference clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from sympy import Integer, KroneckerDelta, Rational, S, Symbol, cancel, exp, log, sympify
from sympy.core.function import ArgumentIndexError

from flowtheory.clock import Clock, Reduction
from flowtheory.errors import ParameterError, unknown_name
from flowtheory.symbolic.expression import Expr, Head, Indexed
from flowtheory.symbolic.index import substitute, sum_over
from flowtheory.symbolic.parse import parse

LABEL = Symbol("y", real=True)
OUTPUT = Symbol("f", real=True)

Axes = tuple[tuple[Symbol, Expr], ...]
"""Index symbols with the sizes of their axes."""


class AnyLoss(Head):
    r"""`AnyLoss(y, f, m)` is $\partial_f^m \ell(y, f)$ for an arbitrary smooth loss $\ell$."""

    nargs = 3

    def fdiff(self, argindex: int = 2) -> Expr:
        r"""$\partial_f$ raises $m$ by one; no derivative in $y$ is ever needed."""
        if argindex == 2:
            y, f, m = self.args
            return AnyLoss(y, f, m + 1)
        raise ArgumentIndexError(self, argindex)

    def _eval_is_real(self) -> bool:
        return True

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        y, f, m = self.args
        name = r"\ell" + "'" * int(m) if m <= 3 else rf"\ell^{{({m})}}"
        text = rf"{name}\left({printer.doprint(y)}, {printer.doprint(f)}\right)"
        return text if exp is None else rf"{text}^{{{exp}}}"


@dataclass(frozen=True)
class Loss:
    r"""The loss $\ell(y, f)$ of one sample: `expression` in the symbols `LABEL` and `OUTPUT`.

    Several outputs of a sample are summed.

    Attributes:
        name: Its name.
        expression: $\ell$.
        reduction: How samples are combined unless something else is asked for.
    """

    couples: ClassVar[bool] = False
    """Whether the outputs of a sample meet in the loss."""

    name: str
    expression: Expr
    reduction: Reduction = "sum"

    def __post_init__(self) -> None:
        extra = self.expression.free_symbols - {LABEL, OUTPUT}
        if extra:
            raise ParameterError(
                f"the loss {self.name!r} contains {', '.join(sorted(map(str, extra)))}",
                expected="an expression in loss.LABEL (y) and loss.OUTPUT (f) only",
                fix="substitute numbers for the other symbols",
            )

    def __call__(self, y: Expr, f: Expr) -> Expr:
        r"""$\ell(y, f)$."""
        return self.expression.xreplace({LABEL: y, OUTPUT: f})

    def of_sample(self, y: Indexed, f: Expr, classes: Axes) -> Expr:
        r"""$\sum_o \ell(y_{io}, f_{io})$ over the axes of the outputs, if there are several."""
        return sum_over(self(y, f), *classes)

    def derivative(self, order: int = 1) -> Expr:
        r"""$\partial_f^m \ell(y, f)$ for $m$ = `order`."""
        return self.expression.diff(OUTPUT, order)

    def slope_at(self, y: Indexed, output: Expr, classes: Axes) -> Expr:
        r"""$-\partial_f \ell(y, s)$ for the constant output $s$ = `output`."""
        return cancel(-self.derivative().subs(OUTPUT, output)).xreplace({LABEL: y})

    def curvature_at(self, y: Indexed, output: Expr, classes: Axes) -> Expr:
        r"""$\partial_f^2 \ell(y, s)$ for the constant output $s$ = `output`."""
        return cancel(self.derivative(2).subs(OUTPUT, output)).xreplace({LABEL: y})

    @cached_property
    def slope(self) -> Expr:
        r"""$c(y) = -\partial_f \ell(y, 0)$, the weight of a datum in the early flow."""
        return cancel(-self.derivative().subs(OUTPUT, 0))

    @cached_property
    def curvature(self) -> Expr:
        r"""$\partial_f^2 \ell(y, 0)$, the size of the first correction to the early flow."""
        return cancel(self.derivative(2).subs(OUTPUT, 0))

    @cached_property
    def reference_slope(self) -> Expr:
        r"""The number $c_0$ with $c(y) = c_0\, y$ for every label $y$."""
        ratio = cancel(self.slope / LABEL)
        if ratio.free_symbols or not ratio.is_positive:
            raise ParameterError(
                f"the slope of the loss {self.name!r} at zero output is {self.slope}",
                expected="a positive multiple of the label y",
                fix="use a loss of the form l(y f) with l'(0) < 0, or the square loss",
            )
        return ratio

    def clock(self, reduction: Reduction | None = None) -> Clock:
        """How time runs for this loss, summed or averaged over samples."""
        return Clock(reduction or self.reduction, slope=float(self.reference_slope))


class SoftmaxCrossEntropy(Loss):
    r"""$\ell(y, f) = \ln\sum_o e^{f_o} - \sum_o y_o f_o$ for labels with $\sum_o y_o = 1$.

    It couples the outputs of a sample: its curvature at 0 is the matrix $\delta_{oo'}/C - 1/C^2$.
    """

    couples: ClassVar[bool] = True

    def __init__(self) -> None:
        """There is one such loss; of a single output it is not defined."""
        super().__init__("softmax_cross_entropy", S.Zero)

    def __call__(self, y: Expr, f: Expr) -> Expr:
        """Refused: the loss of one output alone does not exist."""
        raise _needs_outputs(self.name)

    def of_sample(self, y: Indexed, f: Expr, classes: Axes) -> Expr:
        """The loss of all outputs of a sample."""
        if not classes:
            raise _needs_outputs(self.name)
        return log(sum_over(exp(f), *classes)) - sum_over(y * f, *classes)

    def derivative(self, order: int = 1) -> Expr:
        """Refused: there is one for every output."""
        raise _needs_outputs(self.name)

    def slope_at(self, y: Indexed, output: Expr, classes: Axes) -> Expr:
        r"""$y_o - e^{s_o}/\sum_{o'} e^{s_{o'}}$."""
        if not classes:
            raise _needs_outputs(self.name)
        return y - self._share(output, classes)

    def curvature_at(self, y: Indexed, output: Expr, classes: Axes) -> Expr:
        r"""$p_o\delta_{oo'} - p_o p_{o'}$, the free indices those of `classes` and their twins."""
        p = self._share(output, classes)
        twins = {o: twin(o) for o, _ in classes}
        deltas = [KroneckerDelta(o, other) for o, other in twins.items()]
        product: Expr = p
        for delta in deltas:
            product = product * delta
        return product - p * substitute(p, twins)

    @staticmethod
    def _share(output: Expr, classes: Axes) -> Expr:
        if not any(o in output.free_symbols for o, _ in classes):
            total: Expr = S.One
            for _, extent in classes:
                total = total * extent
            return 1 / total
        return exp(output) / sum_over(exp(output), *classes)


def twin(i: Symbol) -> Symbol:
    """The second index of a matrix over the axis of `i`."""
    return Symbol(f"{i.name}'", integer=True, positive=True)


def _needs_outputs(name: str) -> ParameterError:
    return ParameterError(
        f"the loss {name!r} needs several outputs",
        expected="a network with a vector output",
        fix="use a vector output, or binary_cross_entropy for one output",
    )


def _logistic(scale: int) -> Expr:
    return scale * log(1 + exp(-LABEL * OUTPUT))


_SQUARE = (LABEL - OUTPUT) ** 2

LOSSES: Mapping[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss("exponential", exp(-LABEL * OUTPUT)),
        Loss("logistic", _logistic(1)),
        Loss("two_logistic", _logistic(2)),
        Loss("half_square", Rational(1, 2) * _SQUARE),
        Loss("square", _SQUARE),
        Loss("half_mse", Rational(1, 2) * _SQUARE, "mean"),
        Loss("mse", _SQUARE, "mean"),
        Loss("binary_cross_entropy", log(1 + exp(OUTPUT)) - LABEL * OUTPUT),
        SoftmaxCrossEntropy(),
    )
}
"""Name -> loss."""

ANY_LOSS = Loss("any", AnyLoss(LABEL, OUTPUT, Integer(0)))


def find_loss(which: str | Expr | Loss) -> Loss:
    """The loss of that name, the one that an expression in y and f defines, or the given one.

    Raises:
        UnknownNameError: A plain word that is no registered name.
        ParameterError: A string that is no expression in y and f.
    """
    if isinstance(which, Loss):
        return which
    if isinstance(which, str):
        if which in LOSSES:
            return LOSSES[which]
        if which.strip().isidentifier():
            raise unknown_name("loss", which, LOSSES, more="or an expression in y and f")
        return Loss(which, parse(which, [LABEL, OUTPUT], {}, "(y - f)**4"))
    expr = sympify(which)
    named = {s: {"y": LABEL, "f": OUTPUT}.get(s.name, s) for s in expr.free_symbols}
    return Loss(str(expr), expr.xreplace(named))
