r"""Error of the switch times at finite initialization scale, with its order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError
from flowtheory.judge import Fit
from flowtheory.plot.style import BLUE, COLUMN_WIDTH, INK, VERMILION, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@styled
def order_figure(
    eps: Float[np.ndarray, " k"], error: Float[np.ndarray, " k"], order: Fit
) -> Figure:
    r"""$|T(\varepsilon) - T(0)|$ over $\varepsilon$, log-log, with the predicted order's line.

    The line of the predicted slope and the wedge of the fitted interval go through the centre of
    the points (geometric means).

    Raises:
        DataError: an error or a scale that is not positive: it has no logarithm.
    """
    from flowtheory.plot._figure import decades, legend_below, panels

    eps, error = np.asarray(eps), np.asarray(error)
    if not ((eps > 0).all() and (error > 0).all()):
        raise DataError(
            "an error or an eps is zero or negative",
            expected="positive numbers for a log-log plot",
            fix="pass absolute errors, and drop scales at which the error is lost in rounding",
        )
    figure, ((axes,),) = panels(2.7, width=COLUMN_WIDTH)
    ends = np.geomspace(eps.min(), eps.max(), 50)
    centre, height = np.exp(np.log(eps).mean()), np.exp(np.log(error).mean())

    def line(slope: float) -> np.ndarray:
        return height * (ends / centre) ** slope

    axes.fill_between(
        ends,
        np.minimum(line(order.low), line(order.high)),
        np.maximum(line(order.low), line(order.high)),
        color=BLUE,
        alpha=0.2,
        linewidth=0,
        label=f"fit: {order.value:.3f} in [{order.low:.3f}, {order.high:.3f}]",
    )
    axes.plot(ends, line(order.predicted), color=INK, label=f"predicted order {order.predicted:g}")
    axes.plot(eps, error, "o", color=VERMILION, markerfacecolor="none", label="measured", zorder=3)
    axes.set(xscale="log", yscale="log", xlabel=r"$\varepsilon$")
    axes.set_ylabel(r"$|T(\varepsilon) - T(0)|\,X_{\min}$")
    decades(axes.xaxis)
    decades(axes.yaxis)
    legend_below(figure, axes, columns=1)
    return figure
