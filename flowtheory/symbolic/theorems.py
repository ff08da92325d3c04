r"""What is published on the diagram of two-layer networks, as it is stated, and what sharpens it.

Bounds hold up to constants, with high probability over the start, for $m \to \infty$. `size` keeps
the published form with its logarithms; `slope` is the exponent of the width that it allows or
demands. The table of slopes (`phase.slope_table`) is beside them: a bound need not be attained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sympy import Eq, Ge, Gt, Le, Lt, Min, Or, S, Symbol, log, oo, solve, sqrt

from flowtheory.symbolic.asymptotic import Formula
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.network import INPUT_DIMENSION
from flowtheory.symbolic.phase import GAMMA, GAMMA_PRIME, KAPPA, KAPPA_PRIME, WIDTH, slope

Role = Literal["theorem", "conjecture", "derived"]
Relation = Literal["<=", ">=", "->"]
Quantity = Literal["input weights", "output weights", "all weights"]
MULTIPLICITY = Symbol("p", integer=True, positive=True)
_LUO = "Luo, Xu, Ma, Zhang, JMLR 22 (2021), arXiv 2007.07497"
_CHEN = "Chen, Li, Luo, Zhou, Xu (2023), arXiv 2303.06561"
_ZHOU = "Zhou, Zhou, Luo, Zhang, Xu (2021), arXiv 2105.11686"


@dataclass(frozen=True)
class Bound:
    r"""A bound on RD, the largest relative change over the times that it names.

    Attributes:
        name: Of the theorem.
        quantity: The weights whose RD it is.
        relation: "<=" and ">=" up to a constant, "->" for a limit.
        size: The bound in $m$, $\kappa$, $\kappa'$, or the limit.
        slope: Its exponent; None for a limit.
        region: Where it is stated, in $\gamma$, $\gamma'$.
        role: Whether it is a theorem of the source, a conjecture of it, or derived here.
        source: The paper.
        verified: Whether it was checked against the text of the paper; else it is from memory.
        note: Conditions beside the region, and what is known of its truth.
    """

    name: str
    quantity: Quantity
    relation: Relation
    size: Expr
    slope: Formula | None
    region: tuple[Expr, ...]
    role: Role
    source: str
    verified: bool = True
    note: str = ""


def luo_upper() -> tuple[Bound, ...]:
    """The bounds of the lazy side, in the order in which they apply; the first decides."""
    m = WIDTH
    capable = log(m) / (m * KAPPA)
    lazy, w_lazy = (Lt(GAMMA, 1),), (Gt(GAMMA_PRIME, GAMMA - 1),)
    unproved = (
        "stated without proof; with labels of both signs it holds up to the first plateau only"
    )
    return (
        _bound("Theorem 6, theta-lazy", "input weights", "<=", capable, lazy),
        _bound("Theorem 6, w-lazy", "input weights", "<=", KAPPA_PRIME * capable, w_lazy),
        _bound("Theorem 6, all weights", "all weights", "<=", capable, lazy),
        _bound(
            "Proposition 26, a-lazy", "output weights", "<=", capable / KAPPA_PRIME,
            (Lt(GAMMA_PRIME, 1 - GAMMA), Lt(GAMMA_PRIME, 0)), note=unproved,
        ),
    )  # fmt: skip


def luo_lower() -> Bound:
    r"""Condensed: RD is at least of the order $\sqrt{\min(1, \kappa')/(m\kappa)}$."""
    size = sqrt(Min(1, KAPPA_PRIME) / (WIDTH * KAPPA))
    note = "for labels of which one is at least 1/2, and a loss that falls to 1/(32 n)"
    return _bound("Theorem 8, condensed", "input weights", ">=", size, _CONDENSED, note=note)


def sharper_lower() -> Bound:
    r"""Condensed: $S_w \ge \min\{(\gamma - 1 - \gamma')/2,\ \gamma - 1\}$.

    Per neuron $\kappa'^2(a^2 - a_0^2) = |w|^2 - |w_0|^2$, hence $|a| \le |w|/\kappa' + |a_0|$, and
    an output of order 1 needs $1 \lesssim \kappa\sum_j|a_j||w_j| \lesssim
    \frac{m\kappa}{\kappa'}R^2 + m\kappa R$ once $R = $ RD is at least 1, as it is there by the
    published bound. One of the two terms is of order 1.
    """
    change = Symbol("R", positive=True)
    terms = WIDTH * KAPPA / KAPPA_PRIME * change**2, WIDTH * KAPPA * change
    needed = [solve(term - 1, change)[0] for term in terms]
    note = "under the conditions of Theorem 8; equal to the slope of the table in all of the region"
    return _bound(
        "lower bound, condensed", "input weights", ">=", Min(*needed), _CONDENSED,
        role="derived", source="derived here", note=note,
    )  # fmt: skip


def limits() -> tuple[Bound, ...]:
    r"""What RD of the input weights tends to: the two informal theorems, and their smooth form."""
    lazy = (Or(Lt(GAMMA, 1), Gt(GAMMA_PRIME, GAMMA - 1)),)
    w_lazy = (Ge(GAMMA, 1), Gt(GAMMA_PRIME, GAMMA - 1))
    hidden: Quantity = "input weights"
    some = "for some end time T; there also the share of w along z tends to 1"
    smooth = "smooth activations of multiplicity 1"
    return (
        _bound("Theorem 1*", hidden, "->", S.Zero, lazy),
        _bound("Theorem 2*", hidden, "->", oo, _CONDENSED),
        _chen("theta-lazy", "all weights", S.Zero, (Lt(GAMMA, 1),), smooth),
        _chen("w-lazy", hidden, S.Zero, w_lazy, smooth),
        _chen("condensed", hidden, oo, _CONDENSED, f"{smooth}; {some}"),
    )


def orientations() -> tuple[Formula, ...]:
    r"""How many orientations neurons condense on: the conjecture $2p$, and what can be proved.

    Lines that are stable and growing are maxima of $|H|$; Morse theory and the number of
    eigenvectors of a symmetric tensor of order $p$ bound them by $(p^2 - p + 2)/2$ for $D = 3$:
    $2p$ orientations are exceeded for $p \ge 3$ (four points at the corners of a tetrahedron have
    8 for $p = 3$), and hold for $p \le 2$ or $D = 2$.
    """
    p = MULTIPLICITY
    meanings = {p: "multiplicity of the activation", INPUT_DIMENSION: "dimension of the inputs"}
    low = (Or(Le(p, 2), Le(INPUT_DIMENSION, 2)),)
    three = (Ge(p, 3), Eq(INPUT_DIMENSION, 3))
    # A tensor has (p - 1)^2 + (p - 1) + 1 eigenpairs; on the projective plane
    # maxima - saddles + minima = 1.
    pairs = (p - 1) ** 2 + (p - 1) + 1
    return (
        Formula("orientations, conjectured", 2 * p, meanings, (), S.Zero, _ZHOU),
        Formula("orientations, p <= 2 or D = 2", 2 * p, meanings, low, S.Zero, "derived here"),
        Formula(
            "orientations, D = 3", (2 * ((pairs + 1) / 2)).expand(), meanings, three, S.Zero,
            "derived here from Cartwright, Sturmfels (2013)",
        ),
    )  # fmt: skip


_CONDENSED = (Gt(GAMMA, 1), Lt(GAMMA_PRIME, GAMMA - 1))


def _bound(
    name: str,
    quantity: Quantity,
    relation: Relation,
    size: Expr,
    region: tuple[Expr, ...],
    *,
    role: Role = "theorem",
    source: str = _LUO,
    note: str = "",
) -> Bound:
    exponent = None if relation == "->" else slope(name, size, region, source)
    return Bound(name, quantity, relation, size, exponent, region, role, source, note=note)


def _chen(part: str, quantity: Quantity, limit: Expr, region: tuple[Expr, ...], note: str) -> Bound:
    name = f"Chen et al., {part}"
    return Bound(name, quantity, "->", limit, None, region, "theorem", _CHEN, False, note)
