"""Figures: the bounds beside the measured times, and how the restarted bounds close in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from flowtheory.judge import Evidence
from flowtheory.laws.record import Verification
from flowtheory.laws.three_layer_blow_up.experiments import DEPTHS, NUMBERS
from flowtheory.plot.style import CYCLE, INK, MARKERS, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figures(verification: Verification) -> Mapping[str, tuple[Figure, str]]:
    """The brackets first."""
    bounds = {
        (claim.name.split(":")[0], layers): claim.held_against(
            verification.results["starts"].rows, claim.prediction
        )
        for claim in verification.law.claims
        for layers in DEPTHS
        if claim.name.endswith(f"its bound, L = {layers}")
    }
    return {
        "brackets": (
            _brackets(bounds),
            "Each bound over the measured blow-up time, one mark a start with H > 0, by how well "
            "its layers are aligned; those above 1 are upper bounds. Nothing is fitted.",
        ),
        "ends": (
            _ends(verification.results["ends"].rows),
            "How much the bounds, restarted on the way, exceed the blow-up time. Lines: the "
            "predicted power of the time left, through the last mark; (i) lies on (iii).",
        ),
    }


@styled
def _brackets(bounds: Mapping[tuple[str, int], Sequence[Evidence]]) -> Figure:
    from flowtheory.plot._figure import legend_below, panels

    figure, (panes,) = panels(2.8, 1, len(DEPTHS), sharey=True)
    for axes, layers in zip(panes, DEPTHS, strict=True):
        for which, colour, marker in zip(NUMBERS.values(), CYCLE, MARKERS, strict=False):
            rows = [row for row in bounds[which, layers] if row["H"] > 0]
            look: dict[str, Any] = {"marker": marker, "color": colour, "markersize": 2.2}
            look |= {"linestyle": "none", "markerfacecolor": "none", "markeredgewidth": 0.5}
            ratios = [row.predicted / row.measured for row in rows]
            axes.plot([_alignment(row) for row in rows], ratios, label=which, **look)
        axes.axhline(1.0, color=INK, linewidth=0.6, zorder=0)
        axes.set(yscale="log", xlabel=r"$H/(s\prod_l x_l)$", title=f"$L = {layers}$")
        axes.set(ylim=(0.2, 300), xlim=(0, 1.03))
    panes[0].set_ylabel(r"bound / $T^*$")
    legend_below(figure, panes[0], columns=5)
    return figure


def _alignment(row: Evidence) -> float:
    layers = range(1, int(row["L"]) + 1)
    return row["H"] / (row["s"] * float(np.prod([row[f"x_{k}"] for k in layers])))


@styled
def _ends(rows: Sequence[Evidence]) -> Figure:
    from flowtheory.plot._figure import decades, legend_below, panels

    figure, (panes,) = panels(2.8, 1, len(DEPTHS))
    for axes, layers in zip(panes, DEPTHS, strict=True):
        own = [row for row in rows if row["L"] == layers]
        families = dict.fromkeys(row.family for row in own)
        for family, colour, marker in zip(families, CYCLE, MARKERS, strict=False):
            power = 1 + (4 if "(iv)" in family else 2) / (layers - 2)
            for seed in dict.fromkeys(row.seed for row in own):
                line = [row for row in own if (row.family, row.seed) == (family, seed)]
                left, excess = np.array([(row["R"], row.measured) for row in line]).T
                name = family.partition(", ")[2] if seed == own[0].seed else "_"
                look = {"marker": marker, "color": colour, "markersize": 2.5}
                axes.plot(
                    left, excess, linestyle="none", markerfacecolor="none", label=name, **look
                )
                axes.plot(
                    left, excess[-1] * (left / left[-1]) ** power, color=colour, linewidth=0.5
                )
        axes.set(xscale="log", yscale="log", xlabel=r"$T^* - t$", title=f"$L = {layers}$")
        decades(axes.xaxis)
        decades(axes.yaxis)
    panes[0].set_ylabel(r"$T_{\mathrm{up}} - T^*$")
    legend_below(figure, panes[0], columns=3)
    return figure
