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


def freeze(expr: Expr, *patterns: IndexedBase) -> Expr:
    r"""`expr` with activation patterns held fixed: $\sigma(z_{ji}) \to \sigma_{P_{ji}}(z_{ji})$.

    A pattern is the tensor $P$ of the values $1[z > 0]$ of one layer, or of fractions of them; its
    axes are matched to the free indices of $z$ by their sizes.

    Args:
        expr: An output or a loss.
        patterns: One for every kinked layer; layers are told apart by their sizes.

    Raises:
        ParameterError: Fewer patterns than kinked layers, layers whose sizes have the same names,
            or no pattern with the axes of a layer.
    """
    surfaces = switching_surfaces(expr)
    layers = {frozenset(free_axes(surface.argument).values()) for surface in surfaces}
    if len(surfaces) > min(len(layers), len(patterns)):
        raise ParameterError(
            "the expression has several kinked layers",
            expected="one pattern for every layer of kinked activations, and layers of other sizes",
            fix="freeze(expr, P1, P2) for two of them",
        )

    def visit(node: Expr) -> Expr:
        if isinstance(node, Ramp):
            return _frozen(node, 1, patterns) * visit(node.args[0])
        if isinstance(node, Step):
            return _frozen(node, 1, patterns)
        if isinstance(node, Pow) and isinstance(node.base, Ramp) and node.exp.is_Integer:
            # Not the power of the frozen ramp: that would not be linear in a fraction P.
            return _frozen(node.base, node.exp, patterns) * visit(node.base.args[0]) ** node.exp
        return (
            node
            if isinstance(node, Indexed) or not node.args
            else rebuild(node, map(visit, node.args))
        )

    return visit(expr)


def _frozen(node: Expr, power: Expr | int, patterns: tuple[IndexedBase, ...]) -> Expr:
    """$a^p + (1 - a^p) P$ for a ramp or step of left slope $a$."""
    z, a, _ = node.args
    return a**power + (1 - a**power) * _entry(patterns, z)


def _kinked(expr: Expr) -> set[Expr]:
    return expr.atoms(Ramp, Step)


def _entry(patterns: tuple[IndexedBase, ...], argument: Expr) -> Indexed:
    by_size = {extent: i for i, extent in free_axes(argument).items()}
    for pattern in patterns:
        if pattern.shape is not None and set(by_size) == set(pattern.shape):
            return pattern[tuple(by_size[extent] for extent in pattern.shape)]
    shapes = " and ".join(f"{pattern} has shape {pattern.shape}" for pattern in patterns)
    raise ParameterError(
        f"the pattern {shapes}",
        expected=f"one axis for each of {', '.join(map(str, by_size))}, the axes of {argument}",
        fix="give the pattern these axes",
    )
