r"""Two modalities that are fused late are learned one after the other.

A linear network $f = a\,x_A + b\,x_B$, $a$ and $b$ products of the layers of two branches, learns
$y = x_A + x_B$ with standard deviations $\sigma_A = r\sigma_B$ and correlation $\rho$. The strong
modality comes at $t_A$, and until the weak one comes at $t_B$ the first stands for both,
$a = 1 + \rho/r$, which leaves the second a smaller rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from flowtheory.clock import Clock
from flowtheory.engine.gradient_flow import GradientFlow, Params
from flowtheory.flow.until import loss_below
from flowtheory.judge import Equality, Evidence, Slope
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.symbolic import Derivation, Line, effective_flow, late_fusion

r, eps, time_a, time_b = sp.symbols("r epsilon t_A t_B", positive=True)
sd_a, sd_b, a = sp.symbols("sigma_A sigma_B a", positive=True)
rho = sp.Symbol("rho", real=True)
scale = sp.Symbol("eps", positive=True)

# Second moments of the inputs, and of each of them with the target x_A + x_B.
_AA, _BB, _AB = sd_a**2, sd_b**2, rho * sd_a * sd_b
RATE_A, RATE_B = _AA + _AB, _BB + _AB
"""Growth rates of the two branches from small starts."""

(ALONE,) = sp.solve(sp.Eq(_AA + _AB, a * _AA), a)
"""What the strong modality is multiplied by while it stands alone."""

LEFT = sp.factor(_BB + _AB - ALONE * _AB)
"""The rate of the weak branch then."""

DELAY = (1 - RATE_B / RATE_A) / LEFT
"""t_B - t_A in units of ln(1/eps): what is left of ln(1/eps) at t_A, over the rate."""

RATIO = 1 + (r**2 - 1) / (1 - rho**2)

# (r, rho); the last ones with rates of opposite signs.
CASES = ((2.0, 0.0), (2.0, 0.5), (3.0, 0.5), (1.5, 0.7), (1.2, -0.3), (2.0, -0.8), (5.0, 0.9))
SAMPLES, WIDTH = 8, 5


def derive() -> Derivation:
    """The rates of both phases from the moments, and the ratio of the times."""
    flow = effective_flow(late_fusion(2), "half_square", reduction="mean")
    rates = flow.linearization.parts
    return Derivation(
        "Times at which two modalities are learned, late fusion",
        (
            Line("network", sp.Eq(sp.Symbol("f"), flow.network.output), "two linear branches"),
            Line("rate of A", sp.Eq(sp.Symbol("lambda_A"), rates[0][0]), "z_A = sum of y x_A"),
            Line("rate of B", sp.Eq(sp.Symbol("lambda_B"), rates[2][0]), "z_B = sum of y x_B"),
            Line("in moments, A", sp.Eq(sp.Symbol("w_A"), RATE_A), "y = x_A + x_B"),
            Line("in moments, B", sp.Eq(sp.Symbol("w_B"), RATE_B), "t_A = ln(1/eps)/w_A"),
            Line("A alone", sp.Eq(a, ALONE), "the least squares with x_A alone"),
            Line("rate that is left", sp.Eq(sp.Symbol("u_B"), LEFT), "of B, with y - a x_A"),
            Line(
                "delay",
                sp.Eq(sp.Symbol("d"), sp.simplify(DELAY)),
                "t_B - t_A = d ln(1/eps): ln of the branch is (1 - w_B/w_A) ln(1/eps) short at t_A",
            ),
            Line("ratio", sp.Eq(time_b / time_a, RATIO), "1 + d w_A with sigma_A = r sigma_B"),
        ),
    )


class _Case(NamedTuple):
    """Two correlated modalities with exact moments, and the losses of the three plateaus."""

    r: float
    rho: float
    sigma: float
    data: dict[str, np.ndarray]

    @classmethod
    def of(cls, ratio: float, correlation: float, rng: np.random.Generator) -> _Case:
        q = np.linalg.qr(rng.standard_normal((SAMPLES, 2)))[0] * math.sqrt(SAMPLES)
        sigma = float(rng.uniform(0.7, 1.3))
        weak = correlation * q[:, 0] + math.sqrt(1 - correlation**2) * q[:, 1]
        x_A, x_B = ratio * sigma * q[:, :1], sigma * weak[:, None]
        data = {"x_A": x_A, "x_B": x_B, "y": (x_A + x_B)[:, 0]}
        return cls(ratio, correlation, sigma, data)

    @property
    def name(self) -> str:
        return f"r = {self.r:g}, rho = {self.rho:g}"

    @property
    def middles(self) -> tuple[float, float]:
        """Losses half-way through the first and the second descent."""
        first = 0.5 * float(np.mean(self.data["y"] ** 2))
        second = 0.5 * self.sigma**2 * (1 - self.rho**2)
        return (first + second) / 2, second / 2

    @property
    def least_exponent(self) -> float:
        """Of scales at which the weak branch is still resolved between the two times.

        It is of size eps^(1 - w_B/w_A) then, below 1e-38 a rest; where w_B < 0, its growing part is
        eps^(-2 w_B/w_A) of the other one, which must be above rounding.
        """
        share = (1 + self.rho * self.r) / (self.r**2 + self.rho * self.r)
        return max(-38 / (1 - share), 5 / share if share < 0 else -math.inf)

    def parameters(self, **more: float) -> dict[str, float]:
        own = {"r": self.r, "rho": self.rho, "sigma_A": self.r * self.sigma, "sigma_B": self.sigma}
        return own | more

    def flow(self, layers: int, fusion: int) -> GradientFlow:
        network = late_fusion(layers, fusion=fusion)
        return GradientFlow(network, "half_square", reduction="mean", **self.data)


def _products(params: Any, data: Any) -> dict[str, Any]:
    """What multiplies the strong modality, two layers fused late."""
    return {"a": (params["v_A"] * params["W_A"][:, 0]).sum()}


def two_layers(settings: Settings) -> Iterator[Evidence]:
    """Random starts at falling scales: both times, and what A stands for between them."""
    number = settings.effort.pick(3, 5, len(CASES))
    least, scales = settings.effort.pick((-14, 4), (-30, 6), (-60, 10))
    rng = np.random.default_rng([settings.seed, 0])
    for k, (ratio, correlation) in enumerate(CASES[1 : number + 1] if number < 5 else CASES):
        case = _Case.of(ratio, correlation, rng)
        flow = case.flow(2, 2)
        unit = flow.init(1.0, seed=rng, width=WIDTH)
        for at in 10.0 ** np.linspace(-6, max(least, case.least_exponent), scales):
            yield from _both("late", case, flow, _scaled(float(at), unit), float(at), settings)
        settings.progress("late fusion", k + 1, number)


def deeper(settings: Settings) -> Iterator[Evidence]:
    """Three layers with equal gains: the times are powers of the scale, their ratio is the same."""
    least, scales = settings.effort.pick((-3.5, 4), (-4, 6), (-4.5, 8))
    cases = settings.effort.pick(CASES[1:2], CASES[1:4], CASES[:4])
    rng = np.random.default_rng([settings.seed, 1])
    for k, (ratio, correlation) in enumerate(cases):
        case = _Case.of(ratio, correlation, rng)
        flow = case.flow(3, 3)
        gains = {name: np.ones_like(w) for name, w in flow.init(width=1).items()}
        for at in 10.0 ** np.linspace(-2, least, scales):
            yield from _both("deeper", case, flow, _scaled(float(at), gains), float(at), settings)
        settings.progress("three layers", k + 1, len(cases))


def early(settings: Settings) -> Iterator[Evidence]:
    """Fusion in the first layer: one time for both modalities."""
    least, scales = settings.effort.pick((-14, 4), (-30, 6), (-60, 10))
    case = _Case.of(2.0, 0.5, rng := np.random.default_rng([settings.seed, 2]))
    flow = case.flow(2, 1)
    unit = flow.init(1.0, seed=rng, width=WIDTH)
    for k, at in enumerate(10.0 ** np.linspace(-6, least, scales)):
        yield from _both("early", case, flow, _scaled(float(at), unit), float(at), settings)
        settings.progress("early fusion", k + 1, scales)


def _both(
    experiment: str,
    case: _Case,
    flow: GradientFlow,
    start: Params,
    at: float,
    settings: Settings,
) -> Iterator[Evidence]:
    """The rows of one run: t_A, t_B, and a between them."""
    first, second = case.middles
    late = experiment == "late"
    run = flow.solve(
        start,
        until=loss_below(second),
        watch=loss_below(first),
        save=_products if late else "norms",
        skip=False,
        rtol=1e-9,
    )
    begun, error = run.events[0].time, float(run.error_estimate)
    family, shared = case.name, case.parameters(eps=at, t_A=begun)
    yield Evidence(experiment, f"{family}, A", shared, begun, error=error, seed=settings.seed)
    yield Evidence(experiment, f"{family}, B", shared, run.t_end, error=error, seed=settings.seed)
    if late and at <= 1e-10:
        middle = int(np.argmin(np.abs(run.times - (begun + run.t_end) / 2)))
        alone = float(run["a"][middle])
        yield Evidence(experiment, f"{family}, a", shared, alone, seed=settings.seed)


def _scaled(factor: float, unit: Params) -> Params:
    return {name: factor * value for name, value in unit.items()}


def _of(kind: str) -> tuple[str, ...]:
    return tuple(f"r = {ratio:g}, rho = {correlation:g}, {kind}" for ratio, correlation in CASES)


_FIRST = sp.log(1 / scale) / RATE_A
_SECOND = RATIO * time_a
_WRONG = {
    "without the correlation": r**2 * time_a,
    "the rates of the start, w_A/w_B": time_a * RATE_A / RATE_B,
    "together": time_a,
}

LAW = Law(
    name="unimodal-bias",
    title="late fusion: the time between learning two modalities",
    statements=(
        Statement(
            "ratio of the times", "published", sp.Eq(time_b / time_a, RATIO, evaluate=False),
            "Zhang, Latham, Saxe 2023, arXiv:2312.00935",
            "two layers, y = x_A + x_B; of the parts that grow with ln(1/eps)",
        ),
        Statement(
            "the strong modality alone", "published", sp.Eq(a, 1 + rho / r, evaluate=False),
            "Zhang, Latham, Saxe 2023, arXiv:2312.00935", "between t_A and t_B",
        ),
        Statement(
            "first time", "derived", sp.Eq(time_a, -sp.log(eps) / RATE_A, evaluate=False),
            "flowtheory, docs/laws/unimodal-bias", "up to O(1) as eps -> 0",
        ),
    ),
    symbols=(
        SymbolInfo(time_a, "time at which the strong modality is learned", "input**(-2)"),
        SymbolInfo(time_b, "time at which the weak modality is learned", "input**(-2)"),
        SymbolInfo(sd_a, "standard deviation of the strong modality", "input"),
        SymbolInfo(sd_b, "standard deviation of the weak modality", "input"),
        SymbolInfo(r, "ratio of the standard deviations, > 1", "1"),
        SymbolInfo(rho, "correlation of the modalities", "1"),
        SymbolInfo(a, "factor of the strong modality while it is alone; 1 is right", "1"),
        SymbolInfo(eps, "scale of the initialization", "1"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(
        Experiment("late", "two layers, fused late, random starts", two_layers),
        Experiment("deeper", "three layers, fused late, equal gains", deeper),
        Experiment("early", "two layers, fused in the first, random starts", early),
    ),
    controls=(),
    claims=(
        Claim(
            "t_A = ln(1/eps)/w_A + O(1)", "late", Slope(axis(_FIRST), tolerance=1e-3), _FIRST,
            {
                "correlation left out": sp.log(1 / scale) / sd_a**2,
                "half of it": _FIRST / 2,
            },
            families=_of("A"), axis="eps",
        ),
        Claim(
            "t_B = (1 + (r^2 - 1)/(1 - rho^2)) t_A + O(1)", "late",
            Slope(axis(_SECOND), tolerance=2e-3), _SECOND, _WRONG,
            families=_of("B"), axis="t_A",
        ),
        Claim(
            "between them a = 1 + rho/r", "late", Equality(1e-3), 1 + rho / r,
            {"a = 1": sp.Integer(1), "a = 1 + rho r": 1 + rho * r},
            families=_of("a"), axis="eps",
        ),
        Claim(
            "three layers: the same ratio", "deeper", Slope(axis(_SECOND), tolerance=5e-3),
            _SECOND, _WRONG, families=_of("B"), axis="t_A",
        ),
        Claim(
            "early fusion: t_B = t_A + O(1)", "early", Slope(axis(time_a), tolerance=1e-3), time_a,
            {"the ratio of late fusion": _SECOND}, families=_of("B"), axis="t_A",
        ),
    ),
    varied=("eps", "r", "rho"),
    not_shown=(
        "modalities of several dimensions, whose directions compete within a branch",
        "three layers whose gains differ: each branch then has a blow-up time of its own",
        "the strong modality as the one with the larger variance but the smaller covariance",
    ),
    references=(
        "Y. Zhang, P. E. Latham, A. Saxe. Understanding unimodal bias in multimodal deep linear "
        "networks. arXiv:2312.00935 (2023).",
    ),
    docs="docs/laws/unimodal-bias.md",
    derive=derive,
)  # fmt: skip
