r"""Distances between distributions of amplitudes along a gradient flow.

$A_j = (a_j^2 + |w_j|^2)^{1/2}$. During a plateau of degree 2 the distance from zero,
$W_1(\rho_t, \delta_0) = \langle A\rangle$, grows at the rate $\lambda$. On every window
$W_2(\rho_s, \rho_t)^2 \le (t - s)(L(s) - L(t))/m$: sorting is the best matching of amplitudes, and
the length of the path is bounded by the loss that it loses.
"""

from __future__ import annotations

import sympy as sp

from flowtheory.clock import Clock
from flowtheory.judge import Attained, Slope, UpperBound
from flowtheory.laws.attacked import attack_experiment
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.linear_growth import leading
from flowtheory.laws.record import Experiment, Law, Statement, SymbolInfo
from flowtheory.laws.wasserstein_motion.attacks import BOUND, L_s, L_t, attacks, m, s, t
from flowtheory.laws.wasserstein_motion.experiments import NETWORK, growth, windows
from flowtheory.symbolic import Derivation, Line
from flowtheory.symbolic.plateau import RATE

n = sp.Symbol("n", integer=True, positive=True)
DISTANCE, MEAN, FIRST = sp.symbols("W_2 W_1 A_0", positive=True)

TAU = sp.Symbol("tau", positive=True)
GROWTH = FIRST * sp.exp(RATE * t)
ATTACKS = attacks()


def derive() -> Derivation:
    """The linear flow of a plateau, and the two steps of the bound."""
    flow = leading(NETWORK)
    (rate, _), *_ = flow.linearization.parts
    path, speed = sp.Symbol("|theta_t - theta_s|"), sp.Symbol("|theta'|", positive=True)
    squares = sp.Integral(speed**2, (sp.Symbol("u", positive=True), s, t))
    return Derivation(
        "Amplitudes along a gradient flow",
        (
            Line("network", sp.Eq(sp.Symbol("f"), flow.network.output), "two layers, as example"),
            Line("degree", sp.Eq(sp.Symbol("k"), flow.degree), "the leading flow is linear"),
            Line("growth rate", sp.Eq(RATE, rate), "z is the sum of y x over samples here"),
            Line("plateau", sp.Eq(MEAN, GROWTH), "mean amplitude, after the decaying part"),
            Line("matching", sp.Le(DISTANCE**2, path**2 / m), "sorted; neuron by neuron is worse"),
            Line("path", sp.Le(path**2, (t - s) * squares), "Cauchy, Schwarz"),
            Line("dissipation", sp.Eq(squares, L_s - L_t), "gradient flow"),
            Line("bound", sp.Le(DISTANCE**2, BOUND), "L in the clock of t: summed or averaged"),
        ),
    )  # fmt: skip


_WRONG = {
    "without the time": (L_s - L_t) / m,
    "m^2 for m": BOUND / m,
    "tightened by a fifth": sp.Rational(4, 5) * BOUND,
}

LAW = Law(
    name="wasserstein-motion",
    title="how far the distribution of amplitudes moves: rate on a plateau, bound by the loss",
    statements=(
        Statement(
            "plateau", "derived", sp.Eq(MEAN, GROWTH, evaluate=False),
            "flowtheory, docs/laws/wasserstein-motion", "degree 2, lambda t >> 1; W_1 from zero",
        ),
        Statement(
            "bound", "derived", sp.Le(DISTANCE**2, BOUND, evaluate=False),
            "flowtheory, docs/laws/wasserstein-motion", "every window s < t of every gradient flow",
        ),
    ),
    symbols=(
        SymbolInfo(DISTANCE, "distance of order 2 between the amplitudes at s and t", "weight"),
        SymbolInfo(MEAN, "distance of order 1 of the amplitudes from zero: their mean", "weight"),
        SymbolInfo(FIRST, "what it would be at t = 0 without the decaying part", "weight"),
        SymbolInfo(RATE, "growth rate at the saddle", "1/time"),
        SymbolInfo(s, "start of the window", "time"),
        SymbolInfo(t, "end of the window, or time", "time"),
        SymbolInfo(L_s, "loss at s", "weight**2/time"),
        SymbolInfo(L_t, "loss at t", "weight**2/time"),
        SymbolInfo(m, "neurons", "1"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(
        Experiment("growth", "mean amplitude on a plateau", growth),
        Experiment("windows", "all windows of random and aligned starts", windows),
        attack_experiment(ATTACKS),
    ),
    controls=(),
    claims=(
        Claim(
            "W_1 grows as exp(lambda t)", "growth",
            Slope(axis(TAU), tolerance=2e-3, log=True), sp.exp(TAU),
            {
                "twice the rate, as of products a w": sp.exp(2 * TAU),
                "the rate of the summed loss": sp.exp(n * TAU),
                "no motion": sp.Integer(1),
            },
            axis="tau", detail="tau = lambda t; W_1 in units of A_0",
        ),
        Claim(
            "W_2^2 <= (t - s)(L_s - L_t)/m", "windows", UpperBound(), BOUND, _WRONG, axis="t",
        ),
        Claim("the bound is attained", "windows", Attained(0.99), BOUND, families=("aligned",)),
        *(one.claim() for one in ATTACKS),
    ),
    attacks=ATTACKS,
    not_shown=(
        "the converse: neurons may exchange their amplitudes, which no distance of them sees",
        "distributions of directions, or of all weights of a neuron",
        "the rate after the plateau, or for k > 2, where amplitudes grow as a power of T* - t",
    ),
    references=(
        "Z.-A. Chen, T. Luo, G. Wang. On the multi-stage loss dynamics of two-layer networks "
        "(plateaus and descents). arXiv:2410.20119.",
    ),
    docs="docs/laws/wasserstein-motion.md",
    derive=derive,
)  # fmt: skip
