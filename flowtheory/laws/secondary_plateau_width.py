r"""Second plateau of two layers with an odd activation: as long as the network is wide.

After the first descent the network is the best linear fit, shared by all neurons:
$q_j = a_j w_j = O(1/m)$ with $\sum_j q_j = \beta$. The residual $r$ then drives the next order,
$\dot a = c w^3$, $\dot w = 3 c a w^2$ with $c = s_3\langle r x^3\rangle$ and $s_3$ the cubic term
of the activation: the flow of a neuron of multiplicity 3 from $a = w = \sqrt{q}$, held together by
the linear fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import sympy as sp
from jaxtyping import Float
from scipy.optimize import brentq

from flowtheory.clock import Clock
from flowtheory.engine.gradient_flow import GradientFlow, Params
from flowtheory.flow.until import loss_below
from flowtheory.judge import Evidence, Mean, Slope
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.symbolic import Derivation, Line, effective_flow, fully_connected
from flowtheory.symbolic.blowup import aligned_neuron
from flowtheory.symbolic.expand import SCALE
from flowtheory.symbolic.plateau import RATE

DURATION, REPLICATOR = sp.symbols("T T_rep", positive=True)
c, q, beta = sp.symbols("c q_max beta", positive=True)

_Z = sp.Symbol("z")
CUBIC = sp.series(sp.tanh(_Z), _Z, 0, 4).removeO().coeff(_Z, 3)
NEURON = aligned_neuron(3)
ALONE = NEURON.blow_up_time.subs(
    {NEURON.strength: c, NEURON.gains[0]: sp.sqrt(q), NEURON.gains[1]: sp.sqrt(q)}
)
"""The blow-up time of a neuron alone, a Carlson integral."""

LARGEST = sp.sympify("1 - 1/sqrt(3)") / (2 * c * q)
BALANCED = 1 / (4 * c * q)
FACTOR = sp.nsimplify(LARGEST / BALANCED)
TIME = FACTOR * REPLICATOR

NETWORK = fully_connected(2, "tanh")
SAMPLES, END = 20, 0.9


def derive() -> Derivation:
    """Both plateaus, and the time of one neuron."""
    flow = effective_flow(NETWORK, "half_mse")
    a, w, mu = sp.symbols("a w mu", real=True)
    potential = mu * a * w + c * a * w**3
    imbalance = sp.expand(2 * w * potential.diff(w) - 2 * a * potential.diff(a))
    j, tau = sp.Symbol("j"), sp.Symbol("tau")
    each = sp.Sum(-sp.log(1 - tau * sp.Indexed("q", j)), (j, 1, sp.Symbol("m")))
    return Derivation(
        "Second plateau of a two-layer tanh network, one input",
        (
            Line("network", sp.Eq(sp.Symbol("f"), flow.network.output), ""),
            Line("first plateau", sp.Eq(sp.Symbol("k"), flow.degree), "ends at the linear fit"),
            Line("cubic term", sp.Eq(sp.Symbol("s_3"), CUBIC), "c = s_3 <r x^3>"),
            Line("one neuron", sp.Eq(sp.Symbol("H"), potential), "mu keeps the linear part fitted"),
            Line("imbalance", sp.Eq(sp.Symbol("(w^2 - a^2)'"), imbalance), "a = w does not stay"),
            Line("alone", sp.Eq(DURATION, ALONE), "mu = 0, from a = w = sqrt(q)"),
            Line("closed form", sp.Eq(DURATION, LARGEST), "that integral"),
            Line("were a = w kept", sp.Eq(DURATION, BALANCED), "q' = 4 c q^2"),
            Line("all together", sp.Eq(REPLICATOR, each / (4 * c * beta)), "the replicator flow"),
            Line("duration", sp.Eq(DURATION, TIME), ""),
        ),
    )  # fmt: skip


class Fit(NamedTuple):
    """The linear fit and what is left of the labels.

    Attributes:
        beta: its slope.
        c: what drives the neurons afterwards.
        level: loss of the fit.
        start: loss at zero output.
    """

    beta: float
    c: float
    level: float
    start: float


def problem(rng: np.random.Generator) -> tuple[GradientFlow, Fit]:
    r"""$y = \sin(\omega x)$ on equidistant points of [-1, 1]."""
    x = np.linspace(-1.0, 1.0, SAMPLES)
    y = np.sin(rng.uniform(2.8, 3.2) * x)
    return GradientFlow(NETWORK, "half_mse", x=x[:, None], y=y), linear_fit(x, y)


def linear_fit(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> Fit:
    """The best linear fit."""
    slope = float(x @ y / (x @ x))
    rest = y - slope * x
    driving = float(CUBIC) * float(np.mean(rest * x**3))
    return Fit(slope, driving, float(np.mean(rest**2)) / 2, float(np.mean(y**2)) / 2)


def shares(start: Params, fit: Fit) -> Float[np.ndarray, " m"]:
    r"""$q_j$ at the entrance: the growing amplitudes squared, scaled to sum to $\beta$."""
    grown = (start["v"] + np.sign(fit.beta) * start["W"][:, 0]) ** 2
    return fit.beta * grown / grown.sum()


def together(q: Float[np.ndarray, " m"], fit: Fit) -> float:
    r"""Time of the replicator flow until the loss is `END` times that of the fit.

    $q_j \propto p_j$ with $\dot p = p^2$ in a clock $\tau$: $p_j = 1/(1/q_j - \tau)$, and
    $4 c\beta\,t = \sum_j\ln\frac{1}{1 - q_j\tau}$. The loss has fallen by $c\sum_j q_j^2$.
    """
    needed = (1 - END) * fit.level / fit.c

    def excess(part: float) -> float:
        p = 1 / (1 / q - part / q.max())
        return float(np.sum((fit.beta * p / p.sum()) ** 2)) - needed

    part = brentq(excess, 0.0, 1 - 1e-15, xtol=1e-15)
    return float(-np.log1p(-q * part / q.max()).sum() / (4 * fit.c * fit.beta))


def width(settings: Settings) -> Iterator[Evidence]:
    """Random starts over the width."""
    widths = settings.effort.pick((400, 1600), (400, 800, 1600), (400, 800, 1600, 3200, 6400))
    repeats = settings.effort.pick(4, 6, 10)
    rng = np.random.default_rng([settings.seed, 1])
    flow, fit = problem(rng)
    for k, neurons in enumerate(widths):
        for repeat in range(repeats):
            start = flow.init(scale=1e-6, seed=rng, width=neurons)
            yield _row("width", flow, fit, start, 1e-6, max(widths), settings.seed, repeat)
        settings.progress("widths", k + 1, len(widths))


def scale(settings: Settings) -> Iterator[Evidence]:
    """One start, made smaller and smaller."""
    decades = settings.effort.pick((4, 6, 8, 12), (4, 6, 8, 12, 16), (4, 6, 8, 12, 16, 50, 100))
    rng = np.random.default_rng([settings.seed, 2])
    flow, fit = problem(rng)
    unit = flow.init(seed=rng, width=200)
    pad = settings.effort.pick(1600, 1600, 6400)
    for decade in decades:
        start = {name: 10.0**-decade * value for name, value in unit.items()}
        yield _row("scale", flow, fit, start, 10.0**-decade, pad, settings.seed, 0)


def _row(
    experiment: str,
    flow: GradientFlow,
    fit: Fit,
    start: Params,
    size: float,
    pad: int,
    seed: int,
    repeat: int,
) -> Evidence:
    at = shares(start, fit)
    missing = pad - len(at)
    # Neurons with weights 0 stay there: one shape, compiled once.
    padded = {
        name: np.concatenate([value, np.zeros((missing, *value.shape[1:]))])
        for name, value in start.items()
    }
    first = loss_below((fit.start + fit.level) / 2)
    until = loss_below(END * fit.level)
    run = flow.solve(padded, until=until, watch=first, save="norms", rtol=1e-8, estimate=False)
    met = {event.name: event.time for event in run.events}
    began, ended = met[first.events[0].name], met[until.events[0].name]
    rate = fit.beta * float(np.mean(flow.data["x"] ** 2))
    return Evidence(
        experiment=experiment,
        family="tanh, one input",
        parameters={
            "epsilon": size,
            "m": len(at),
            "c": fit.c,
            "beta": fit.beta,
            "q_max": float(at.max()),
            "T_rep": together(at, fit),
            "lambda": rate,
        },
        measured=ended - began,
        error=1e-5 * (ended - began),
        seed=1000 * seed + repeat if experiment == "scale" else seed,
    )


LAW = Law(
    name="secondary-plateau-width",
    title="second plateau of a two-layer network: width decides, not the scale of the start",
    statements=(
        Statement(
            "duration, wide networks", "derived", sp.Eq(DURATION, LARGEST, evaluate=False),
            "flowtheory, docs/laws/secondary-plateau-width",
            "up to corrections of relative order 1/ln(m); q_max is about 2 beta ln(m)/m",
        ),
        Statement(
            "duration", "derived", sp.Eq(DURATION, TIME, evaluate=False),
            "flowtheory, docs/laws/secondary-plateau-width",
            "T_rep: all neurons in competition, sum of ln(1/(1 - q_j tau)) over 4 c beta",
        ),
    ),
    symbols=(
        SymbolInfo(DURATION, "from half the first descent to 0.9 of the loss of the fit", "time"),
        SymbolInfo(REPLICATOR, "the same for the replicator flow of the q_j", "time"),
        SymbolInfo(c, "cubic coefficient times the moment of r", "1/(time*weight**2)"),
        SymbolInfo(q, "largest a_j w_j at the entrance", "weight**2"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(
        Experiment("width", "duration over the width", width),
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
        "several inputs, and activations with an even part, whose plateau grows as sqrt(m)",
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
