r"""The blow-up time of aligned layers of unequal gains, in closed form for every depth and sign.

Rank-one layers along the moment reduce the leading flow to $H = s\,x_1\cdots x_L$. In the clock
$\dot\tau = 2H$ all $x_l^2$ grow at the rate 1, so that $T^*$ is a Carlson integral of the squares;
if the product is negative, $\tau$ runs back to $-\min_l x_l^2$ first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from flowtheory.clock import Clock
from flowtheory.judge import Equality, Evidence
from flowtheory.laws.certificate import closed_form
from flowtheory.laws.claim import Claim
from flowtheory.laws.record import (
    Experiment,
    Law,
    Settings,
    Statement,
    SymbolInfo,
    Verification,
)
from flowtheory.laws.starts import Drive, observed
from flowtheory.plot.style import CYCLE, INK, MARKERS, styled
from flowtheory.symbolic import Derivation, Line, aligned_layers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEPTHS = (3, 4, 5)
FLOW = aligned_layers(3)
s, GAINS = FLOW.strength, FLOW.gains
T = sp.Symbol("T", positive=True)
SOURCE = "flowtheory, docs/laws/aligned-blow-up-time"
# Of the second smallest modulus over the smallest one, where the product is negative: at 1 the
# start is on the stable manifold of the saddle, and what rounding leaves of it grows.
_APART = 1.02
# Unequal gains wait long before they grow, in units of the rate at which balanced ones do.
_HORIZON = 1e3
# An error of a small gain is amplified until the gain has grown to the size of the largest one.
_RTOL = 1e-13


def derive() -> Derivation:
    """The squares in the clock, the integral, and what three layers and a negative sign give."""
    four = aligned_layers(4)
    negative = FLOW.time_after_sign_change(GAINS[0])
    return Derivation(
        "Blow-up time of aligned layers",
        (
            Line("leading part", sp.Eq(sp.Symbol("H"), FLOW.potential), "one gain a layer"),
            *(
                Line(f"gain {k}", sp.Eq(sp.Symbol(f"x_{k}'"), rate), "gradient of H")
                for k, rate in enumerate(FLOW.rates, 1)
            ),
            Line("clock", sp.Eq(sp.Symbol("t'"), FLOW.time_rate), "dt/dtau, all squares at rate 1"),
            Line("three layers", sp.Eq(T, FLOW.blow_up_time), "the integral over all tau > 0"),
            Line("four layers", sp.Eq(T, four.blow_up_time), "the same"),
            Line("H < 0", sp.Eq(T, negative), "x_1 the smallest modulus: back to x_1 = 0, then on"),
        ),
    )


def times(settings: Settings) -> Iterator[Evidence]:
    """Rank-one layers in random directions, of random gains and signs."""
    count = settings.effort.pick(10, 60, 300)
    decades = settings.effort.pick(1.0, 2.0, 3.0)
    for layers in DEPTHS:
        rng = np.random.default_rng((settings.seed, layers))
        for _ in range(count):
            moduli = np.sort(10.0 ** rng.uniform(-decades, decades, layers))
            moduli[1:] = np.maximum(moduli[1:], _APART * moduli[0])
            drive = Drive.random(layers, float(10.0 ** rng.uniform(-1, 1)), rng)
            for sign in (1, -1):
                yield _time(drive, moduli, sign, rng, settings.seed)
        settings.progress("blow-up times", DEPTHS.index(layers) + 1, len(DEPTHS))


def _time(
    drive: Drive, moduli: np.ndarray, sign: int, rng: np.random.Generator, seed: int
) -> Evidence:
    """One start; which layer has which gain, and which are negative, is random."""
    signs = rng.choice([-1.0, 1.0], size=moduli.size)
    signs[0] *= sign * np.prod(signs)
    gains = rng.permutation(signs * moduli)
    spread = float(moduli[-1] / moduli[0])
    horizon = _HORIZON * spread ** (moduli.size - 2)
    run = drive.blow_up(drive.rank_one(gains, rng), rtol=_RTOL, horizon=horizon)
    return Evidence(
        experiment="times",
        family=_family(drive.layers, sign),
        parameters={
            "L": drive.layers,
            "s": drive.strength,
            **{f"x_{k}": float(x) for k, x in enumerate(moduli, 1)},
            "spread": spread,
        },
        **observed(run),
        seed=seed,
        note=f"gains {gains.tolist()}",
    )


def _family(layers: int, sign: int) -> str:
    return f"L = {layers}, H {'>' if sign > 0 else '<'} 0"


def figures(verification: Verification) -> Mapping[str, tuple[Figure, str]]:
    """All depths in one, for both signs."""
    caption = (
        "The blow-up time in units of a balanced start of the same product of gains, over "
        "the ratio of the largest gain to the smallest one. Dots: predicted; nothing is fitted. "
        "Below: the relative rest, with the error of the measurement."
    )
    return {"times": (_figure(verification.rows), caption)}


@styled
def _figure(rows: Sequence[Evidence]) -> Figure:
    from flowtheory.plot._figure import decades, legend_below, panels

    figure, (tops, bottoms) = panels(
        3.6, 2, 2, sharex=True, sharey="row", gridspec_kw={"height_ratios": (2.2, 1)}
    )
    for top, bottom, sign in zip(tops, bottoms, (1, -1), strict=True):
        for layers, colour, marker in zip(DEPTHS, CYCLE, MARKERS, strict=False):
            own = [row for row in rows if row.family == _family(layers, sign)]
            spread, unit, measured, predicted, error = np.array(
                [(r["spread"], _balanced(r), r.measured, r.predicted, r.error) for r in own]
            ).T
            look: dict[str, Any] = {"marker": marker, "color": colour, "linestyle": ""}
            look |= {"markersize": 3, "markerfacecolor": "none", "markeredgewidth": 0.6}
            top.plot(spread, measured / unit, label=f"$L = {layers}$", **look)
            top.plot(spread, predicted / unit, ".", color=INK, markersize=1)
            rest = measured / predicted - 1
            bottom.errorbar(spread, rest, error / predicted, elinewidth=0.5, **look)
        top.set(xscale="log", yscale="log", title=f"$H {'>' if sign > 0 else '<'} 0$")
        bottom.set_xlabel("largest gain / smallest gain")
        decades(top.xaxis)
    tops[0].set_ylabel(r"$T^* / T^*_{\mathrm{balanced}}$")
    bottoms[0].set_ylabel("relative rest")
    legend_below(figure, tops[0], columns=3)
    return figure


def _balanced(row: Evidence) -> float:
    layers = int(row["L"])
    product = np.prod([row[f"x_{k}"] for k in range(1, layers + 1)])
    return float(product ** (2 / layers - 1)) / ((layers - 2) * row["s"])


def _claims(layers: int) -> tuple[Claim, Claim]:
    flow = aligned_layers(layers)
    time, after = flow.blow_up_time, flow.time_after_sign_change(flow.gains[0])
    arithmetic = sp.Add(*flow.gains) / layers
    geometric = sp.Mul(*flow.gains) ** sp.Rational(1, layers)
    balanced = {
        f"{name} mean of the gains": 1 / ((layers - 2) * flow.strength * mean ** (layers - 2))
        for name, mean in (("arithmetic", arithmetic), ("geometric", geometric))
    }
    return (
        Claim(
            f"L = {layers}: T* is Carlson's integral of the squared gains", "times",
            Equality(1e-8), time,
            {**balanced, "without the factor 1/2 of the clock": 2 * time},
            families=(_family(layers, 1),),
        ),
        Claim(
            f"L = {layers}: T* from a negative product", "times", Equality(1e-8), after,
            {
                "sign ignored": time,
                "time until the sign changes only": (after - time) / 2,
                "way back counted once": (after + time) / 2,
            },
            families=(_family(layers, -1),),
        ),
    )  # fmt: skip


CLAIMS = {layers: _claims(layers) for layers in DEPTHS}

LAW = Law(
    name="aligned-blow-up-time",
    title="blow-up time of aligned layers of unequal gains and any sign",
    statements=(
        Statement(
            "three layers", "derived", sp.Eq(T, FLOW.blow_up_time, evaluate=False), SOURCE,
            "R_F is Carlson's symmetric elliptic integral (DLMF 19.16.1)",
        ),
        Statement(
            "negative product", "derived",
            sp.Eq(T, FLOW.time_after_sign_change(GAINS[0]), evaluate=False), SOURCE,
            "x_1 the smallest modulus; infinite if two are smallest",
        ),
    ),
    symbols=(
        SymbolInfo(T, "blow-up time T* of the leading flow", "1/(gain*drive)"),
        SymbolInfo(s, "length of the moment z = mean of y_i x_i", "drive"),
        SymbolInfo(GAINS[0], "modulus of a gain, the smallest one", "gain"),
        SymbolInfo(GAINS[1], "modulus of a gain", "gain"),
        SymbolInfo(GAINS[2], "modulus of a gain", "gain"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(Experiment("times", "rank-one layers of random gains and signs", times),),
    controls=(),
    claims=tuple(claim for layers in DEPTHS for claim in CLAIMS[layers]),
    # Carlson's integrals of more than three arguments have no ball arithmetic.
    certificates=tuple(map(closed_form, CLAIMS[3])),
    varied=("L", "s", "spread"),
    not_shown=(
        "layers that are not aligned with the moment: three-layer-blow-up has bounds for them",
        "a negative product with the two smallest moduli equal, where T* is infinite: rounding "
        "moves any start off that manifold",
    ),
    references=(
        "B. C. Carlson. Numerical computation of real or complex elliptic integrals. Numerical "
        "Algorithms 10, 13-26, 1995.",
        "Z.-A. Chen, T. Luo. On the dynamics of three-layer neural networks: initial condensation. "
        "arXiv:2402.15958.",
    ),
    docs="docs/laws/aligned-blow-up-time.md",
    derive=derive,
    figures=figures,
)  # fmt: skip
