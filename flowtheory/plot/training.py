r"""The course of training as in Min, Mallada and Vidal (2024): alignment, loss, rank and norm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from flowtheory.errors import DataError
from flowtheory.plot.style import FAINT, GREEN, INK, NEGATIVE, POSITIVE, PURPLE, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Stage = tuple[str, float, float]

_CURVES = (
    *(f"cos_{side}_{what}" for side in ("plus", "minus") for what in ("mean", "min", "max")),
    "loss",
    "stable_rank",
    "squared_spectral_norm",
)


@styled
def training_figure(
    curves: Mapping[str, Any],
    *,
    stages: Sequence[Stage] = (),
    scale: Literal["linear", "log"] = "linear",
) -> Figure:
    r"""Stacked panels over flow time: cosines, loss, stable rank, and $\|W\|_2^2$.

    Args:
        curves: arrays of one length under `time`, `cos_plus_mean`, `cos_plus_min`,
            `cos_plus_max` (cosine of the mean $V_+$ neuron with $x_+$, and the least and largest
            over $V_+$), the same for `cos_minus_*` with $V_-$ and $x_-$, `loss`, `stable_rank`,
            `squared_spectral_norm`; the strings `clock` (what time is, for the axis label) and
            `title_data` (which data, written over the legend). NaN leaves a gap.
        stages: (name, start, end) of stages to shade.
        scale: of the time axis.

    Raises:
        DataError: a curve is missing, or lengths differ.
    """
    from flowtheory.plot._figure import legend_below, panels

    _check(curves)
    figure, grid = panels(5.2, 4, 1, sharex=True, height_ratios=[1.6, 1, 1, 1])
    cosines, loss, rank, norm = (row[0] for row in grid)
    time = np.asarray(curves["time"])
    _cosines(cosines, time, curves)
    loss.plot(time, curves["loss"], color=INK)
    loss.set(yscale="log", ylabel="loss")
    _stable_rank(rank, time, curves["stable_rank"])
    norm.plot(time, curves["squared_spectral_norm"], color=PURPLE)
    norm.set(yscale="log", ylabel=r"$\|W\|_2^2$")
    norm.set_xlabel(f"time $t$ ({curves['clock']})")
    norm.set_xscale(scale)
    if scale == "linear":
        norm.set_xlim(float(time.min()), float(time.max()))
    _shade((cosines, loss, rank, norm), stages)
    legend_below(figure, cosines, columns=4, title=curves["title_data"])
    figure.align_ylabels()
    return figure


def _check(curves: Mapping[str, Any]) -> None:
    missing = [name for name in ("time", *_CURVES, "clock", "title_data") if name not in curves]
    if missing:
        raise DataError(
            f"curves lack {', '.join(missing)}",
            expected=f"time, clock, title_data, {', '.join(_CURVES)}",
            fix="record these observables in the run",
        )
    lengths = {name: len(curves[name]) for name in ("time", *_CURVES)}
    if len(set(lengths.values())) > 1:
        raise DataError(
            f"curves differ in length: {lengths}",
            expected="one value per time",
            fix="save all observables at the same times",
        )


def _cosines(axes: Any, time: np.ndarray, curves: Mapping[str, Any]) -> None:
    for side, colour, label in (
        ("plus", POSITIVE, r"$\cos(\bar w_{V_+},\, x_+)$"),
        ("minus", NEGATIVE, r"$\cos(\bar w_{V_-},\, x_-)$"),
    ):
        low, high = curves[f"cos_{side}_min"], curves[f"cos_{side}_max"]
        band = rf"least to largest over $V_{'+' if side == 'plus' else '-'}$"
        axes.fill_between(time, low, high, color=colour, alpha=0.2, linewidth=0, label=band)
        axes.plot(time, curves[f"cos_{side}_mean"], color=colour, label=label)
    axes.axhline(1.0, color=FAINT, linewidth=0.6, zorder=0)
    axes.set(ylim=(-1.05, 1.08), yticks=[-1, -0.5, 0, 0.5, 1], ylabel="cosine")


def _stable_rank(axes: Any, time: np.ndarray, values: Any) -> None:
    from matplotlib.ticker import NullFormatter

    axes.plot(time, values, color=GREEN)
    axes.axhline(2.0, color=FAINT, linewidth=0.6, zorder=0)
    axes.set(yscale="log", ylabel=r"$\|W\|_F^2/\|W\|_2^2$")
    ticks = [rank for rank in (1, 2, 5, 10, 20, 50, 100, 200, 500) if rank <= 2 * np.nanmax(values)]
    axes.set_yticks(ticks, labels=[str(rank) for rank in ticks])
    axes.yaxis.set_minor_formatter(NullFormatter())


def _shade(panels: Sequence[Any], stages: Sequence[Stage]) -> None:
    for k, (name, start, end) in enumerate(stages):
        for axes in panels:
            if k % 2 == 0:
                axes.axvspan(start, end, color=FAINT, alpha=0.15, linewidth=0, zorder=-1)
        panels[0].annotate(
            name,
            (0.5 * (start + end), 1.02),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="bottom",
            fontsize=7.5,
        )
