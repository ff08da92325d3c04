r"""The plateau of a deep linear network with a few small layers: their number counts, not depth.

With $r$ of $L$ aligned gains equal to $\varepsilon$ and the others 1 the blow-up time is one
integral: $\varepsilon^{-(r-2)}/((r-2)s)$ to leading order for $r \ge 3$,
$\ln(1/\varepsilon)/s$ for $r = 2$, and bounded for $r = 1$: no plateau.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from flowtheory.clock import Clock
from flowtheory.judge import Equality, Evidence, Slope
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.record import (
    Experiment,
    Law,
    Settings,
    Statement,
    SymbolInfo,
    Verification,
)
from flowtheory.laws.starts import Drive, Layers, observed
from flowtheory.plot.style import CYCLE, MARKERS, styled
from flowtheory.symbolic import Derivation, Line, aligned_layers
from flowtheory.symbolic.brackets import bottleneck_time

if TYPE_CHECKING:
    from matplotlib.figure import Figure

eps, s, T, A = sp.symbols("eps s T A", positive=True)
r = sp.Symbol("r", integer=True, positive=True)
L = sp.Symbol("L", integer=True, positive=True)
DEPTHS = (3, 4, 5)
SOURCE = "flowtheory, docs/laws/bottleneck"
POWER = bottleneck_time(r, eps, s)
LOG = -sp.log(eps)
# An error of a small gain is amplified until it has grown: tolerance of a step.
_RTOL = 1e-13
_GAUSSIAN = ((4, 3), (5, 3), (5, 4))


def exact(layers: int, small: int) -> sp.Expr:
    """The blow-up time with `small` gains eps and the others 1, from the engine."""
    flow = aligned_layers(layers)
    at = {x: eps if k < small else sp.Integer(1) for k, x in enumerate(flow.gains)}
    return flow.blow_up_time.subs(at)


def derive() -> Derivation:
    """The integral, and what it is for one to four small layers."""
    flow = aligned_layers(5)
    return Derivation(
        "The plateau of a few small layers",
        (
            Line("leading part", sp.Eq(sp.Symbol("H"), flow.potential), "five aligned layers"),
            Line("clock", sp.Eq(sp.Symbol("t'"), flow.time_rate), "dt/dtau"),
            Line("blow-up time", sp.Eq(T, flow.blow_up_time), "its integral"),
            *(
                Line(f"{small} small", sp.Eq(T, exact(5, small)), "the others 1")
                for small in (1, 2, 3, 4)
            ),
            Line("three or more", sp.Eq(T, POWER), "leading order; the small layers alone"),
        ),
    )


def family(layers: int, small: int) -> str:
    """The name of a family of rows."""
    return f"L = {layers}, r = {small}"


def aligned(settings: Settings) -> Iterator[Evidence]:
    """Rank-one layers in random directions and order, the small ones of gain eps."""
    least = settings.effort.pick(-3, -4, -5)
    scales = 10.0 ** np.linspace(-1.5, least, settings.effort.pick(6, 10, 14))
    for layers in DEPTHS:
        rng = np.random.default_rng((settings.seed, layers))
        for small in range(1, layers):
            drive = Drive.random(layers, float(rng.uniform(0.5, 2)), rng)
            for scale in scales:
                gains = np.where(np.arange(layers) < small, scale, 1.0)
                start = drive.rank_one(rng.permutation(gains), rng)
                yield _time("aligned", drive, start, small, float(scale), settings.seed)
        settings.progress("aligned layers", DEPTHS.index(layers) + 1, len(DEPTHS))


def gaussian(settings: Settings) -> Iterator[Evidence]:
    """Gaussian layers with H > 0, the small ones of scale eps, at random places."""
    scales = 10.0 ** np.linspace(-2.5, settings.effort.pick(-4, -4, -5), 5)
    for layers, small in _GAUSSIAN:
        rng = np.random.default_rng((settings.seed, layers, small))
        for k in range(settings.effort.pick(3, 8, 20)):
            drive = Drive.random(layers, float(rng.uniform(0.5, 2)), rng)
            start = drive.gaussian(1.0, rng)
            if drive.value(start) < 0:
                start = {**start, "W1": -start["W1"]}
            shrunk = rng.permutation(list(start))[:small]
            for scale in scales:
                layers_ = {n: scale * w if n in shrunk else w for n, w in start.items()}
                yield _time(
                    "gaussian", drive, layers_, small, float(scale), 100 * settings.seed + k
                )


def _time(
    experiment: str, drive: Drive, start: Layers, small: int, scale: float, seed: int
) -> Evidence:
    horizon = 1e4 * scale ** -max(small - 2, 0)  # the plateau, in units of the large layers
    run = drive.blow_up(start, rtol=_RTOL, horizon=horizon)
    return Evidence(
        experiment=experiment,
        family=family(drive.layers, small),
        parameters={"L": drive.layers, "r": small, "eps": scale, "s": drive.strength},
        **observed(run),
        seed=seed,
    )


def _equality(layers: int, small: int) -> Claim:
    time = exact(layers, small)
    mean = eps ** sp.Rational(small, layers)
    return Claim(
        f"the integral, {family(layers, small)}", "aligned", Equality(1e-8), time,
        {
            "balanced, of the same product": aligned_layers(layers).blow_up_time.subs(
                dict.fromkeys(aligned_layers(layers).gains, mean)
            ),
            "one small layer more": exact(layers, small + 1),
        },
        families=(family(layers, small),),
    )  # fmt: skip


def _slopes() -> list[Claim]:
    """Leading orders, each beside what is known to come next."""
    one, two = (tuple(family(depth, small) for depth in DEPTHS) for small in (1, 2))
    by_depth = eps ** (2 - L) / ((L - 2) * s)
    # In units of 1/s, which differs between groups, all have one slope.
    log = axis(LOG / s)
    claims = [
        Claim(
            "one small layer: no plateau", "aligned", Slope(log, floor=0.05), sp.Integer(1),
            {"ln(1/eps)/s": LOG / s, "1/(eps s)": 1 / (eps * s)}, families=one,
        ),
        Claim(
            "two small layers: ln(1/eps)/s", "aligned", Slope(log, tolerance=0.02), LOG / s,
            {
                "twice as long": 2 * LOG / s, "no plateau": sp.Integer(1),
                "the power of the depth": by_depth, "1/(eps s)": 1 / (eps * s),
            },
            families=two,
        ),
    ]  # fmt: skip
    for small in (3, 4):
        time, power = POWER.subs(r, small), eps ** (2 - small)
        names = tuple(family(depth, small) for depth in DEPTHS if depth > small)
        claims.append(
            Claim(
                f"{small} small layers: the power r - 2", "aligned",
                Slope(axis(power / s), tolerance=1e-3, beside=(log,)), time,
                {
                    "r - 1 for r - 2": bottleneck_time(sp.Integer(small + 1), eps, s),
                    "the depth for r": by_depth,
                    "without the factor r - 2" if small > 3 else "half as long":
                        (small - 2) * time if small > 3 else time / 2,
                },
                families=names,
            )
        )  # fmt: skip
    return claims


def _gaussian_claim(small: int) -> Claim:
    names = tuple(family(depth, number) for depth, number in _GAUSSIAN if number == small)
    return Claim(
        f"Gaussian layers, {small} of them small: T* of order eps^(2 - r)", "gaussian",
        Slope(axis(sp.log(eps)), tolerance=0.02, log=True), eps ** (2 - r),
        {"L for r": eps ** (2 - L), "r - 1 for r - 2": eps ** (1 - r)},
        families=names,
    )  # fmt: skip


def figures(verification: Verification) -> Mapping[str, tuple[Figure, str]]:
    """All numbers of small layers in one."""
    rows = [
        row
        for claim in verification.law.claims
        if claim.name.startswith("the integral")
        for row in claim.held_against(verification.rows, claim.prediction)
    ]
    caption = (
        "Blow-up times with r small layers of gain eps among L, for L = 3, 4, 5 (marks), on the "
        "integral (lines); nothing is fitted. Below: the relative rest."
    )
    return {"times": (_figure(rows), caption)}


@styled
def _figure(rows: Sequence[Evidence]) -> Figure:
    from flowtheory.plot._figure import decades, legend_below, panels

    figure, ((top,), (bottom,)) = panels(
        4.0, 2, 1, sharex=True, gridspec_kw={"height_ratios": (2.5, 1)}
    )
    for name in dict.fromkeys(row.family for row in rows):
        own = [row for row in rows if row.family == name]
        layers, small = int(own[0]["L"]), int(own[0]["r"])
        scale, measured, predicted, error, strength = np.array(
            [(q["eps"], q.measured, q.predicted, q.error, q["s"]) for q in own]
        ).T
        look: dict[str, Any] = {"color": CYCLE[small - 1], "linestyle": ""}
        look |= {"marker": MARKERS[layers - 3], "markersize": 3.5, "markerfacecolor": "none"}
        label = f"$r = {small}$" if layers == small + 1 or (layers, small) == (3, 1) else "_"
        top.plot(scale, strength * measured, label=label, **look)
        top.plot(scale, strength * predicted, color=CYCLE[small - 1], linewidth=0.7)
        rest = measured / predicted - 1
        bottom.errorbar(scale, rest, error / predicted, elinewidth=0.5, **look)
    top.set(xscale="log", yscale="log", ylabel=r"$s\,T^*$")
    bottom.set(xlabel=r"$\varepsilon$", ylabel="relative rest")
    decades(top.xaxis)
    decades(top.yaxis)
    legend_below(figure, top, columns=5)
    return figure


LAW = Law(
    name="bottleneck",
    title="plateau of a deep linear network with a few small layers",
    statements=(
        Statement(
            "order", "published", sp.Eq(T, A * eps ** (2 - r), evaluate=False),
            "Rawal, DeWeese, arXiv:2605.01288, abstract", "an order, for some A; r small layers",
        ),
        Statement(
            "three or more", "derived", sp.Eq(T, POWER, evaluate=False), SOURCE,
            "to leading order for aligned layers, the large gains being 1",
        ),
    ),
    symbols=(
        SymbolInfo(T, "blow-up time T* of the leading flow", "gain**(2 - r)/drive"),
        SymbolInfo(A, "a factor that does not depend on eps", "1/drive"),
        SymbolInfo(eps, "gain of each small layer", "gain"),
        SymbolInfo(r, "number of small layers, here above 2", "1"),
        SymbolInfo(s, "|z| times the product of the large gains", "drive"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(
        Experiment("aligned", "rank-one layers, r of them small", aligned),
        Experiment("gaussian", "Gaussian layers, r of them small", gaussian),
    ),
    controls=(),
    claims=(
        *(_equality(depth, small) for depth in DEPTHS for small in range(1, depth)),
        *_slopes(),
        _gaussian_claim(3),
        _gaussian_claim(4),
    ),
    varied=("L", "r", "eps", "s"),
    not_shown=(
        "the constant of Gaussian layers: it is the blow-up time of the small layers with the "
        "large ones at rest, which no formula gives",
        "Gaussian layers with H < 0, and the network beyond its leading flow",
    ),
    references=(
        "Rawal, DeWeese. arXiv:2605.01288, 2026 (escape time of order eps^(2 - r) with r "
        "bottleneck layers).",
    ),
    docs="docs/laws/bottleneck.md",
    derive=derive,
    figures=figures,
)  # fmt: skip
