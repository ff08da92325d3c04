"""Prediction against measurement over one parameter, with what is left over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError
from flowtheory.judge import Evidence
from flowtheory.plot.style import FAINT, INK, family_style, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDE = 10.0  # a range that is drawn on a log axis
_FEW = 8  # families that a legend can hold


@styled
def comparison_figure(rows: Sequence[Evidence], axis: str) -> Figure:
    """Measured values with their intervals on the predicted ones; below, measured - predicted.

    Args:
        rows: measured, with a prediction each.
        axis: the parameter of the abscissa.

    Raises:
        DataError: no row, or a row without that parameter.
    """
    from flowtheory.plot._figure import decades, legend_below, panels

    if not rows or not np.isfinite([row[axis] for row in rows]).all():
        raise DataError(
            f"{len(rows)} row(s), not all with a value of {axis!r}",
            expected="measured rows that have the parameter of the axis",
            fix="name a parameter of these rows: " + ", ".join(rows[0].parameters if rows else ()),
        )
    figure, ((top,), (bottom,)) = panels(
        3.4, rows=2, sharex=True, gridspec_kw={"height_ratios": (2.2, 1)}
    )
    styles = family_style(list(dict.fromkeys(row.family for row in rows)))
    for family, (colour, marker) in styles.items():
        own = sorted((row for row in rows if row.family == family), key=lambda row: row[axis])
        x, predicted, measured, error = np.array(
            [(row[axis], row.predicted, row.measured, row.error) for row in own]
        ).T
        _prediction(top, x, predicted, colour)
        marks: Any = {"color": colour, "marker": marker, "markerfacecolor": "none", "linestyle": ""}
        top.errorbar(x, measured, error, elinewidth=0.7, label=family, **marks)
        bottom.errorbar(x, *_left_over(predicted, measured, error), elinewidth=0.7, **marks)
    bottom.axhline(0, color=FAINT, linewidth=0.6, zorder=0)
    if _spans([row[axis] for row in rows]):
        bottom.set_xscale("log")
        decades(bottom.xaxis)
    if _spans([value for row in rows for value in (row.measured, row.predicted)]):
        top.set_yscale("log")
        decades(top.yaxis)
    top.plot([], [], color=INK, linewidth=0.8, label="predicted")
    top.set_ylabel("measured")
    relative = all(row.predicted for row in rows)
    bottom.set(xlabel=_symbol(axis), ylabel="relative rest" if relative else "rest")
    bottom.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)
    if len(styles) <= _FEW:
        legend_below(figure, top, columns=min(len(styles) + 1, 3))
    return figure


def _prediction(
    axes: Any, x: Float[np.ndarray, " k"], predicted: Float[np.ndarray, " k"], colour: str
) -> None:
    """A line where there is one prediction at each abscissa, else crosses."""
    values = [np.ptp(predicted[x == one]) for one in np.unique(x)]
    if max(values) <= 1e-9 * np.max(np.abs(predicted)) and len(values) > 1:
        axes.plot(x, predicted, color=colour, linewidth=0.8)
    else:
        axes.plot(x, predicted, "+", color=colour, markersize=5)


def _left_over(
    predicted: Float[np.ndarray, " k"],
    measured: Float[np.ndarray, " k"],
    error: Float[np.ndarray, " k"],
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Measured - predicted and its half-width, relative unless a prediction is 0."""
    scale = np.abs(predicted) if np.all(predicted != 0) else np.ones_like(predicted)
    return (measured - predicted) / scale, error / scale


def _spans(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) > _WIDE * min(values)


def _symbol(parameter: str) -> str:
    """A parameter's name as mathematics."""
    from sympy import Symbol, latex

    return f"${latex(Symbol('epsilon' if parameter == 'eps' else parameter))}$"
