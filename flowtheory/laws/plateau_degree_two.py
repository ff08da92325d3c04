r"""The first plateau of a two-layer network with $\sigma(0) = 0$, $\sigma'(0) = 1$.

Near zero every neuron follows $\dot a = z\cdot w$, $\dot w = a z$ with $z = \frac1n\sum_i y_i x_i$,
so that the loss has fallen by $\delta$ when $\frac\lambda2\varepsilon^2 P e^{2\lambda T} = \delta$,
$\lambda = |z|$. The time is a logarithm of the scale, and of the width where that sets the scale.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import sympy as sp

from flowtheory.clock import Clock
from flowtheory.engine.gradient_flow import GradientFlow, Params
from flowtheory.flow.until import plateau_left
from flowtheory.judge import Equality, Evidence, Slope
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.linear_growth import Growth, growth, leading
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.laws.samples import regression
from flowtheory.symbolic import Derivation, Line, fully_connected
from flowtheory.symbolic.expand import SCALE
from flowtheory.symbolic.network import Network
from flowtheory.symbolic.plateau import DROP, OVERLAP, RATE, exponential_plateau

T, m, alpha = (sp.Symbol(name, positive=True) for name in ("T", "m", "alpha"))
WHOLE = sp.Symbol("N", positive=True)

# At a scale of 1e-300 its square is zero: the logarithm of a product is written as a sum.
TIME = sp.expand_log(exponential_plateau().expression, force=True)
# a_k and w_k . z/|z| of variance 1 in units of the scale: P has the mean m.
WIDE = sp.expand_log(TIME.xreplace({SCALE: m**-alpha, OVERLAP: m}), force=True)

SAMPLES, DIMENSION, WIDTH = 12, 3, 20
ONE = "tanh, one output"
NETWORKS = {
    ONE: fully_connected(2, "tanh"),
    "even part in the activation": fully_connected(2, "tanh(z) + z**2/(2*(1 + z**2))"),
    "tanh, two outputs": fully_connected(2, "tanh", output="vector"),
}
LARGE, TINY = 0.1, 1e-6
WIDEST = 100_000


def derive() -> Derivation:
    """Degree two, the rate, and the two logarithms."""
    flow = leading(NETWORKS[ONE])
    (rate, number), *_ = flow.linearization.parts
    return Derivation(
        "First plateau of a two-layer network",
        (
            Line("network", sp.Eq(sp.Symbol("f"), flow.network.output), ""),
            Line("degree", sp.Eq(sp.Symbol("k"), flow.degree), "the leading flow is linear"),
            Line("gap", sp.Eq(sp.Symbol("q"), flow.gap), "the next power of the scale"),
            Line("growth rate", sp.Eq(RATE, rate), "z is the sum of y x over samples here"),
            Line("times", sp.Eq(sp.Symbol("number"), number), "one growing direction a neuron"),
            Line("plateau", sp.Eq(T, TIME), "loss lower by delta; P from the start in units of it"),
            Line("width", sp.Eq(T, WIDE), "entries N(0, m^(-2 alpha)): P is m on average"),
        ),
    )


def overlap(start: Params, at: Growth) -> float:
    r"""$P$: the squares of $u_k = (a_k + w_k\cdot\hat z)/\sqrt2$, summed over neurons."""
    last = at.outputs @ np.atleast_2d(start["v"] if "v" in start else start["V"])
    return float(np.sum((last + start["W"] @ at.inputs) ** 2) / 2)


def _problem(network: Network, rng: np.random.Generator) -> GradientFlow:
    x, y = regression(rng, SAMPLES, DIMENSION)
    if len(network.axes) > 1:
        y = np.column_stack([y, regression(rng, SAMPLES, DIMENSION)[1]])
    return GradientFlow(network, "half_mse", x=x, y=y)


def scale(settings: Settings) -> Iterator[Evidence]:
    """One start, made smaller and smaller, until a tenth of the plateau's loss is gone."""
    decades = (2, 4, 8, 16, 32, 64, 128, 300)
    yield from _shrunk(settings, "scale", settings.effort.pick(1, 3, 3), decades)


def integrated(settings: Settings) -> Iterator[Evidence]:
    """The same without the leading flow: the full flow is integrated from the start."""
    decades = np.linspace(2, settings.effort.pick(8, 8, 12), settings.effort.pick(5, 7, 11))
    yield from _shrunk(settings, "integrated", 1, tuple(decades))


def small_drop(settings: Settings) -> Iterator[Evidence]:
    """The end of the plateau at a drop so small that the flow is linear up to it."""
    yield from _shrunk(settings, "small drop", 1, (8, 16, 32, 64, 128, 300))


def _shrunk(
    settings: Settings, experiment: str, networks: int, decades: tuple[float, ...]
) -> Iterator[Evidence]:
    cases = settings.effort.pick(1, 2, 6)
    fraction = TINY if experiment == "small drop" else LARGE
    for k, name in enumerate(list(NETWORKS)[:networks]):
        for case in range(cases):
            rng = np.random.default_rng([settings.seed, k, case])
            flow = _problem(NETWORKS[name], rng)
            unit, at = flow.init(seed=rng, width=WIDTH), growth(flow)
            for decade in decades:
                start = {key: 10.0**-decade * value for key, value in unit.items()}
                run = flow.solve(
                    start,
                    until=plateau_left(fraction),
                    save="norms",
                    rtol=1e-10,
                    skip=experiment != "integrated",
                )
                yield Evidence(
                    experiment=experiment,
                    family=name,
                    parameters={
                        "epsilon": 10.0**-decade,
                        "lambda": at.rate,
                        "delta": fraction * flow.plateau(start),
                        "P": overlap(unit, at),
                        "N": float(sum(np.sum(value**2) for value in unit.values())),
                    },
                    measured=run.t_end,
                    error=float(run.error_estimate),
                    seed=1000 * settings.seed + case,
                )
            settings.progress(experiment, k * cases + case + 1, networks * cases)


def width(settings: Settings) -> Iterator[Evidence]:
    r"""Entries $\mathcal N(0, m^{-2\alpha})$, independent at every width and replicate."""
    pick = settings.effort.pick
    rng = np.random.default_rng([settings.seed, 7])
    flow = _problem(NETWORKS[ONE], rng)
    # Where the entries are below 1e-4 all widths share one compiled loop.
    mild = {1.0: 300, 1.5: 300}
    least = {2.0: 1000, 3.0: 1000} | pick({}, mild, mild)
    for exponent, first in least.items():
        widths = np.geomspace(first, pick(WIDEST // 4, WIDEST, WIDEST), pick(4, 6, 10))
        for replicate in range(pick(2, 2, 4)):
            for neurons in widths.round().astype(int):
                yield _wide(flow, int(neurons), exponent, rng, 1000 * settings.seed + replicate)
        settings.progress("widths", 1, len(least))


def _wide(
    flow: GradientFlow, neurons: int, exponent: float, rng: np.random.Generator, seed: int
) -> Evidence:
    start = flow.init(scale=neurons**-exponent, seed=rng, width=neurons)
    run = flow.solve(start, until=plateau_left(LARGE), save=None, rtol=1e-8)
    return Evidence(
        experiment="width",
        family=f"alpha = {exponent:g}",
        parameters={
            "m": neurons,
            "alpha": exponent,
            "lambda": growth(flow).rate,
            "delta": LARGE * flow.plateau(start),
        },
        measured=run.t_end,
        error=float(run.error_estimate),
        seed=seed,
    )


LAW = Law(
    name="plateau-degree-two",
    title="first plateau of a two-layer network: a logarithm of the scale, and of the width",
    statements=(
        Statement(
            "plateau", "derived", sp.Eq(T, TIME, evaluate=False),
            "flowtheory, docs/laws/plateau-degree-two", "up to a constant that depends on delta",
        ),
        Statement(
            "plateau over the width", "derived", sp.Eq(T, WIDE, evaluate=False),
            "flowtheory, docs/laws/plateau-degree-two",
            "alpha > 1/2; the setting of Chen, Luo, Wang, arXiv:2410.20119",
        ),
    ),
    symbols=(
        SymbolInfo(T, "time at which the loss has fallen by delta", "time"),
        SymbolInfo(RATE, "|z|, or the largest singular value of the moment", "1/time"),
        SymbolInfo(DROP, "fall of the loss that ends the plateau", "1/time"),
        SymbolInfo(SCALE, "scale of the start", "1"),
        SymbolInfo(OVERLAP, "squares of the growing amplitudes at the start, in the scale", "1"),
        SymbolInfo(m, "neurons", "1"),
        SymbolInfo(alpha, "entries of the start are N(0, m^(-2 alpha))", "1"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(
        Experiment("scale", "one start over 298 decades of its scale", scale),
        Experiment("integrated", "the same, integrated throughout", integrated),
        Experiment("small drop", "a drop of a millionth of the loss", small_drop),
        Experiment("width", "random starts over the width", width),
    ),
    controls=(),
    claims=(
        Claim(
            "T grows as ln(1/epsilon)/lambda", "scale",
            Slope(axis(sp.log(1 / SCALE) / RATE), tolerance=1e-3), TIME,
            {
                "half the slope, as for a product of gains": TIME / 2,
                "twice the slope": 2 * TIME,
                "no dependence on the scale": TIME.xreplace({SCALE: sp.Integer(1)}),
                "a power, as for degree 3": 1 / (RATE * SCALE ** sp.Rational(1, 100)),
            },
            axis="epsilon",
        ),
        Claim(
            "so does the flow that is integrated throughout", "integrated",
            Slope(axis(sp.log(1 / SCALE) / RATE), tolerance=3e-3), TIME,
            {"half the slope": TIME / 2, "one per cent more": sp.Rational(101, 100) * TIME},
            axis="epsilon",
        ),
        Claim(
            "at a small drop T = ln(2 delta/(lambda epsilon^2 P))/(2 lambda)", "small drop",
            Equality(1e-5), TIME,
            {
                "all of the start grows": TIME.xreplace({OVERLAP: WHOLE}),
                "delta for 2 delta": TIME.xreplace({DROP: DROP / 2}),
                "epsilon for epsilon^2": TIME.xreplace({SCALE: sp.sqrt(SCALE)}),
            },
            axis="epsilon",
        ),
        Claim(
            "T grows as (2 alpha - 1)/(2 lambda) ln m", "width",
            Slope(axis((2 * alpha - 1) * sp.log(m) / (2 * RATE)), tolerance=0.03), WIDE,
            {
                "alpha/lambda: P does not grow": TIME.xreplace(
                    {SCALE: m**-alpha, OVERLAP: sp.Integer(1)}
                ),
                "(2 alpha - 1)/lambda": 2 * WIDE,
                "no dependence on the width": WIDE.xreplace({m: sp.Integer(1)}),
            },
            axis="m",
        ),
    ),
    not_shown=(
        "the constant at a drop that is not small, which depends on delta and on the data",
        "alpha <= 1/2, where there is no plateau; kinked activations, which have no single rate",
        "deeper networks, whose plateau is a power of the scale",
    ),
    references=(
        "Z.-A. Chen, T. Luo, G. Wang. On the multi-stage loss dynamics of two-layer networks "
        "(plateaus and descents). arXiv:2410.20119.",
        "A. Saxe, J. McClelland, S. Ganguli. Exact solutions to the nonlinear dynamics of learning "
        "in deep linear neural networks. ICLR 2014. arXiv:1312.6120.",
    ),
    docs="docs/laws/plateau-degree-two.md",
    derive=derive,
)  # fmt: skip
