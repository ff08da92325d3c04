"""The bounds on the number of orientations, and where they come from."""

from __future__ import annotations

import sympy as sp

from flowtheory.symbolic import Derivation, Line, effective_flow, fully_connected
from flowtheory.symbolic.directions.moment import moment_definition
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.network import INPUT_DIMENSION
from flowtheory.symbolic.theorems import MULTIPLICITY, orientations

p, D = MULTIPLICITY, INPUT_DIMENSION
N, N_GROWING, N_STABLE = (sp.Symbol(name, positive=True) for name in ("N", "N_+", "N_s"))
SHIFT = sp.Symbol("delta", nonnegative=True)  # of every a by the fit of the mean
RATE, T, EPS, COSINE = (sp.Symbol(name, positive=True) for name in ("lambda", "T", "epsilon", "c"))

CONJECTURE, LOW, SPACE = (formula.expression for formula in orientations())
# The largest of 50 standard normal numbers is about 3.
GROWN = 3 * EPS * sp.cosh(RATE * T)
ONE_LINE: Expr = sp.Piecewise((1, SHIFT > GROWN), (2, True))


def derive() -> Derivation:
    """From the leading flow to the direction flow, and to the bounds."""
    flow = effective_flow(fully_connected(2, "z**2*tanh(z)"), "half_mse")
    (_, force), (_, output) = flow.field.components
    r, u, H, a = sp.symbols("r u H a")
    gradient = sp.Symbol("grad_H")
    pairs = (p - 1) ** 2 + (p - 1) + 1
    return Derivation(
        "Orientations of condensation",
        (
            Line("input weights", sp.Eq(sp.Symbol("w'"), force), "p = 3, as example"),
            Line("output weight", sp.Eq(sp.Symbol("a'"), output), "H(w)"),
            Line("moment", sp.Eq(*moment_definition(3)), "H(u) is this tensor at (u, u, u)"),
            Line("direction", sp.Eq(sp.Symbol("u'"), a * r ** (p - 2) * (gradient - p * H * u)),
                 "a > 0 climbs H on the sphere, a < 0 descends"),
            Line("growth", sp.Eq(sp.Symbol("r'"), p * a * r ** (p - 1) * H),
                 "only where a H > 0: maxima of |H|"),
            Line("D = 2", sp.Le(N, LOW), "stationary points: roots of a polynomial of degree p"),
            Line("D = 3, lines", sp.Eq(sp.Symbol("lines"), pairs), "complex, of a generic tensor"),
            Line("Morse", sp.Eq(N / 2 - sp.Symbol("saddles"), 1), "all extrema, on the projective "
                 "plane, and N/2 + saddles at most the number of lines"),
            Line("D = 3", sp.Le(N, SPACE), "attained: the product of p linear forms"),
        ),
    )  # fmt: skip
