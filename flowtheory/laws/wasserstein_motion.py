r"""Distances between distributions of amplitudes along a gradient flow.

$A_j = (a_j^2 + |w_j|^2)^{1/2}$. During a plateau of degree 2 the distance from zero,
$W_1(\rho_t, \delta_0) = \langle A\rangle$, grows at the rate $\lambda$. On every window
$W_2(\rho_s, \rho_t)^2 \le (t - s)(L(s) - L(t))/m$: sorting is the best matching of amplitudes, and
the length of the path is bounded by the loss that it loses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import sympy as sp
from jaxtyping import Float
from scipy.optimize import differential_evolution

from flowtheory.clock import Clock, Reduction
from flowtheory.engine.gradient_flow import GradientFlow, Params
from flowtheory.engine.run import Run
from flowtheory.flow.until import loss_below, plateau_left
from flowtheory.judge import Attained, Evidence, Slope, UpperBound
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.linear_growth import growth as linear_growth
from flowtheory.laws.linear_growth import leading
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.laws.samples import regression
from flowtheory.measure import amplitudes as measured_amplitudes
from flowtheory.symbolic import Derivation, Line, fully_connected
from flowtheory.symbolic.plateau import RATE

s, t = sp.symbols("s t", nonnegative=True)
m, n = (sp.Symbol(name, integer=True, positive=True) for name in ("m", "n"))
L_s, L_t = sp.symbols("L_s L_t", nonnegative=True)
DISTANCE, MEAN, FIRST = sp.symbols("W_2 W_1 A_0", positive=True)

TAU = sp.Symbol("tau", positive=True)
GROWTH = FIRST * sp.exp(RATE * t)
BOUND = (t - s) * (L_s - L_t) / m

NETWORK = fully_connected(2, "tanh")
SAMPLES, DIMENSION, WIDTH = 12, 2, 10


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


def amplitudes(rows: Mapping[str, np.ndarray]) -> Float[np.ndarray, "rows m"]:
    r"""$A_j$ at every row, sorted."""
    pairs = zip(rows["W"], rows["v"], strict=True)
    return np.sort([measured_amplitudes(w, v) for w, v in pairs], axis=-1)


def squared_distance(
    one: Float[np.ndarray, "*rows m"], other: Float[np.ndarray, "*rows m"]
) -> Float[np.ndarray, "*rows"]:
    r"""$W_2^2$ between samples of equal size, sorted along the last axis."""
    return np.mean((one - other) ** 2, axis=-1)


def growth(settings: Settings) -> Iterator[Evidence]:
    """The mean amplitude on a plateau, and its distance from where it started."""
    for case in range(settings.effort.pick(2, 6, 20)):
        rng = np.random.default_rng([settings.seed, case])
        flow = _problem(rng)
        start = flow.init(scale=settings.effort.pick(1e-12, 1e-12, 1e-24), seed=rng, width=WIDTH)
        run = flow.solve(start, until=plateau_left(1e-3), save="parameters", rtol=1e-9)
        rate, sorted_ = linear_growth(flow).rate, amplitudes(run.observables)
        away = np.mean(np.abs(sorted_ - sorted_[0]), axis=1)
        mean = sorted_.mean(axis=1)
        for family, values, first in (("from zero", mean, 5.0), ("from the start", away, 10.0)):
            kept = np.flatnonzero(rate * run.times > first)
            for i in kept[:: max(1, len(kept) // 12)]:
                unit = float(values[kept[0]] * np.exp(-rate * run.times[kept[0]]))
                yield Evidence(
                    experiment="growth",
                    family=family,
                    parameters={"tau": rate * float(run.times[i]), "A_0": unit, "n": SAMPLES},
                    measured=float(values[i]) / unit,
                    error=1e-7 * float(values[i]) / unit,
                    seed=1000 * settings.seed + case,
                )
        settings.progress("growth", case + 1, settings.effort.pick(2, 6, 20))


def windows(settings: Settings) -> Iterator[Evidence]:
    """All windows between saved rows; of each run the largest ratios, and some at random."""
    cases = settings.effort.pick(4, 16, 60)
    for case in range(cases):
        rng = np.random.default_rng([settings.seed, 100 + case])
        flow = _problem(rng, "sum" if case % 2 else "mean")
        aligned = case % 4 < 2
        scale = 10.0 ** rng.uniform(-3, -1)
        run = _descended(flow, _start(flow, rng, scale, aligned))
        yield from _rows(run, rng, "aligned" if aligned else "random", settings.seed)
        settings.progress("windows", case + 1, cases)


def attack(settings: Settings) -> Iterator[Evidence]:
    """Starts for which the distance comes as near to the bound as it can over a long window.

    Genes: the weights of three neurons and the log of their scale; the window is the best one in
    which a tenth of the loss at zero output is lost.
    """
    rng = np.random.default_rng([settings.seed, 999])
    flow = _problem(rng)
    best: list[tuple[float, Run, int, int, np.ndarray]] = []

    def missed(genes: np.ndarray) -> float:
        scale, weights = 10.0 ** genes[0], genes[1:].reshape(3, DIMENSION + 1)
        run = _descended(flow, {"W": scale * weights[:, 1:], "v": scale * weights[:, 0]})
        ratio, lost = _ratios(run)
        ratio = np.where(lost > 0.1 * flow.plateau(run.params), ratio, 0.0)
        i, j = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
        best.append((float(ratio[i, j]), run, int(i), int(j), genes))
        return -float(ratio[i, j])

    bounds = [(-2.0, 0.0)] + [(-1.0, 1.0)] * (3 * (DIMENSION + 1))
    differential_evolution(
        missed,
        bounds,
        maxiter=settings.effort.pick(2, 12, 60),
        popsize=settings.effort.pick(2, 3, 4),
        polish=False,
        rng=rng,
    )
    for _, run, i, j, genes in sorted(best, key=lambda one: -one[0])[:20]:
        note = "log10 scale, (a, w) of each neuron: " + ", ".join(f"{g:.17g}" for g in genes)
        yield _row(run, i, j, "attack", settings.seed, note)


def _problem(rng: np.random.Generator, reduction: Reduction = "mean") -> GradientFlow:
    x, y = regression(rng, SAMPLES, DIMENSION)
    return GradientFlow(NETWORK, "half_mse", reduction=reduction, x=x, y=y)


def _start(flow: GradientFlow, rng: np.random.Generator, scale: float, aligned: bool) -> Params:
    start = flow.init(scale=scale, seed=rng, width=WIDTH)
    if aligned:
        z = flow.data["y"] @ flow.data["x"]
        start["W"] = np.outer(start["v"], z / np.linalg.norm(z))
    return start


def _descended(flow: GradientFlow, start: Params) -> Run:
    """A run until two fifths of the loss at zero output are gone, or 60 units of 1/lambda."""
    level = 0.6 * flow.plateau(start)
    rate = linear_growth(flow).rate
    return flow.solve(
        start, t_end=60 / rate, until=loss_below(level), save="parameters", rtol=1e-10
    )


def _ratios(run: Run) -> tuple[Float[np.ndarray, "r r"], Float[np.ndarray, "r r"]]:
    """Of all windows (row, column): the distance over the bound, and the loss that is lost."""
    sorted_ = amplitudes(run.observables)
    lost = run.loss[:, None] - run.loss[None, :]
    length = run.times[None, :] - run.times[:, None]
    bound = length * lost / sorted_.shape[1]
    found = squared_distance(sorted_[:, None], sorted_[None, :])
    # Below, the difference of two losses is rounding.
    good = (length > 0) & (lost > 1e-6 * run.loss[0])
    return np.where(good, found / np.where(good, bound, 1.0), 0.0), np.where(good, lost, 0.0)


def _rows(run: Run, rng: np.random.Generator, family: str, seed: int) -> Iterator[Evidence]:
    ratio, lost = _ratios(run)
    pairs = np.argwhere(lost > 0)
    best = pairs[np.argsort(-ratio[tuple(pairs.T)])[:10]]
    some = pairs[rng.choice(len(pairs), min(30, len(pairs)), replace=False)]
    for i, j in np.concatenate([best, some]):
        yield _row(run, int(i), int(j), family, seed)


def _row(run: Run, i: int, j: int, family: str, seed: int, note: str = "") -> Evidence:
    sorted_ = amplitudes(run.observables)
    distance = float(squared_distance(sorted_[i], sorted_[j]))
    # The tolerance of a step moves amplitudes by up to this.
    moved = 1e-9 * float(np.max(sorted_[j]))
    return Evidence(
        experiment="attack" if family == "attack" else "windows",
        family=family,
        parameters={
            "s": float(run.times[i]),
            "t": float(run.times[j]),
            "L_s": float(run.loss[i]),
            "L_t": float(run.loss[j]),
            "m": sorted_.shape[1],
            "n": SAMPLES,
        },
        measured=distance,
        error=2 * np.sqrt(distance) * moved + moved**2,
        seed=seed,
        note=note,
    )


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
        Experiment("attack", "a search for the largest ratio", attack),
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
        Claim("the bound holds under attack", "attack", UpperBound(), BOUND),
        Claim(
            "the attack comes near it over a tenth of the loss", "attack", Attained(0.9), BOUND,
        ),
    ),
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
