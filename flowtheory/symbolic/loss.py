r"""Losses $\ell(y, f)$ of a label and an output; slopes and curvatures are derived from them.

The early flow sees a loss only through $c(y) = -\partial_f \ell(y, 0)$; a loss with
$c(y) = c_0\,y$ runs $c_0$ times as fast as the reference clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sympy import Integer, Rational, Symbol, cancel, exp, log
from sympy.core.function import ArgumentIndexError

from flowtheory.clock import Clock, Reduction
from flowtheory.errors import ParameterError, unknown_name
from flowtheory.symbolic.expression import Expr, Head

LABEL = Symbol("y", real=True)
OUTPUT = Symbol("f", real=True)


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
    r"""The loss $\ell(y, f)$ of one sample: `expression` in the symbols `LABEL` and `OUTPUT`."""

    name: str
    expression: Expr

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

    def derivative(self, order: int = 1) -> Expr:
        r"""$\partial_f^m \ell(y, f)$ for $m$ = `order`."""
        return self.expression.diff(OUTPUT, order)

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

    def clock(self, reduction: Reduction = "sum") -> Clock:
        """How time runs for this loss, summed or averaged over samples."""
        return Clock(reduction, slope=float(self.reference_slope))


def _logistic(scale: int) -> Expr:
    return scale * log(1 + exp(-LABEL * OUTPUT))


LOSSES: Mapping[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss("exponential", exp(-LABEL * OUTPUT)),
        Loss("logistic", _logistic(1)),
        Loss("two_logistic", _logistic(2)),
        Loss("half_square", Rational(1, 2) * (LABEL - OUTPUT) ** 2),
    )
}
"""Name -> loss."""

ANY_LOSS = Loss("any", AnyLoss(LABEL, OUTPUT, Integer(0)))


def find_loss(which: str | Loss) -> Loss:
    """The loss of that name, or the given one."""
    if isinstance(which, Loss):
        return which
    if which not in LOSSES:
        raise unknown_name("loss", which, LOSSES)
    return LOSSES[which]
