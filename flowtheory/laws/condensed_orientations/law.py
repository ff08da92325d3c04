r"""How many orientations neurons condense on: exact counts, single neurons, networks.

Neurons of multiplicity $p$ condense on maxima of $|H|$ on the sphere, $H(u) = \frac1n\sum_i y_i
(u\cdot x_i)^p$; each such line holds two orientations. At most $2p$ of them was conjectured. That
is true for $p \le 2$ and for $D = 2$; for $D = 3$ the sharp bound is $p^2 - p + 2$.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from flowtheory.clock import Clock
from flowtheory.judge import Equality, LowerBound, UpperBound
from flowtheory.laws.attacked import attack_experiment
from flowtheory.laws.claim import Claim
from flowtheory.laws.condensed_orientations.attacks import attacks
from flowtheory.laws.condensed_orientations.counts import counts
from flowtheory.laws.condensed_orientations.experiments import (
    multiplicity_one,
    networks,
    neurons,
)
from flowtheory.laws.condensed_orientations.formulas import (
    CONJECTURE,
    COSINE,
    EPS,
    LOW,
    N_GROWING,
    N_STABLE,
    ONE_LINE,
    RATE,
    SHIFT,
    SPACE,
    D,
    N,
    T,
    derive,
    p,
)
from flowtheory.laws.record import Experiment, Law, Statement, SymbolInfo

ATTACKS = attacks()
_PROVED: tuple[Any, ...] = (sp.Eq(p, 1), sp.Eq(D, 2))
# Counts are whole numbers.
_SAME = Equality(0, absolute=0.5)
_ONE, _TWO = sp.Integer(1), sp.Integer(2)

CLAIMS = (
    Claim(
        "p <= 2: at most 2p, in any dimension", "counts", UpperBound(), LOW,
        {"one line, as for p = 1": _TWO, "2(p - 1)": sp.Max(1, 2 * p - 2)}, ("p <= 2",), "p",
    ),
    Claim(
        "D = 2: at most 2p", "counts", UpperBound(), LOW,
        {"2(p - 1)": 2 * p - 2, "one line": _TWO}, ("D = 2", "fan"), "p",
    ),
    Claim(
        "D = 2: 2p are attained", "counts", _SAME, LOW,
        {"2(p - 1)": 2 * p - 2, "p": p, "2p lines": 4 * p}, ("fan",), "p",
    ),
    Claim(
        "at least one line", "counts", LowerBound(), _TWO,
        {"p lines always": 2 * p, "two lines always": sp.Integer(4)},
        ("p <= 2", "D = 2", "D = 3"), "p",
    ),
    Claim(
        "D = 3: at most p^2 - p + 2", "counts", UpperBound(), SPACE,
        {"the conjecture 2p": CONJECTURE, "2(p + 1)": CONJECTURE + 2, "one line less": SPACE - 2},
        ("D = 3", "attaining"), "p",
    ),
    Claim(
        "D = 3: p^2 - p + 2 are attained", "counts", _SAME, SPACE,
        {"the conjecture 2p": CONJECTURE, "half of all critical lines": SPACE - 1, "p^2": p**2},
        ("attaining",), "p",
    ),
    Claim(
        "orthonormal data: D lines for p >= 3", "counts", _SAME, 2 * D,
        {"the conjecture 2p": CONJECTURE, "without the test of growth": N_STABLE},
        ("orthonormal",), "D",
    ),
    Claim(
        "single neurons: as many as counted, symmetric data", "neurons", _SAME, N_GROWING,
        {
            "the conjecture 2p": CONJECTURE,
            "without the test of growth": N_STABLE,
            "one orientation a line": N_GROWING / 2,
        },
        ("symmetric",), "N_+",
    ),
    Claim(
        "single neurons: no more than counted, random data", "neurons", UpperBound(), N_GROWING,
        {"one line less": sp.Max(1, N_GROWING - 2), "one orientation a line": N_GROWING / 2},
        ("random",), "N_+",
    ),
    Claim(
        "every neuron is aligned when it blows up", "neurons", Equality(1e-6), _ONE,
        {"off by a degree": sp.cos(sp.pi / 180)}, ("alignment",), "N_+",
    ),
    Claim(
        "networks: as many as counted", "networks", _SAME, N_GROWING,
        {
            "the conjecture 2p": CONJECTURE,
            "without the test of growth": N_STABLE,
            "one orientation a line": N_GROWING / 2,
        },
        ("Adam", "leaders"), "N_+",
    ),
    Claim(
        "Adam has directions of its own: less than half on those of the flow", "networks",
        UpperBound(), sp.Rational(1, 2), {"none": sp.Rational(1, 20)}, ("Adam, share",),
    ),
    Claim(
        "p = 1: one line, and one orientation if the shift leads", "multiplicity one", _SAME,
        ONE_LINE,
        {
            "always two": _TWO,
            "one if the shift exceeds the start": sp.Piecewise((1, SHIFT > 3 * EPS), (2, True)),
            "always one": _ONE,
        },
        ("orientations",),
    ),
    Claim(
        "p = 1: along the moment of what the constant leaves", "multiplicity one", Equality(0.02),
        _ONE, {"the moment of the labels": COSINE}, ("alignment",), "c",
    ),
)  # fmt: skip

_SOURCE = "Zhou et al. 2021, arXiv:2105.11686"
_OWN = "flowtheory, docs/laws/condensed-orientations"

LAW = Law(
    name="condensed-orientations",
    title="how many orientations neurons condense on",
    statements=(
        Statement(
            "one or two inputs", "published",
            sp.Implies(sp.Or(*_PROVED), sp.Le(N, LOW, evaluate=False)), _SOURCE,
            "proved there for p = 1 and for D = 2",
        ),
        Statement(
            "any dimension", "conjecture", sp.Le(N, CONJECTURE, evaluate=False), _SOURCE,
            "from experiments; refuted here for D >= 3, p >= 3 (tetrahedron, p = 3: 8 > 6)",
        ),
        Statement(
            "three inputs", "derived",
            sp.Implies(sp.Eq(D, 3), sp.Le(N, SPACE, evaluate=False)), _OWN,
            "D = 3, generic data; attained for every p, where H is a product of p linear forms",
        ),
        Statement(
            "orthonormal data", "derived", sp.Eq(N, 2 * D, evaluate=False), _OWN,
            "p >= 3, any labels: no bound by p alone exists",
        ),
        Statement(
            "multiplicity one", "derived", sp.Eq(N, ONE_LINE, evaluate=False), _OWN,
            "sigma(0) != 0 shifts every a by delta = ymean/(m sigma(0)); delta = 0 for tanh",
        ),
    ),
    symbols=(
        SymbolInfo(N, "orientations that are stable and growing", "1"),
        SymbolInfo(p, "multiplicity of the activation", "1"),
        SymbolInfo(D, "dimension of the inputs, the bias included", "1"),
        SymbolInfo(SHIFT, "shift of the output weights by the fit of the mean", "1"),
        SymbolInfo(EPS, "standard deviation of the weights", "1"),
        SymbolInfo(RATE, "rate of growth, c_1 |z|", "1"),
        SymbolInfo(T, "time of the measurement", "1"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(
        Experiment("counts", "exact counts of maxima of |H|", counts),
        Experiment("neurons", "single neurons up to their blow-up", neurons),
        Experiment("networks", "Adam, and leaders of gradient flow", networks),
        Experiment("multiplicity one", "tanh, sigmoid, softplus", multiplicity_one),
        attack_experiment(ATTACKS),
    ),
    controls=(),
    claims=CLAIMS,
    attacks=ATTACKS,
    not_shown=(
        "a sharp bound for D > 3",
        "Adam on data without the symmetry of the solids: its directions are others than those of "
        "the flow, and no theory of their number is given",
        "the later stages, where the labels that are left change H",
    ),
    references=(
        "H. Zhou, Q. Zhou, T. Luo, Y. Zhang, Z.-Q. J. Xu. Towards understanding the condensation "
        "of neural networks at initial training. arXiv:2105.11686.",
        "D. Cartwright, B. Sturmfels. The number of eigenvalues of a tensor. Linear Algebra Appl. "
        "438 (2013).",
    ),
    docs="docs/laws/condensed-orientations.md",
    derive=derive,
)  # fmt: skip
