r"""Switching surfaces: where the derivative of an expression jumps, read off the expression.

An integrator that is told these surfaces can stop on them; one that is not told steps over them
with an error that it does not see. Between them the activation pattern $P = 1[z > 0]$ is constant,
and a kinked activation of degree $p$ is the monomial

$$ \sigma_P(z) = \bigl(s_- + (s_+ - s_-) P\bigr)\, z^p, $$

with $s_+ = 1$ and $s_- = a^p$ for $\mathrm{ramp}_a^p$. It is linear in $P$, so that a fraction
$0 < P < 1$ is the convex combination of the two sides (Filippov).
"""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Eq, Pow

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import Ramp, Step
from flowtheory.symbolic.expression import Expr, Indexed, IndexedBase
from flowtheory.symbolic.index import free_axes, rebuild
from flowtheory.symbolic.normal import normal


@dataclass(frozen=True)
class Surface:
    """The surfaces `argument` = 0, one for every value of the free indices of `argument`."""

    argument: Expr

    @property
    def equation(self) -> Expr:
        """The surface as an equation."""
        return Eq(self.argument, 0)


def switching_surfaces(expr: Expr) -> tuple[Surface, ...]:
    """The distinct switching surfaces of the kinked activations in `expr`."""
    arguments = {normal(node.args[0]): node.args[0] for node in _kinked(expr)}
    return tuple(Surface(arguments[key]) for key in sorted(arguments, key=lambda e: e.sort_key()))


def freeze(expr: Expr, pattern: IndexedBase) -> Expr:
    r"""`expr` with the activation pattern held fixed: $\sigma(z_{ji}) \to \sigma_{P_{ji}}(z_{ji})$.

    `pattern` is the tensor $P$ of the values $1[z > 0]$, or of fractions of them; its axes are
    matched to the free indices of $z$ by their sizes. `expr` must have one kinked layer.
    """
    if len(switching_surfaces(expr)) > 1:
        raise ParameterError(
            "the expression has several kinked layers",
            expected="one layer of kinked activations, whose pattern is one tensor",
            fix="freeze a two-layer network",
        )

    def visit(node: Expr) -> Expr:
        if isinstance(node, Ramp):
            return _frozen(node, 1, pattern) * node.args[0]
        if isinstance(node, Step):
            return _frozen(node, 1, pattern)
        if isinstance(node, Pow) and isinstance(node.base, Ramp) and node.exp.is_Integer:
            # Not the power of the frozen ramp: that would not be linear in a fraction P.
            return _frozen(node.base, node.exp, pattern) * node.base.args[0] ** node.exp
        return (
            node
            if isinstance(node, Indexed) or not node.args
            else rebuild(node, map(visit, node.args))
        )

    return visit(expr)


def _frozen(node: Expr, power: Expr | int, pattern: IndexedBase) -> Expr:
    """$a^p + (1 - a^p) P$ for a ramp or step of left slope $a$."""
    z, a, _ = node.args
    return a**power + (1 - a**power) * _entry(pattern, z)


def _kinked(expr: Expr) -> set[Expr]:
    return expr.atoms(Ramp, Step)


def _entry(pattern: IndexedBase, argument: Expr) -> Indexed:
    by_size = {extent: i for i, extent in free_axes(argument).items()}
    if pattern.shape is None or set(by_size) != set(pattern.shape):
        raise ParameterError(
            f"the pattern {pattern} has shape {pattern.shape}",
            expected=f"one axis for each of {', '.join(map(str, by_size))}, the axes of {argument}",
            fix="give the pattern these axes",
        )
    return pattern[tuple(by_size[extent] for extent in pattern.shape)]
