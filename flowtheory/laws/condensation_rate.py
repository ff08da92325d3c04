r"""How fast the input weights of a deep network turn to one direction before the blow-up.

In the leading flow of $L$ layers $W_1(I - \hat z\hat z^T)$ does not move, while $|W_1\hat z|$
becomes infinite as every layer of a balanced network does. Hence the misaligned share of $|W_1|^2$
vanishes as $(T^*-t)^{2/(L-2)}$, with a constant that the start and the moment determine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from flowtheory.clock import Clock
from flowtheory.judge import Equality, Evidence, Slope
from flowtheory.laws.claim import Claim, axis, evaluate
from flowtheory.laws.record import (
    Experiment,
    Law,
    Settings,
    Statement,
    SymbolInfo,
    Verification,
)
from flowtheory.laws.starts import Drive, Layers, leading
from flowtheory.plot.style import CYCLE, MARKERS, styled
from flowtheory.symbolic import Derivation, Line, SelfSimilar, aligned_layers
from flowtheory.symbolic.brackets import REMAINING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEPTHS = (3, 4, 5)
s = aligned_layers(3).strength
M = sp.Symbol("M", positive=True)
p, W = sp.symbols("p W", positive=True)
SOURCE = "flowtheory, docs/laws/condensation-rate"


def gain(layers: int) -> sp.Expr:
    """The norm of every layer at the time `REMAINING` before the blow-up, from the engine."""
    return SelfSimilar(aligned_layers(layers)).gains[0]


def misaligned(layers: int) -> sp.Expr:
    r"""$p^2/|W_1|^2$ to leading order; $p$ is the norm of the part of $W_1$ that does not move."""
    return p**2 / gain(layers) ** 2


def derive() -> Derivation:
    """The frozen part over the growing one, for three to five layers."""
    rates = leading(3).flow.field.components
    ending = SelfSimilar(aligned_layers(3))
    lines = [
        Line("first layer", sp.Eq(sp.Symbol("W1'"), rates[0][1]), "along x, thus z, alone"),
        Line("norm, three layers", sp.Eq(sp.Symbol("x"), gain(3)), "of each layer near T*"),
        Line("exponent, three layers", sp.Eq(sp.Symbol("e"), ending.misalignment_exponent), ""),
        *(
            Line(f"{layers} layers", sp.Eq(M, misaligned(layers)), "1 - |W1 z|^2/(|z|^2 |W1|^2)")
            for layers in DEPTHS
        ),
    ]
    return Derivation("Condensation before the blow-up", tuple(lines))


def approach(settings: Settings) -> Iterator[Evidence]:
    """Gaussian starts of both signs of H; the misaligned share at growing norms."""
    count = settings.effort.pick(4, 12, 30)
    growths = settings.effort.pick((4, 5, 6, 7), (4, 5, 6, 7), (4, 5, 6, 7, 8, 9))
    for layers in DEPTHS:
        rng = np.random.default_rng((settings.seed, layers))
        for k in range(count):
            drive = Drive.random(layers, float(10.0 ** rng.uniform(-1, 1)), rng)
            start = drive.gaussian(float(10.0 ** rng.uniform(-2, 1)), rng)
            yield from _approach(drive, start, growths, 1000 * settings.seed + k)
        settings.progress("approach of the blow-up", DEPTHS.index(layers) + 1, len(DEPTHS))


def _approach(
    drive: Drive, start: Layers, growths: Sequence[float], seed: int
) -> Iterator[Evidence]:
    """The time left at each state is that of a run from it, so that no difference of times is."""
    first = start["W1"]
    frozen = first - np.outer(first @ drive.direction, drive.direction)
    for growth in growths:
        run = drive.blow_up(start, gain=float(growth), rtol=1e-12, check=False)
        state = run.polar.direction
        rest = drive.blow_up(state, rtol=1e-13, check=False).end.estimate
        layer = np.asarray(state["W1"])
        along = layer @ drive.direction
        beside = layer - np.outer(along, drive.direction)
        yield Evidence(
            experiment="approach",
            family=f"L = {drive.layers}",
            parameters={
                "L": drive.layers,
                "s": drive.strength,
                "p": float(np.linalg.norm(frozen)),
                "W": float(np.linalg.norm(first)),
                str(REMAINING): rest * float(np.exp(-(drive.layers - 2) * run.polar.log_norm)),
            },
            measured=float(np.sum(beside**2) / np.sum(layer**2)),
            seed=seed,
        )


def _claims(layers: int) -> tuple[Claim, Claim]:
    share, left = misaligned(layers), REMAINING
    exponent = SelfSimilar(aligned_layers(layers)).misalignment_exponent
    other = 1 if layers == 3 else 2
    wrong: dict[str, Any] = {
        "exponent 1/(L - 2), that of the angle": left ** (exponent / 2),
        "exponent 2/(L - 1)": left ** sp.Rational(2, layers - 1),
        f"exponent {other}, of another depth": left**other,
    }
    constants: dict[str, Any] = {
        "twice as much": 2 * share,
        "all of W1 frozen": share * W**2 / p**2,
        "s dropped": share.subs(s, 1),
    }
    return (
        Claim(
            f"L = {layers}: exponent of T* - t", "approach",
            Slope(axis(sp.log(left)), tolerance=0.01, log=True, replicates=True),
            left**exponent, wrong, families=(f"L = {layers}",),
        ),
        Claim(
            f"L = {layers}: constant", "approach", Equality(0.02), share,
            constants,
            families=(f"L = {layers}",),
        ),
    )  # fmt: skip


def figures(verification: Verification) -> Mapping[str, tuple[Figure, str]]:
    """One figure for all depths."""
    caption = (
        "The share of the squared first layer that is not along z, over that of the start, by the "
        "time left. Lines: ((L - 2) s (T* - t))^(2/(L - 2)); nothing is fitted."
    )
    return {"approach": (_figure(verification.rows), caption)}


@styled
def _figure(rows: Sequence[Evidence]) -> Figure:
    from flowtheory.plot._figure import decades, legend_below, panels

    figure, ((axes,),) = panels(3.2)
    for layers, colour, marker in zip(DEPTHS, CYCLE, MARKERS, strict=False):
        own = [row for row in rows if row["L"] == layers]
        left = np.array([(layers - 2) * row["s"] * row[str(REMAINING)] for row in own])
        share = np.array([row.measured / row["p"] ** 2 for row in own])
        look: dict[str, Any] = {"marker": marker, "linestyle": "", "markerfacecolor": "none"}
        axes.plot(left, share, color=colour, label=f"$L = {layers}$", markersize=3, **look)
        order = np.argsort(left)
        line = evaluate(misaligned(layers), own) / np.array([row["p"] ** 2 for row in own])
        axes.plot(left[order], line[order], color=colour, linewidth=0.7)
    axes.set(xscale="log", yscale="log", xlabel=r"$(L-2)\,s\,(T^*-t)$")
    axes.set_ylabel(r"$(1 - |W_1\hat z|^2/|W_1|^2)\,/\,p^2$")
    decades(axes.xaxis)
    decades(axes.yaxis)
    legend_below(figure, axes, columns=len(DEPTHS))
    return figure


LAW = Law(
    name="condensation-rate",
    title="rate at which the first layer turns to one direction before the blow-up",
    statements=(
        Statement(
            "three layers", "derived", sp.Eq(M, misaligned(3), evaluate=False), SOURCE,
            "to leading order; T_r is the time left to the blow-up",
        ),
    ),
    symbols=(
        SymbolInfo(M, "1 - |W1 z|^2/(|z|^2 |W1|^2), the misaligned share", "1"),
        SymbolInfo(p, "|W1 (I - z z^T/|z|^2)|, which does not move", "gain"),
        SymbolInfo(s, "length of the moment z = mean of y_i x_i", "drive"),
        SymbolInfo(REMAINING, "T* - t", "1/(gain*drive)"),
    ),
    assumptions=(),
    clock=Clock("mean", 1.0),
    experiments=(Experiment("approach", "Gaussian starts near their blow-up", approach),),
    controls=(),
    claims=tuple(claim for layers in DEPTHS for claim in _claims(layers)),
    varied=("L", "s", str(REMAINING)),
    not_shown=(
        "single neurons: where W1 z is small for one of them, its own direction turns later",
        "the network beyond its leading flow: a start of scale eps leaves it when T* - t is of "
        "order eps^(L-2) in the clock of the leading flow, with a share of order eps^2 left",
        "several outputs, where the blocks of other modes stay finite beside the first",
    ),
    references=(
        "Z.-A. Chen, T. Luo. On the dynamics of three-layer neural networks: initial condensation. "
        "arXiv:2402.15958.",
    ),
    docs="docs/laws/condensation-rate.md",
    derive=derive,
    figures=figures,
)  # fmt: skip
