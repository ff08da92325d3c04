r"""Passage times of one mode of a deep linear network, exact for every depth.

Layers of equal gain $w$ (balanced) and one mode of strength $s$: under the half mean square
$\dot w = w^{L-1}(s - w^L)$. Separation of variables gives the time from $w_0$ to $w_f$ in closed
form; its leading part is $w_0^{-(L-2)}/((L-2)s)$, a power where two layers have a logarithm.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import sympy as sp

from flowtheory.clock import Clock
from flowtheory.engine.gradient_flow import GradientFlow
from flowtheory.flow.until import loss_below
from flowtheory.judge import Equality, Evidence
from flowtheory.laws.certificate import closed_form
from flowtheory.laws.claim import Claim
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.symbolic import Derivation, Line, deep_linear, effective_flow

L = sp.Symbol("L", integer=True, positive=True)
s, w_0, w_f, w = sp.symbols("s w_0 w_f w", positive=True)
T = sp.Symbol("T", positive=True)

DEPTHS = (2, 3, 4, 5, 6, 8)

RATE = w ** (L - 1) * (s - w**L)
TWO_LAYERS = sp.log(w_f**2 * (s - w_0**2) / (w_0**2 * (s - w_f**2))) / (2 * s)
LEADING = w_0 ** (2 - L) / ((L - 2) * s)


def _rest(gain: sp.Expr) -> sp.Expr:
    two = sp.Integer(2)
    return gain**2 / (2 * s**2) * sp.hyper([1, two / L], [1 + two / L], gain**L / s)


TIME = (w_0 ** (2 - L) - w_f ** (2 - L)) / ((L - 2) * s) + _rest(w_f) - _rest(w_0)


def derive() -> Derivation:
    """The rate from the network's own loss, the time, and what two and three layers give."""
    flow = effective_flow(deep_linear(3, output="scalar"), "half_square")
    return Derivation(
        "Passage time of one mode of a deep linear network",
        (
            Line("network", sp.Eq(sp.Symbol("f"), flow.network.output), "three layers, as example"),
            Line(
                "degree", sp.Eq(sp.Symbol("k"), flow.degree), "k = L: the leading part is a power"
            ),
            Line("gap", sp.Eq(sp.Symbol("q"), flow.gap), "the next power, from the square of f"),
            Line("rate of a gain", sp.Eq(sp.Symbol("w'"), RATE), "balanced layers, one mode"),
            Line("passage time", sp.Eq(T, TIME), "the integral of 1/rate from w_0 to w_f, L > 2"),
            Line("two layers", sp.Eq(T, TWO_LAYERS), "the same integral for L = 2"),
            Line("leading part", sp.Eq(T, LEADING), "w_0 -> 0, L > 2"),
        ),
    )


def passage(settings: Settings) -> Iterator[Evidence]:
    """One chain a depth: time until the mode has nine tenths of its strength."""
    depths = settings.effort.pick((2, 3, 5), (2, 3, 4, 6), DEPTHS)
    least = settings.effort.pick(-8, -40, -40)
    scales = 10.0 ** np.linspace(-1, least, settings.effort.pick(4, 8, 14))
    rng = np.random.default_rng(settings.seed)
    for k, depth in enumerate(depths):
        strength = float(rng.uniform(0.5, 2.0))
        flow = GradientFlow(
            deep_linear(depth, output="scalar"), "half_square", x=[[1.0]], y=[strength]
        )
        for scale in scales:
            yield _passage(flow, depth, strength, float(scale), settings.seed)
        settings.progress("passage times", k + 1, len(depths))


def _passage(flow: GradientFlow, depth: int, strength: float, scale: float, seed: int) -> Evidence:
    start = {name: np.full_like(value, scale) for name, value in flow.init(width=1).items()}
    end = loss_below(0.5 * (0.1 * strength) ** 2)
    run = flow.solve(start, until=end, save="norms", rtol=1e-11)
    return Evidence(
        experiment="passage",
        family=f"L = {depth}",
        parameters={
            "L": depth,
            "s": strength,
            "w_0": scale,
            "w_f": (0.9 * strength) ** (1 / depth),
        },
        measured=run.t_end,
        error=float(run.error_estimate),
        seed=seed,
    )


CLAIMS = (
    Claim(
        "two layers: T = ln[...]/(2 s)", "passage", Equality(1e-8), TWO_LAYERS,
        {"twice the rate": TWO_LAYERS / 2, "no saturation": sp.log(w_f / w_0) / s},
        families=("L = 2",), axis="w_0",
    ),
    Claim(
        "deeper: T in closed form with 2F1", "passage", Equality(1e-8), TIME,
        {
            "leading part alone": LEADING,
            "rate L times as large": TIME / L,
            "one power less": TIME * w_0,
        },
        families=tuple(f"L = {depth}" for depth in DEPTHS[1:]), axis="w_0",
    ),
)  # fmt: skip

LAW = Law(
    name="deep-linear-time",
    title="passage time of one mode of a deep linear network, any depth",
    statements=(
        Statement(
            "two layers", "published", sp.Eq(T, TWO_LAYERS, evaluate=False),
            "Saxe, McClelland, Ganguli, ICLR 2014, arXiv:1312.6120",
            "product of the gains from w_0^2 to w_f^2; their tau is 1 here", {L: 2},
        ),
        Statement(
            "any depth", "derived", sp.Eq(T, TIME, evaluate=False),
            "flowtheory, docs/laws/deep-linear-time", "L > 2; 2F1 is Gauss's function",
        ),
    ),
    symbols=(
        SymbolInfo(T, "time from w_0 to w_f", "gain**(2 - 2*L)"),
        SymbolInfo(L, "number of layers", "1"),
        SymbolInfo(s, "strength of the mode: the target of the product of gains", "gain**L"),
        SymbolInfo(w_0, "gain of every layer at the start", "gain"),
        SymbolInfo(w_f, "gain of every layer at the end", "gain"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(Experiment("passage", "a chain of scalar layers", passage),),
    controls=(),
    claims=CLAIMS,
    certificates=tuple(map(closed_form, CLAIMS)),
    not_shown=(
        "several modes at once, which interact unless the start is aligned with them",
        "unbalanced layers: unbalanced-linear has their time",
    ),
    references=(
        "A. Saxe, J. McClelland, S. Ganguli. Exact solutions to the nonlinear dynamics of learning "
        "in deep linear neural networks. ICLR 2014. arXiv:1312.6120.",
    ),
    docs="docs/laws/deep-linear-time.md",
    derive=derive,
)  # fmt: skip
