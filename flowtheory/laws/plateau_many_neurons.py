r"""First plateau of two layers with multiplicity $p \ge 2$: the first neuron ends it.

Neurons decouple in the leading flow, $H = \sum_j h(w_j)\,a_j$ with $h$ of degree $p$: each has a
blow-up time $T^*_j$ of its own, or none, and the plateau ends at the smallest,
$T = \min_j T^*_j\,\varepsilon^{-(p-1)}$. With one input $h(w) = h w^p$, and all is in closed form.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import sympy as sp
from jaxtyping import Float

from flowtheory.clock import Clock
from flowtheory.engine.gradient_flow import GradientFlow, Params
from flowtheory.flow.until import plateau_left
from flowtheory.judge import Equality, Evidence, Mean, Proportion
from flowtheory.laws.claim import Claim
from flowtheory.laws.neuron_times import NEURON, SETTINGS
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.outcome import Outcome
from flowtheory.symbolic import Derivation, Line
from flowtheory.symbolic.blowup import AlignedFlow
from flowtheory.symbolic.expand import SCALE

p, m = (sp.Symbol(name, integer=True, positive=True) for name in ("p", "m"))
T, FIRST, SECOND, MEAN, SOLE, HALF, ONE_HALF = sp.symbols(
    "T T_min T_2 T_mean T_one T_half T_half1", positive=True
)
REST, a_0, w_0 = sp.symbols("a_inf a_0 w_0", positive=True)

TIME = FIRST * SCALE ** (1 - p)


def _at_rest(order: sp.Expr) -> sp.Expr:
    """The output weight at which a neuron rests, from the squares at the clock where w is 0."""
    flow = AlignedFlow(sp.Symbol("h", positive=True), (w_0, a_0), (order, sp.Integer(1)))
    return sp.sqrt(flow.squares(-(w_0**2) / order)[1])


RESTING = _at_rest(p)
SHARE = sp.atan(sp.sqrt(p)) / sp.pi

DELTA, WIDTH = 0.1, 10


def derive() -> Derivation:
    """Decoupled neurons, their times, and the fate of those that do not escape."""
    flow, neuron = SETTINGS[2].flow, NEURON[2]
    return Derivation(
        "First plateau of two layers, multiplicity p >= 2",
        (
            Line("network", sp.Eq(sp.Symbol("f"), flow.network.output), "p = 2, as example"),
            Line("degree", sp.Eq(sp.Symbol("k"), flow.degree), "p + 1"),
            Line("leading part", sp.Eq(sp.Symbol("H"), flow.leading_part), "a sum over neurons"),
            Line("one input", sp.Eq(sp.Symbol("H_j"), neuron.potential), "one neuron"),
            Line("conserved", sp.Eq(sp.Symbol("I"), neuron.invariants[0]), "of one neuron"),
            Line("its time", sp.Eq(sp.Symbol("T_j"), neuron.blow_up_time), "h a > 0"),
            Line("plateau", sp.Eq(T, TIME), "the first one ends it"),
            Line("at rest", sp.Eq(REST, RESTING), "h a < 0 and w_0^2 < p a_0^2: w tends to 0"),
        ),
    )


def first(settings: Settings) -> Iterator[Evidence]:
    """Ten neurons, one of which ends the plateau."""
    cases = settings.effort.pick(((2, 1),), ((2, 1), (3, 1), (2, 2)), ((2, 1), (3, 1), (2, 2)))
    for i, (order, dimension) in enumerate(cases):
        for repeat in range(settings.effort.pick(4, 4, 12)):
            rng = np.random.default_rng([settings.seed, order, dimension, repeat])
            flow = SETTINGS[order].problem(rng, dimension)
            unit = flow.init(seed=rng, width=WIDTH)
            known = _of(SETTINGS[order].times(flow, unit)) | {"p": order}
            for decade in settings.effort.pick((5, 6, 8), (5, 6, 8), (5, 6, 7, 8, 9)):
                scale = 10.0 ** (-decade / (order - 1))
                run = _solve(flow, unit, scale)
                yield Evidence(
                    experiment="first",
                    family=f"p = {order}, {dimension} input" + "s" * (dimension > 1),
                    parameters={"epsilon": scale, **known},
                    measured=run.t_end * scale ** (order - 1),
                    error=float(run.error_estimate) * scale ** (order - 1),
                    seed=1000 * settings.seed + repeat,
                )
        settings.progress("first", i + 1, len(cases))


def _of(times: Float[np.ndarray, " m"]) -> dict[str, float]:
    """What the plateau might be made of."""
    escaping = times[np.isfinite(times)]
    ordered = np.sort(escaping)
    return {
        "T_min": float(ordered[0]),
        "T_2": float(ordered[1]),
        "T_mean": float(escaping.mean()),
        "T_one": float(escaping[0] if escaping[0] > ordered[0] else escaping[1]),
        "m": len(times),
    }


def _solve(flow: GradientFlow, unit: Params, scale: float):
    start = {name: scale * value for name, value in unit.items()}
    end = plateau_left(DELTA)
    return flow.solve(start, until=end, save="norms", rtol=1e-12, skip=False)


def resting(settings: Settings) -> Iterator[Evidence]:
    """Neurons whose output weight has the wrong sign and is not overcome."""
    orders = settings.effort.pick((2,), (2, 3), (2, 3))
    for i, order in enumerate(orders):
        for repeat in range(settings.effort.pick(1, 2, 6)):
            rng = np.random.default_rng([settings.seed, 11, order, repeat])
            flow = SETTINGS[order].problem(rng)
            strength = SETTINGS[order].strength(flow)
            a = rng.uniform(0.5, 1.5, WIDTH)
            w = a * rng.uniform(0.2, np.sqrt(0.9 * order), WIDTH)
            sides = rng.choice([-1.0, 1.0], WIDTH)
            # h a w^p < 0.
            unit = {"W": (sides * w)[:, None], "v": -a * np.sign(strength) * sides**order}
            yield from _resting(flow, unit, order, 1000 * settings.seed + repeat)
        settings.progress("at rest", i + 1, len(orders))


def _resting(flow: GradientFlow, unit: Params, order: int, seed: int) -> Iterator[Evidence]:
    scale = 1e-3 if order == 2 else 3e-3
    strength = abs(SETTINGS[order].strength(flow))
    # w falls as e^{-2 h a t} for p = 2, as 1/(3 h a t) for p = 3.
    end = {2: 300.0, 3: 3e4}[order] / (strength * scale ** (order - 1))
    start = {name: scale * value for name, value in unit.items()}
    until = plateau_left(DELTA)
    run = flow.solve(start, t_end=end, until=until, save="norms", rtol=1e-12, skip=False)
    size = np.sqrt(sum(float(np.sum(value**2)) for value in run.params.values()))
    for j in range(WIDTH):
        yield Evidence(
            experiment="resting",
            family=f"p = {order}",
            parameters={
                "epsilon": scale,
                "p": order,
                "a_0": abs(float(unit["v"][j])),
                "w_0": abs(float(unit["W"][j, 0])),
            },
            measured=abs(float(run.params["v"][j])) / scale,
            error=float(run.error_estimate) * size / scale,
            seed=seed,
        )


_LANES, _SCALE, _LONG = 32, 1e-4, 60.0


def share(settings: Settings) -> Iterator[Evidence]:
    """Single Gaussian neurons: do they ever escape?"""
    rng = np.random.default_rng([settings.seed, 21])
    setting = SETTINGS[2]
    flow = setting.problem(rng)
    number = settings.effort.pick(3000, 6000, 20_000)
    starts = [flow.init(scale=_SCALE, seed=rng, width=1) for _ in range(number)]
    longest = _LONG / (abs(setting.strength(flow)) * _SCALE)
    found = flow.solve_many(starts, t_end=longest, until=plateau_left(DELTA), skip=False)
    for outcome in found.outcomes:
        yield Evidence(
            experiment="share",
            family="p = 2, one input",
            parameters={"epsilon": _SCALE, "p": 2},
            measured=float(outcome is not Outcome.EVENT),
            seed=settings.seed,
        )


def width(settings: Settings) -> Iterator[Evidence]:
    """The first of m Gaussian neurons; those that are missing have weights 0, where they stay."""
    rng = np.random.default_rng([settings.seed, 31])
    setting = SETTINGS[2]
    flow = setting.problem(rng)
    strength = abs(setting.strength(flow))
    widths = settings.effort.pick((32, 100), (10, 32, 100), (10, 100, 1000))
    pad = max(widths)
    repeats = settings.effort.pick(120, 200, 200)
    cases = [neurons for neurons in widths for _ in range(repeats)]
    starts = [_padded(flow.init(scale=_SCALE, seed=rng, width=n), pad) for n in cases]
    until = plateau_left(DELTA)
    found = flow.solve_many(starts, t_end=_LONG / (strength * _SCALE), until=until, skip=False)
    halves = {n: setting.reach.median_of_first(n, 2) for n in (1, *widths)}
    for neurons, time, outcome in zip(cases, found.times, found.outcomes, strict=True):
        escaped = outcome is Outcome.EVENT
        yield Evidence(
            experiment="width",
            family="p = 2, one input",
            parameters={"m": neurons, "T_half": halves[neurons], "T_half1": halves[1]},
            measured=float(time) * strength * _SCALE if escaped else np.nan,
            cut=np.nan if escaped else _LONG,
            seed=settings.seed,
        )


def _padded(params: Params, neurons: int) -> Params:
    missing = neurons - len(params["v"])
    return {
        name: np.concatenate([value, np.zeros((missing, *value.shape[1:]))])
        for name, value in params.items()
    }


LAW = Law(
    name="plateau-many-neurons",
    title="two layers of multiplicity p >= 2: the first neuron ends the plateau, some never escape",
    statements=(
        Statement(
            "plateau", "derived", sp.Eq(T, TIME, evaluate=False),
            "flowtheory, docs/laws/plateau-many-neurons",
            "T_min is the smallest blow-up time of a neuron alone; up to a rest as for one neuron",
        ),
        Statement(
            "at rest", "derived", sp.Eq(REST, RESTING, evaluate=False),
            "flowtheory, docs/laws/plateau-many-neurons",
            "one input, h a_0 w_0^p < 0 and w_0^2 < p a_0^2",
        ),
        Statement(
            "share at rest", "derived", sp.Eq(sp.Symbol("P_rest"), SHARE, evaluate=False),
            "flowtheory, docs/laws/plateau-many-neurons", "one input, equal Gaussian scales",
        ),
    ),
    symbols=(
        SymbolInfo(T, "time at which a tenth of the loss at zero output is gone", "time"),
        SymbolInfo(FIRST, "smallest blow-up time of a neuron alone, start at scale 1", "time"),
        SymbolInfo(SCALE, "scale of the start", "1"),
        SymbolInfo(p, "multiplicity: order of the first non-zero derivative of sigma at 0", "1"),
        SymbolInfo(REST, "modulus of the output weight that is left", "weight"),
        SymbolInfo(a_0, "modulus of the output weight at the start", "weight"),
        SymbolInfo(w_0, "modulus of the input weight at the start", "weight"),
        SymbolInfo(sp.Symbol("P_rest"), "share of Gaussian neurons that never escape", "1"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(
        Experiment("first", "ten neurons", first),
        Experiment("resting", "neurons that do not escape", resting),
        Experiment("share", "fates of single Gaussian neurons", share),
        Experiment("width", "the first of m neurons", width),
    ),
    controls=(),
    claims=(
        Claim(
            "T epsilon^(p-1) = min_j T*_j", "first", Equality(2e-3), FIRST,
            {
                "mean of those that escape": MEAN,
                "another neuron": SOLE,
                "the second one": SECOND,
                "all drive each other: T_min/m": FIRST / m,
                "the exponent p": FIRST / SCALE,
            },
            axis="T_min",
        ),
        Claim(
            "a neuron at rest keeps sqrt(a_0^2 - w_0^2/p)", "resting", Equality(1e-4), RESTING,
            {
                "all of a_0": a_0,
                "the balance of p = 1": sp.sqrt(sp.Abs(a_0**2 - w_0**2)),
                "w for w^2/p": sp.Abs(a_0 - w_0),
            },
        ),
        Claim(
            "share at rest: arctan(sqrt(p))/pi", "share", Proportion(0.1), SHARE,
            {
                "all of the wrong sign": sp.Rational(1, 2),
                "the threshold |w| < |a|": sp.atan(1) / sp.pi,
                "none": sp.Integer(0),
            },
        ),
        Claim(
            "the first of m neurons: median of the smallest of m times", "width",
            Mean(0.15, "median"), HALF,
            {
                "the median of one neuron": ONE_HALF,
                "1/sqrt(m) of it": ONE_HALF / sp.sqrt(m),
                "1/m of it": ONE_HALF / m,
            },
            axis="m",
        ),
    ),
    not_shown=(
        "fates with several inputs, where a neuron may turn instead of coming to rest",
        "starts with equal smallest times, as of symmetric neurons",
        "what happens after the first neuron has escaped",
    ),
    references=(
        "H. Zhou, Q. Zhou, T. Luo, Y. Zhang, Z.-Q. J. Xu. Towards understanding the condensation "
        "of neural networks at initial training. arXiv:2105.11686 (multiplicity).",
    ),
    docs="docs/laws/plateau-many-neurons.md",
    derive=derive,
)  # fmt: skip
