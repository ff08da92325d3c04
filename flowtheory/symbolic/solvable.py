r"""The solvable phase diagram of multiplicity 1: whitened features, $G = 1$.

Then $g$ keeps the direction $\hat z$, and in the clock $d\varsigma = |g|\,ds$ the linear map is

$$\Psi = \begin{pmatrix}\cosh\varsigma & \sinh\varsigma\,\hat z^T\\
  \sinh\varsigma\,\hat z & 1 + (\cosh\varsigma - 1)\hat z\hat z^T\end{pmatrix}.$$

The flow ends where $V = z$; all regimes of the $(\gamma, \gamma')$ plane follow from one formula.
"""

from __future__ import annotations

from dataclasses import dataclass

from sympy import KroneckerDelta, S, Symbol, asinh, expand, sinh, solve, sqrt

from flowtheory.symbolic.asymptotic import Formula
from flowtheory.symbolic.closure import (
    FORCE,
    PHI_AA,
    PHI_AW,
    PHI_WA,
    PHI_WW,
    Closure,
    G,
    Z,
)
from flowtheory.symbolic.contract import contract, replace_entries
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.index import substitute, sum_over, tensor, tidy
from flowtheory.symbolic.network import INPUT_DIMENSION
from flowtheory.symbolic.normal import fold, is_zero, normal
from flowtheory.symbolic.phase import KAPPA, KAPPA_PRIME, MOMENT, WIDTH

STAGE = Symbol("s", real=True)
_GROWN, _TURNED = Symbol("c", real=True), Symbol("t", real=True)
_P, _Q = G.indices
_UNIT = tensor("u", INPUT_DIMENSION)[_P]
_SIZE = {sum_over(_UNIT**2, (_P, INPUT_DIMENSION)): S.One}


@dataclass(frozen=True)
class SolvableDiagram:
    r"""The end of the flow for $G = 1$ and zero output at the start.

    Attributes:
        stage: $\varsigma_* = \frac12\mathrm{arcsinh}\frac{2|z|}{m\kappa(\kappa' + 1/\kappa')}$.
        input_change: RD $= |w - w_0|/|w_0|$ there.
        output_change: $|a - a_0|/|a_0|$ there.
        input_change_at: RD at any `STAGE` $\varsigma$.
        output_change_at: The same of $a$.
    """

    stage: Formula
    input_change: Formula
    output_change: Formula
    input_change_at: Formula
    output_change_at: Formula


def solvable_diagram(closure: Closure) -> SolvableDiagram:
    """Solve the closure for features with the second moment 1.

    That the map above solves it is verified by substitution.
    """
    blocks = _blocks()
    for entry, rate in closure.linear.components:
        driven = replace_entries(rate, {FORCE: _UNIT, **blocks})
        # d(cosh - 1) = sinh and d sinh = 1 + (cosh - 1).
        change = blocks[entry].diff(_GROWN) * _TURNED + blocks[entry].diff(_TURNED) * (1 + _GROWN)
        assert is_zero(_on_sphere(driven - change)), "the map for a fixed direction of g"
    whitened = {G: KroneckerDelta(*G.indices), Z: MOMENT * _UNIT, **blocks}
    force = expand(_on_sphere(contract(replace_entries(closure.force, whitened))) / _UNIT)
    product = Symbol("x", real=True)  # sinh(2 s) = 2 sinh(s) cosh(s)
    end_of_flow = expand(force.subs(_GROWN, product / (2 * _TURNED) - 1))
    (needed,) = solve(end_of_flow, product)
    stage = asinh(needed) / 2
    # cosh(s) - 1 in a form that keeps its digits at small s.
    values = {_GROWN: 2 * sinh(STAGE / 2) ** 2, _TURNED: sinh(STAGE)}
    changes = [
        sqrt(_on_sphere(contract(replace_entries(square, blocks))).xreplace(values).factor())
        for square in (closure.input_change, closure.output_change)
    ]
    names = ("relative change of the input weights", "relative change of the output weights")
    at = [_formula(n, change) for n, change in zip(names, changes, strict=True)]
    end = [_formula(n, c.subs(STAGE, stage)) for n, c in zip(names, changes, strict=True)]
    return SolvableDiagram(_formula("stage at the end", stage), *end, *at)


def _blocks() -> dict[Indexed, Expr]:
    r"""$\Phi = \Psi - 1$ for a $g$ along $u$, in $\cosh\varsigma - 1$ and $\sinh\varsigma$."""
    other = substitute(_UNIT, {_P: _Q})
    return {
        PHI_AA: _GROWN,
        PHI_AW: _TURNED * other,
        PHI_WA: _TURNED * _UNIT,
        PHI_WW: _GROWN * _UNIT * other,
    }


def _on_sphere(expr: Expr) -> Expr:
    return expand(fold(tidy(normal(expr)), _SIZE))


def _formula(name: str, expression: Expr) -> Formula:
    meanings = {
        WIDTH: "number of neurons, any positive number",
        KAPPA: "scale of the output",
        KAPPA_PRIME: "standard deviation of a over that of w",
        MOMENT: "norm of z",
        INPUT_DIMENSION: "dimension of the features",
        STAGE: "integral of the norm of g over the clock of the closure",
    }
    return Formula(name, expression, meanings, (), S.Zero, "derived here")
