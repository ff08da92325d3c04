r"""The figure of the law on the leading flow: measured errors on the predicted powers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flowtheory.judge import Evidence
from flowtheory.laws.record import Verification
from flowtheory.plot.style import BLUE, INK, VERMILION, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CAPTION = (
    "Relative distance of the full flow from the leading flow at a fixed time of the leading flow, "
    "over the initialization scale eps, one symbol a network and a start. Lines: C eps^q with the "
    "gap q of the engine and C from the first variation; nothing is fitted."
)
_TITLES = {"no-feedback": "loss linear in the output", "feedback": "with feedback"}
_COLOURS = {1: BLUE, 2: VERMILION, 3: INK}


def leading_flow_error_figures(verification: Verification) -> dict[str, tuple[Figure, str]]:
    """Name -> (figure, caption)."""
    return {"order": (error_order_figure(verification.rows), _CAPTION)}


@styled
def error_order_figure(rows: tuple[Evidence, ...]) -> Figure:
    r"""The relative error over $\varepsilon$, with its prediction; one panel an experiment."""
    from flowtheory.plot._figure import decades, legend_below, panels

    figure, (axes,) = panels(2.9, columns=len(_TITLES), sharey=True)
    for panel, (experiment, title) in zip(axes, _TITLES.items(), strict=True):
        groups: dict[tuple[str, int | None], list[Evidence]] = {}
        for row in rows:
            if row.experiment == experiment:
                groups.setdefault((row.family, row.seed), []).append(row)
        for members in groups.values():
            eps, predicted, measured = np.array(
                [(row["eps"], row.predicted, row.measured) for row in members]
            ).T
            order = round(float(np.polyfit(np.log(eps), np.log(predicted), 1)[0]))
            colour = _COLOURS.get(order, INK)
            panel.plot(eps, predicted, color=colour, linewidth=0.8)
            panel.plot(eps, measured, "o", color=colour, markerfacecolor="none", markersize=3)
        panel.set(xscale="log", yscale="log", xlabel=r"$\varepsilon$", title=title)
        decades(panel.xaxis)
        decades(panel.yaxis)
    axes[0].set_ylabel(r"$|\theta/\varepsilon - \bar\theta|\,/\,|\bar\theta|$")
    for order, colour in _COLOURS.items():
        axes[-1].plot([], [], "o-", color=colour, markerfacecolor="none", label=f"$q = {order}$")
    legend_below(figure, axes[-1], columns=len(_COLOURS))
    return figure
