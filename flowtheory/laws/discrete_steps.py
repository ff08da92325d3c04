r"""Gradient descent against gradient flow: how much later a plateau ends at a finite step.

$\theta_{n+1} = \theta_n - \eta\nabla L(\theta_n)$, time $\eta n$. On a plateau of degree 2 a step
multiplies the growing mode by $1 + \eta\lambda$ where the flow has $e^{\eta\lambda}$. In general a
step is the flow of $f - \frac\eta2 f'f + O(\eta^2)$ with $f = -\nabla L$, which along a line is
later by $\frac\eta2\int f'/f\,d\theta$.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import sympy as sp

from flowtheory.clock import Clock
from flowtheory.engine.gradient_flow import GradientFlow, Params
from flowtheory.flow.until import loss_below
from flowtheory.judge import Evidence, Slope
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.linear_growth import growth, leading
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.laws.samples import regression
from flowtheory.symbolic import Derivation, Line, fully_connected
from flowtheory.symbolic.expand import SCALE
from flowtheory.symbolic.network import Network
from flowtheory.symbolic.plateau import RATE, exponential_plateau

k = sp.Symbol("k", integer=True, positive=True)
eta, r, r_f = sp.symbols("eta r r_f", positive=True)
DESCENT, FLOW = sp.symbols("T_GD T_GF", positive=True)

FACTOR = eta * RATE / sp.log(1 + eta * RATE)
PER_SCALE = -SCALE * sp.diff(exponential_plateau().expression, SCALE)
"""What an e-fold of the scale costs the flow: 1/lambda."""
DEGREE_TWO = FACTOR * PER_SCALE * sp.log(1 / SCALE)


def later(rate: sp.Expr, end: sp.Expr = r_f) -> sp.Expr:
    r"""$\frac\eta2\int_\varepsilon^{r_f}\frac{\dot r'}{\dot r}dr$ for a rate of the radius."""
    change = sp.cancel(sp.diff(rate, r) / rate)
    return sp.expand_log(eta / 2 * sp.integrate(change, (r, SCALE, end)), force=True)


HIGHER = later(r ** (k - 1))
SHIFT = later(r ** (k - 1), sp.Integer(1))

DELTA = 0.1


@dataclass(frozen=True)
class Case:
    """A network with a start.

    Attributes:
        family: its name.
        layers: L.
        activation: of hidden layers.
        width: of hidden layers; 1 for a chain with x = y = 1.
    """

    family: str
    layers: int
    activation: str
    width: int

    @property
    def network(self) -> Network:
        """The network."""
        return fully_connected(self.layers, self.activation)

    def problem(self, seed: int) -> tuple[GradientFlow, Params]:
        """Data, and the start at scale 1."""
        rng = np.random.default_rng([seed, self.layers, self.width])
        if self.width == 1:
            strength = rng.uniform(0.7, 1.3)
            flow = GradientFlow(self.network, "half_mse", x=[[1.0]], y=[strength])
            return flow, {name: np.ones_like(a) for name, a in flow.init(width=1).items()}
        x, y = regression(rng, 12, 2)
        flow = GradientFlow(self.network, "half_mse", x=x, y=y)
        return flow, flow.init(seed=rng, width=self.width)


TWO = (
    Case("tanh, two layers, 8 neurons", 2, "tanh", 8),
    Case("linear, two layers, one neuron", 2, "identity", 1),
)
DEEPER = (
    Case("tanh, three layers, one neuron each", 3, "tanh", 1),
    Case("tanh, three layers, 6 + 6 neurons", 3, "tanh", 6),
    Case("linear, four layers, one neuron each", 4, "identity", 1),
)


def derive() -> Derivation:
    """Both corrections."""
    flow = leading(TWO[0].network)
    (rate, _), *_ = flow.linearization.parts
    modified = r ** (k - 1) * (1 - eta / 2 * sp.diff(r ** (k - 1), r))
    step = sp.Eq(sp.Symbol("u_1") / sp.Symbol("u_0"), 1 + eta * RATE)
    return Derivation(
        "Gradient descent against gradient flow",
        (
            Line("network", sp.Eq(sp.Symbol("f"), flow.network.output), "degree 2, as example"),
            Line("growth rate", sp.Eq(RATE, rate), "of the flow, z the sum of y x here"),
            Line("a step", step, "the flow has exp(eta lambda)"),
            Line("degree 2", sp.Eq(DESCENT, FACTOR * FLOW), "up to a bounded multiple of eta"),
            Line("an e-fold", sp.Eq(sp.Symbol("T_e"), FACTOR * PER_SCALE), "of the scale"),
            Line("modified rate", sp.Eq(sp.Symbol("r'"), modified), "of the radius, up to eta^2"),
            Line("degree k", sp.Eq(DESCENT - FLOW, HIGHER), "r from the scale to r_f"),
        ),
    )  # fmt: skip


def degree_two(settings: Settings) -> Iterator[Evidence]:
    """Steps over 98 decades of the scale."""
    cases = TWO[: settings.effort.pick(1, 2, 2)]
    sizes = settings.effort.pick(
        (0.1, 0.5, 1.0), (0.01, 0.1, 0.3, 1.0), (0.01, 0.03, 0.1, 0.3, 1.0)
    )
    for i, case in enumerate(cases):
        flow, unit = case.problem(settings.seed)
        rate = growth(flow).rate
        for number, size in enumerate(sizes):
            for decade in settings.effort.pick(
                (2, 5, 20, 100), (2, 5, 10, 30, 100), (2, 5, 10, 30, 100, 200)
            ):
                step, scale = size / rate, 10.0**-decade
                yield Evidence(
                    experiment="degree two",
                    family=case.family,
                    parameters={"epsilon": scale, "eta": step, "lambda": rate},
                    measured=_descended(flow, unit, scale, step),
                    error=0.02 * step,
                    seed=1000 * settings.seed + number,
                )
        settings.progress("degree two", i + 1, len(cases))


def higher(settings: Settings) -> Iterator[Evidence]:
    """The delay behind the flow where it is a power of the scale that the plateau costs."""
    cases = DEEPER[: settings.effort.pick(1, 3, 3)]
    steps = settings.effort.pick((0.1, 0.5), (0.05, 0.2, 0.5), (0.05, 0.1, 0.5))
    last = settings.effort.pick(-3.5, -4, -4.5)
    for i, case in enumerate(cases):
        flow, unit = case.problem(settings.seed)
        degree = leading(case.network).degree
        end = -1.5 + (last + 1.5) / (degree - 2)
        for scale in np.geomspace(10**-1.5, 10.0**end, settings.effort.pick(5, 6, 8)):
            exact = _flowed(flow, unit, float(scale))
            for number, step in enumerate(steps):
                yield Evidence(
                    experiment="higher degree",
                    family=case.family,
                    parameters={"epsilon": float(scale), "eta": step, "k": degree},
                    measured=_descended(flow, unit, float(scale), step) - exact[0],
                    error=0.02 * step + exact[1],
                    seed=1000 * settings.seed + number,
                )
        settings.progress("higher degree", i + 1, len(cases))


def _descended(flow: GradientFlow, unit: Params, scale: float, step: float) -> float:
    start = {name: scale * value for name, value in unit.items()}
    found = flow.gradient_descent(start, step, loss=(1 - DELTA) * flow.plateau(start))
    return found.time if found.outcome.ok else np.nan


def _flowed(flow: GradientFlow, unit: Params, scale: float) -> tuple[float, float]:
    start = {name: scale * value for name, value in unit.items()}
    until = loss_below((1 - DELTA) * flow.plateau(start))
    run = flow.solve(start, until=until, save="norms", rtol=1e-12, skip=False)
    return run.t_end, float(run.error_estimate)


LAW = Law(
    name="discrete-steps",
    title="gradient descent against gradient flow: the delay of a plateau at a finite step",
    statements=(
        Statement(
            "degree 2", "derived", sp.Eq(DESCENT, FACTOR * FLOW, evaluate=False),
            "flowtheory, docs/laws/discrete-steps", "up to a bounded multiple of eta",
        ),
        Statement(
            "degree k", "derived", sp.Eq(DESCENT, FLOW + SHIFT, evaluate=False),
            "flowtheory, docs/laws/discrete-steps", "k > 2; up to a bounded multiple of eta",
        ),
    ),
    symbols=(
        SymbolInfo(DESCENT, "steps times eta until a tenth of the loss is gone", "time"),
        SymbolInfo(FLOW, "the same of the gradient flow", "time"),
        SymbolInfo(eta, "step", "time"),
        SymbolInfo(RATE, "growth rate at the saddle", "1/time"),
        SymbolInfo(k, "degree of the leading part", "1"),
        SymbolInfo(SCALE, "scale of the start", "1"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(
        Experiment("degree two", "time of gradient descent over the scale", degree_two),
        Experiment("higher degree", "delay of gradient descent over the scale", higher),
    ),
    controls=(),
    claims=(
        Claim(
            "degree 2: T_GD grows as eta ln(1/epsilon)/ln(1 + eta lambda)", "degree two",
            Slope(axis(DEGREE_TWO), tolerance=1e-3), DEGREE_TWO,
            {
                "no correction": PER_SCALE * sp.log(1 / SCALE),
                "first order alone": (1 + eta * RATE / 2) * PER_SCALE * sp.log(1 / SCALE),
                "the wrong sign": (1 - eta * RATE / 2) * PER_SCALE * sp.log(1 / SCALE),
                "second order without its 1/2": (1 + eta * RATE) * PER_SCALE * sp.log(1 / SCALE),
            },
            axis="epsilon",
        ),
        Claim(
            "degree k: T_GD - T_GF grows as (eta/2)(k - 1) ln(1/epsilon)", "higher degree",
            Slope(axis(SHIFT), tolerance=0.03), SHIFT,
            {
                "no delay": sp.Integer(0),
                "early instead of late": -SHIFT,
                "k for k - 1": SHIFT * k / (k - 1),
                "without the 1/2": 2 * SHIFT,
            },
            axis="epsilon",
        ),
    ),
    not_shown=(
        "steps beyond stability, eta times the largest curvature above 2",
        "noise of mini-batches, momentum, decay of the step",
        "the bounded multiple of eta, which depends on where the plateau is said to end",
    ),
    references=(
        "E. Hairer, C. Lubich, G. Wanner. Geometric numerical integration. Springer 2006, "
        "chapter IX (the modified equation of a step).",
    ),
    docs="docs/laws/discrete-steps.md",
    derive=derive,
)  # fmt: skip
