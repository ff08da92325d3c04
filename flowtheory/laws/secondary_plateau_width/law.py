"""Second plateau of two layers: as long as the network is wide, whatever the scale of the start."""

from __future__ import annotations

import sympy as sp

from flowtheory.clock import Clock
from flowtheory.judge import Mean, Slope
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.record import Experiment, Law, Statement, SymbolInfo
from flowtheory.laws.secondary_plateau_width.competition import EVEN, ODD, c, c_2, q
from flowtheory.laws.secondary_plateau_width.experiments import even, scale, width
from flowtheory.symbolic import Derivation, Line, effective_flow
from flowtheory.symbolic.expand import SCALE
from flowtheory.symbolic.plateau import RATE

DURATION, REPLICATOR = sp.symbols("T T_rep", positive=True)
beta, m = sp.symbols("beta m", positive=True)

LARGEST = sp.sympify("1 - 1/sqrt(3)") / (2 * c * q)
BALANCED = 1 / (4 * c * q)
FACTOR = sp.nsimplify(LARGEST / BALANCED)
TIME = FACTOR * REPLICATOR

EVEN_LARGEST = sp.asinh(1) / (sp.sqrt(2) * c_2 * sp.sqrt(q))
EVEN_BALANCED = 2 / (3 * c_2 * sp.sqrt(q))
EVEN_FACTOR = EVEN_LARGEST / EVEN_BALANCED
EVEN_TIME = EVEN_FACTOR * REPLICATOR

SOURCE = "flowtheory, docs/laws/secondary-plateau-width"


def derive() -> Derivation:
    """Both plateaus, and the times of one neuron."""
    flow = effective_flow(ODD.network, "half_mse")
    a, w, mu = sp.symbols("a w mu", real=True)
    potential = mu * a * w + c * a * w**3
    imbalance = sp.expand(2 * w * potential.diff(w) - 2 * a * potential.diff(a))
    j, tau = sp.Symbol("j"), sp.Symbol("tau")
    each = sp.Sum(-sp.log(1 - tau * sp.Indexed("q", j)), (j, 1, sp.Symbol("m")))
    return Derivation(
        "Second plateau of a two-layer network, one input",
        (
            Line("network", sp.Eq(sp.Symbol("f"), flow.network.output), ""),
            Line("first plateau", sp.Eq(sp.Symbol("k"), flow.degree), "ends at the linear fit"),
            Line("cubic term", sp.Eq(sp.Symbol("s_3"), ODD.coefficient), "c = s_3 <r x^3>"),
            Line("one neuron", sp.Eq(sp.Symbol("H"), potential), "mu keeps the linear part fitted"),
            Line("imbalance", sp.Eq(sp.Symbol("(w^2 - a^2)'"), imbalance), "a = w does not stay"),
            Line("alone", sp.Eq(DURATION, ODD.alone(c)), "mu = 0, from a = w = sqrt(q)"),
            Line("closed form", sp.Eq(DURATION, LARGEST), "that integral"),
            Line("were a = w kept", sp.Eq(DURATION, BALANCED), "q' = 4 c q^2"),
            Line("all together", sp.Eq(REPLICATOR, each / (4 * c * beta)), "the replicator flow"),
            Line("duration", sp.Eq(DURATION, TIME), ""),
            Line("even term", sp.Eq(sp.Symbol("H"), mu * a * w + c_2 * a * w**2),
                 "c_2 = s_2 <r x^2>, which is larger than the cubic term"),
            Line("alone, even", sp.Eq(DURATION, EVEN.alone(c_2)), "mu = 0, from a = w = sqrt(q)"),
            Line("closed form, even", sp.Eq(DURATION, EVEN_LARGEST), "that integral"),
            Line("were a = w kept, even", sp.Eq(DURATION, EVEN_BALANCED), "q' = 3 c_2 q^(3/2)"),
            Line("duration, even", sp.Eq(DURATION, EVEN_TIME), "up to O(1)"),
        ),
    )  # fmt: skip


LAW = Law(
    name="secondary-plateau-width",
    title="second plateau of a two-layer network: width decides, not the scale of the start",
    statements=(
        Statement(
            "duration, wide networks", "derived", sp.Eq(DURATION, LARGEST, evaluate=False),
            SOURCE,
            "up to corrections of relative order 1/ln(m); q_max is about 2 beta ln(m)/m",
        ),
        Statement(
            "duration", "derived", sp.Eq(DURATION, TIME, evaluate=False),
            SOURCE,
            "T_rep: all neurons in competition, sum of ln(1/(1 - q_j tau)) over 4 c beta",
        ),
        Statement(
            "duration, even term, wide networks", "derived",
            sp.Eq(DURATION, EVEN_LARGEST, evaluate=False), SOURCE,
            "up to corrections of relative order 1/ln(m): grows as sqrt(m/ln(m))",
        ),
        Statement(
            "duration, even term", "derived", sp.Eq(DURATION, EVEN_TIME, evaluate=False), SOURCE,
            "up to O(1); T_rep: neurons of both signs in competition",
        ),
    ),
    symbols=(
        SymbolInfo(DURATION, "from half the first descent to 0.9 of the loss of the fit", "time"),
        SymbolInfo(REPLICATOR, "the same for the replicator flow of the q_j", "time"),
        SymbolInfo(c, "cubic coefficient times the moment of r", "1/(time*weight**2)"),
        SymbolInfo(c_2, "the same for the quadratic term, |s_2 <r x^2>|", "1/(time*weight)"),
        SymbolInfo(q, "largest a_j w_j at the entrance", "weight**2"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(
        Experiment("width", "duration over the width", width),
        Experiment("even", "duration over the width, activation with an even term", even),
        Experiment("scale", "duration over the scale of the start", scale),
    ),
    controls=(),
    claims=(
        Claim(
            "T = (2 - 2/sqrt(3)) T_rep", "width", Mean(0.08), TIME,
            {
                "neurons that stay balanced: T_rep": REPLICATOR,
                "balanced, without the 4": 4 * TIME,
                "the relaxation of the fit": 1 / RATE,
            },
            axis="m",
        ),
        Claim(
            "T grows as T_rep over the width", "width",
            Slope(axis(sp.log(REPLICATOR)), tolerance=0.1, log=True), TIME,
            {
                "independent of the width": 1 / RATE,
                "the root, as with an even term": sp.sqrt(TIME / RATE),
                "the square": RATE * TIME**2,
            },
            axis="m",
        ),
        Claim(
            "even term: T = 3 asinh(1)/(2 sqrt(2)) T_rep + O(1)", "even",
            Slope(axis(REPLICATOR), tolerance=0.1), EVEN_TIME,
            {
                "independent of the width": 1 / RATE,
                "q' = 2 c_2 q^(3/2): half as much again": sp.Rational(3, 2) * EVEN_TIME,
                "the square, as with an odd activation": RATE * EVEN_TIME**2,
            },
            axis="m",
        ),
        Claim(
            "even term: T grows as sqrt(m), up to a logarithm", "even",
            # Starts differ by their largest share, on which T depends as its root.
            Slope(
                axis(sp.log(m)), tolerance=0.25, log=True,
                beside=(axis(sp.log(q * m / sp.log(m))),),
            ),
            sp.sqrt(m),
            {
                "as with an odd activation: m/ln(m)": m / sp.log(m),
                "independent of the width": sp.Integer(1),
            },
            axis="m",
        ),
        Claim(
            "T does not depend on the scale", "scale",
            Slope(axis(sp.log(1 / SCALE)), floor=0.05), TIME,
            {
                "as with an invariant saddle: ln(1/epsilon)/lambda": sp.log(1 / SCALE) / RATE,
                "a tenth of that": sp.log(1 / SCALE) / (10 * RATE),
            },
            axis="epsilon",
        ),
    ),
    not_shown=(
        "several inputs",
        "the logarithm under the root with an even term: up to m = 6400 sqrt(m) fits as well",
        "data with c < 0, where the largest neurons lose",
        "networks with an invariant subspace, whose second plateau is a logarithm of the scale",
    ),
    references=(
        "Z.-A. Chen, T. Luo, G. Wang. On the multi-stage loss dynamics of two-layer networks "
        "(plateaus and descents). arXiv:2410.20119.",
    ),
    docs="docs/laws/secondary-plateau-width.md",
    derive=derive,
)  # fmt: skip
