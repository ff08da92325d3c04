r"""A bias-free two-layer (leaky) ReLU network against the linear network on symmetric data.

If with every sample $(x, y)$ there is $(-x, -y)$, a neuron sees an odd target only through
$g z$, $g = \frac{\sigma(1) - \sigma(-1)}{2} = \frac{1 + \alpha}{2}$: every plateau is $1/g$ times
as long. If the neurons come in pairs $\pm(w, v)$ the whole flow is the linear one, with time and
weights rescaled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import sympy as sp
from jaxtyping import Float

from flowtheory.clock import Clock
from flowtheory.engine.gradient_flow import GradientFlow, Params
from flowtheory.engine.run import Run
from flowtheory.flow.until import loss_below, plateau_left
from flowtheory.judge import Equality, Evidence, Finding, Slope
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.record import (
    Control,
    Experiment,
    ExperimentResult,
    Law,
    Settings,
    Statement,
    SymbolInfo,
)
from flowtheory.symbolic import (
    Derivation,
    Line,
    effective_flow,
    exponential_plateau,
    fully_connected,
    leaky_relu,
)
from flowtheory.symbolic.activation import ARGUMENT

eps, z, T, T_lin = sp.symbols("epsilon z T T_lin", positive=True)
alpha = sp.Symbol("alpha", positive=True)
W_relu, W_lin = sp.symbols("W W_lin", positive=True)
t = sp.Symbol("t", positive=True)
scale = sp.Symbol("eps", positive=True)

_SIGMA = leaky_relu(alpha).expression
GAIN = (_SIGMA.xreplace({ARGUMENT: 1}) - _SIGMA.xreplace({ARGUMENT: -1})) / 2
"""What an odd target sees of the activation; 1 for a linear one."""

_c = sp.Symbol("c", positive=True)
(FACTOR,) = sp.solve(sp.Eq(_c**2 * GAIN, 1), _c)
"""Of the weights: then the outputs are those of the linear network."""

RATE = GAIN * z
PLATEAU = sp.log(1 / scale) / RATE
TIME = T_lin / GAIN

SLOPES = {"linear": sp.Integer(1), "ReLU": sp.Integer(0), "leaky ReLU": sp.Rational(1, 4)}
PAIRS, WIDTH = 4, 6


def derive() -> Derivation:
    """Rates from the linear network's spectrum; the map from the pairs of neurons."""
    linear = effective_flow(fully_connected(2, "identity"), "half_square", reduction="mean")
    kinked = effective_flow(fully_connected(2, leaky_relu(alpha)), "half_square", reduction="mean")
    weight = kinked.field.components[0]
    return Derivation(
        "Bias-free ReLU networks on symmetric data",
        (
            Line("network", sp.Eq(sp.Symbol("f"), kinked.network.output), "leaky ReLU, no biases"),
            Line("early rate", sp.Eq(sp.Symbol("dW/dt"), weight[1]), "before outputs matter"),
            Line(
                "slope seen",
                sp.Eq(sp.Symbol("g"), GAIN),
                "samples (x, y) and (-x, -y) together have the slopes sigma'(u) + sigma'(-u) = 2 g",
            ),
            Line(
                "linear rate",
                sp.Eq(sp.Symbol("lambda_lin"), linear.linearization.parts[0][0]),
                "|z| with z the mean of y x; c_i = y_i at zero output, z = sum of c_i x_i here",
            ),
            Line("rate", sp.Eq(sp.Symbol("lambda"), RATE), "with g y in place of y"),
            Line("plateau", sp.Eq(T, exponential_plateau().expression), "degree 2"),
            Line("slope in ln(1/eps)", sp.Eq(T, PLATEAU), "eps -> 0"),
            Line(
                "factor of the weights",
                sp.Eq(_c, FACTOR),
                "a pair has the output v s(w x) - v s(-w x) = 2 g v w x; c^2 g = 1",
            ),
            Line("map", sp.Eq(W_relu, FACTOR * W_lin), "W(t) = c W_lin(g t), all weights"),
        ),
    )


class _Data(NamedTuple):
    """Samples with the mean of y x, and the least loss of a linear function on them."""

    x: Float[np.ndarray, "n D"]
    y: Float[np.ndarray, " n"]

    @property
    def moment(self) -> float:
        return float(np.linalg.norm(self.x.T @ self.y) / len(self.y))

    def level(self, left: float) -> float:
        """The loss when a share `left` of what a linear function can fit is not fitted."""
        fitted = self.x @ np.linalg.lstsq(self.x, self.y)[0]
        least = 0.5 * float(np.mean((self.y - fitted) ** 2))
        return least + left * (0.5 * float(np.mean(self.y**2)) - least)

    def flow(self, family: str) -> GradientFlow:
        a = SLOPES[family]
        sigma = {0: "relu", 1: "identity"}.get(a) or leaky_relu(a)
        network = fully_connected(2, sigma)
        return GradientFlow(network, "half_square", reduction="mean", x=self.x, y=self.y)


def _symmetric(rng: np.random.Generator) -> _Data:
    """Pairs of samples, inputs mirrored, with an odd target that is not linear."""
    half = rng.standard_normal((PAIRS, 2))
    target = half @ np.array([1.0, 0.7]) + 0.3 * np.sin(2 * half[:, 0])
    return _Data(np.vstack([half, -half]), np.concatenate([target, -target]))


def _asymmetric(rng: np.random.Generator) -> _Data:
    """As many samples of the same target, none of them mirrored."""
    x = rng.standard_normal((2 * PAIRS, 2))
    return _Data(x, x @ np.array([1.0, 0.7]) + 0.3 * np.sin(2 * x[:, 0]))


def _families(settings: Settings) -> tuple[str, ...]:
    return settings.effort.pick(("linear", "ReLU"), tuple(SLOPES), tuple(SLOPES))


def plateaus(settings: Settings) -> Iterator[Evidence]:
    """Random starts at falling scales: the time until a tenth of the loss is gone."""
    rng = np.random.default_rng([settings.seed, 0])
    data = _symmetric(rng)
    yield from _plateaus("plateaus", data, _families(settings), rng, settings)


def asymmetric(settings: Settings) -> Iterator[Evidence]:
    """The same without the mirrored samples, from balanced starts.

    Elsewhere a weight may slide into the origin, from where the flow goes on in many ways.
    """
    rng = np.random.default_rng([settings.seed, 1])
    yield from _plateaus("asymmetric", _asymmetric(rng), ("ReLU",), rng, settings, balanced=True)


def _plateaus(
    experiment: str,
    data: _Data,
    families: tuple[str, ...],
    rng: np.random.Generator,
    settings: Settings,
    balanced: bool = False,
) -> Iterator[Evidence]:
    least, number = settings.effort.pick((-12, 4), (-40, 7), (-120, 12))
    scales = 10.0 ** np.linspace(-6, least, number)
    for k, family in enumerate(families):
        flow = data.flow(family)
        unit = flow.init(1.0, seed=rng, width=WIDTH)
        if balanced:
            unit["v"] = np.sign(unit["v"]) * np.linalg.norm(unit["W"], axis=1)
        # A leaky network is integrated through its whole plateau, step by step.
        for at in scales if family != "leaky ReLU" else np.maximum(scales, 1e-30):
            run = flow.solve(_times(at, unit), until=plateau_left(0.1), save="norms")
            parameters = {"eps": float(at), "z": data.moment, "alpha": float(SLOPES[family])}
            yield _row(experiment, family, parameters, run, settings)
        settings.progress(experiment, k + 1, len(families))


def _row(
    experiment: str, family: str, parameters: dict[str, float], run: Run, settings: Settings
) -> Evidence:
    """The time of a run; a run whose error is not known counts as cut off."""
    known = math.isfinite(run.error_estimate)
    return Evidence(
        experiment,
        family,
        parameters,
        run.t_end if known else math.nan,
        error=float(run.error_estimate) if known else 0.0,
        cut=math.nan if known else run.t_end,
        seed=settings.seed,
    )


def exact_map(settings: Settings) -> Iterator[Evidence]:
    """Paired neurons, from starts of order 1 and small: passage times and weights there."""
    rng = np.random.default_rng([settings.seed, 2])
    data = _symmetric(rng)
    scales = settings.effort.pick((0.3, 1e-8), (0.3, 1e-2, 1e-8), (1.0, 0.3, 1e-2, 1e-8, 1e-20))
    left = settings.effort.pick((0.1,), (0.9, 0.5, 0.1, 0.01), (0.9, 0.5, 0.1, 0.01, 1e-4))
    linear = data.flow("linear")
    half = linear.init(1.0, seed=rng, width=WIDTH // 2)
    paired = {name: np.concatenate([value, -value]) for name, value in half.items()}
    families = _families(settings)[1:]
    for k, family in enumerate(families):
        kinked = data.flow(family)
        for at in scales:
            for share in left:
                start = _times(at, paired)
                if linear.energy(start) > data.level(share):
                    yield from _mapped(linear, kinked, family, start, data.level(share), settings)
        settings.progress("exact map", k + 1, len(families))


def _mapped(
    linear: GradientFlow,
    kinked: GradientFlow,
    family: str,
    start: Params,
    level: float,
    settings: Settings,
) -> Iterator[Evidence]:
    """The rows of one start and one level of the loss."""
    slope = SLOPES[family]
    factor = float(FACTOR.subs(alpha, slope))
    end = loss_below(level)
    before = linear.solve(start, until=end, save="norms", rtol=1e-11)
    after = kinked.solve(_times(factor, start), until=end, save="norms", rtol=1e-11)
    a, b = _flat(before.params), _flat(after.params)
    shared = {"alpha": float(slope), "T_lin": before.t_end, "level": level}
    error = float(after.error_estimate) + float(before.error_estimate) / float(
        GAIN.subs(alpha, slope)
    )
    yield Evidence("map", family, shared, after.t_end, error=error, seed=settings.seed)
    # Norm ratio c and overlap c together say W = c W_lin, by the Cauchy-Schwarz inequality.
    size = float(a @ a)
    for kind, value in (("norm", float(b @ b / size) ** 0.5), ("overlap", float(a @ b) / size)):
        yield Evidence("map", f"{family}, {kind}", shared, value, seed=settings.seed)


def _times(factor: float, params: Params) -> Params:
    return {name: factor * value for name, value in params.items()}


def _flat(params: Mapping[str, np.ndarray]) -> Float[np.ndarray, " N"]:
    return np.concatenate([np.ravel(params[name]) for name in sorted(params)])


_ALONG = Slope(axis(PLATEAU), tolerance=1e-3)


def _breaks(results: Mapping[str, ExperimentResult]) -> Finding:
    claim = Claim("1/g times the linear plateau", "asymmetric", _ALONG, PLATEAU)
    return claim.judge(claim.held_against(results["asymmetric"].rows, PLATEAU))


_LINEAR_PLATEAU = sp.log(1 / scale) / z
_KINKED = ("ReLU", "leaky ReLU")

LAW = Law(
    name="relu-linear-plateau",
    title="bias-free ReLU networks follow the linear one on symmetric data, more slowly",
    statements=(
        Statement(
            "plateau", "published", sp.Eq(T, T_lin / GAIN, evaluate=False),
            "Zhang, Saxe, Latham 2024, arXiv:2406.12615",
            "twice the linear plateau for ReLU, alpha = 0; data symmetric under (x, y) -> (-x, -y)",
        ),
        Statement(
            "weights of paired neurons", "derived",
            sp.Eq(W_relu, FACTOR * W_lin, evaluate=False),
            "flowtheory, docs/laws/relu-linear-plateau",
            "W at the time T, W_lin at g T; starts related by the same factor",
        ),
        Statement(
            "slope", "derived", sp.Eq(T, -sp.log(eps) / RATE, evaluate=False),
            "flowtheory, docs/laws/relu-linear-plateau", "up to O(1) as eps -> 0, any start",
        ),
    ),
    symbols=(
        SymbolInfo(T, "time at which a level of the loss is passed", "1/rate"),
        SymbolInfo(T_lin, "the same of the linear network", "1/rate"),
        SymbolInfo(alpha, "slope of the activation for negative arguments; 0 for ReLU", "1"),
        SymbolInfo(z, "length of the mean of y x", "rate"),
        SymbolInfo(eps, "scale of the initialization", "1"),
        SymbolInfo(W_relu, "any weight of the (leaky) ReLU network", "weight"),
        SymbolInfo(W_lin, "the same weight of the linear network", "weight"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(
        Experiment("plateaus", "random starts on symmetric data, falling scale", plateaus),
        Experiment("map", "paired neurons on symmetric data", exact_map),
        Experiment("asymmetric", "random starts on data without symmetry", asymmetric),
    ),
    controls=(
        Control(
            "data without symmetry", "the plateau is that of symmetric data", ("asymmetric",),
            _breaks,
        ),
    ),
    claims=(
        Claim(
            "linear: T = ln(1/eps)/|z| + O(1)", "plateaus", _ALONG, PLATEAU,
            {"twice as long": 2 * PLATEAU}, families=("linear",), axis="eps",
        ),
        Claim(
            "kinked: T = 2 ln(1/eps)/((1 + alpha)|z|) + O(1)", "plateaus", _ALONG, PLATEAU,
            {
                "as long as the linear one": _LINEAR_PLATEAU,
                "factor of the weights, sqrt(2)": FACTOR * _LINEAR_PLATEAU,
                "four times the linear one": _LINEAR_PLATEAU / GAIN**2,
            },
            families=_KINKED, axis="eps",
        ),
        Claim(
            "paired neurons: T = 2 T_lin/(1 + alpha)", "map", Equality(1e-8), TIME,
            {"as long": T_lin, "sqrt(2) as long": FACTOR * T_lin},
            families=_KINKED, axis="T_lin",
        ),
        Claim(
            "paired neurons: W = sqrt(2/(1 + alpha)) W_lin", "map", Equality(1e-8), FACTOR,
            {"equal weights": sp.Integer(1), "1/g times the weights": 1 / GAIN},
            families=tuple(f"{name}, {kind}" for name in _KINKED for kind in ("norm", "overlap")),
            axis="level",
        ),
    ),
    varied=("eps", "alpha"),
    not_shown=(
        "data without the symmetry: there the rate depends on which samples a neuron sees",
        "neurons that are not paired, beyond the first plateau: only its slope is compared",
        "more than two layers, and networks with biases",
    ),
    references=(
        "Y. Zhang, A. Saxe, P. E. Latham. When are bias-free ReLU networks effectively linear "
        "networks? arXiv:2406.12615 (2024).",
    ),
    docs="docs/laws/relu-linear-plateau.md",
    derive=derive,
)  # fmt: skip
