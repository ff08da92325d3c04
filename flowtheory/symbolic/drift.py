r"""Where the boundary of condensation lies at a finite width, in the solvable diagram.

RD of the input weights grows with the stage $\varsigma$ of the flow, and the flow ends where
$\sinh 2\varsigma = \frac{2|z|}{m\kappa(\kappa' + 1/\kappa')}$. A level of RD is therefore met at
one stage, hence at one $\kappa$, and its $\gamma = -\ln\kappa/\ln m$ drifts with the width by a
constant over $\ln m$. For $\kappa' = R = 1$, $\cosh\varsigma = (1 + \sqrt{1 + 2D})/2$.
"""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Poly, S, Symbol, cancel, log, roots, sinh, solve, sqrt

from flowtheory.symbolic.asymptotic import Formula
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.network import INPUT_DIMENSION
from flowtheory.symbolic.phase import KAPPA, KAPPA_PRIME, MOMENT, WIDTH
from flowtheory.symbolic.solvable import STAGE, SolvableDiagram

LEVEL = Symbol("R", positive=True)


@dataclass(frozen=True)
class Contour:
    r"""The points of the diagram at which RD of the input weights is `LEVEL` $R$.

    Attributes:
        stage: $\cosh\varsigma$ there.
        kappa: $\kappa$ there, for a width and $\kappa'$.
        gamma: $-\ln\kappa/\ln m$, the boundary of that width for $R = 1$.
    """

    stage: Formula
    kappa: Formula
    gamma: Formula


def contour(diagram: SolvableDiagram) -> Contour:
    r"""Solve RD $= R$ for the stage, and the stage for $\kappa$."""
    excess = Symbol("h", real=True)  # cosh - 1
    powers = {sinh(STAGE) ** 2: excess * (excess + 2), sinh(STAGE / 2) ** 4: (excess / 2) ** 2}
    square = (diagram.input_change_at.expression**2).expand().subs(powers)
    assert not square.has(STAGE), "RD^2 is a polynomial in cosh - 1"
    quadratic = Poly(INPUT_DIMENSION * (square - LEVEL**2), excess)
    # RD^2 has the root 0 and increases beyond it: one root is positive, one negative. The positive
    # one from their product keeps its digits where it is small.
    somewhere = {KAPPA_PRIME: 1, INPUT_DIMENSION: 2, LEVEL: 1}
    negative = min(roots(quadratic), key=lambda found: found.subs(somewhere))
    root = cancel(quadratic.TC() / (quadratic.LC() * negative))
    doubled = 2 * (1 + root) * sqrt(root * (root + 2))
    needed = Symbol("x", positive=True)
    (kappa,) = solve(sinh(2 * diagram.stage.expression) - needed, KAPPA)
    kappa = kappa.subs(needed, doubled)
    gamma = -log(kappa) / log(WIDTH)
    return Contour(
        _formula("cosh of the stage at a level of RD", 1 + root),
        _formula("scale of the output at a level of RD", kappa),
        _formula("gamma at a level of RD", gamma),
    )


def _formula(name: str, expression: Expr) -> Formula:
    meanings = {
        WIDTH: "number of neurons, any positive number",
        KAPPA_PRIME: "standard deviation of a over that of w",
        MOMENT: "norm of z",
        INPUT_DIMENSION: "dimension of the features",
        LEVEL: "relative change of the input weights at the end",
    }
    return Formula(name, expression, meanings, (), S.Zero, "derived here")
