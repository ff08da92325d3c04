"""The figure class: the style holds wherever the figure is drawn, and no global state is touched.

Imported inside functions only, because it loads matplotlib.
"""

from __future__ import annotations

from math import ceil, floor, inf, log10
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogFormatterSciNotation, LogLocator, NullFormatter

from flowtheory.plot.style import TEXT_WIDTH, styled

_MANY = 30  # decades


class PaperFigure(Figure):
    """A `Figure` that is drawn in our style whatever the user's rcParams are.

    Ticks are made when the figure is drawn, so a style that holds only while the figure is built
    would not reach their labels. Panels are laid out when it is first drawn and then stay: another
    round would move them by a fraction of a point, and no two files would be the same.
    """

    @styled
    def draw(self, renderer: Any) -> None:
        """Draw in our style."""
        super().draw(renderer)
        # None at all: a placeholder ("none") has matplotlib draw every file twice.
        self.set_layout_engine(None)

    @styled
    def savefig(self, *args: Any, **kwargs: Any) -> None:
        """Save in our style (resolution and background)."""
        super().savefig(*args, **kwargs)


def panels(
    height: float,
    rows: int = 1,
    columns: int = 1,
    *,
    width: float = TEXT_WIDTH,
    **grid: Any,
) -> tuple[PaperFigure, list[list[Axes]]]:
    """A figure with a grid of panels (sizes in inches)."""
    figure = PaperFigure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **grid)
    return figure, axes.tolist()


def legend_below(figure: Figure, axes: Axes, columns: int, title: str | None = None) -> None:
    """One legend under all panels, where it covers nothing."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, title=title)


def decades(axis: Any) -> None:
    """Labels of a log axis: few decades of many; 1, 2, 5 if hardly one is shown."""
    low, high = axis.get_view_interval()
    if high < 30 * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=6))
        axis.set_major_formatter(LogFormatterSciNotation(minor_thresholds=(inf, inf)))
    elif (span := log10(high) - log10(low)) > _MANY:
        # Round exponents; the default takes every 43rd decade if that fits.
        step = next(step for step in (10, 20, 50, 100) if span <= 7 * step or step == 100)
        first, last = ceil(log10(low) / step), floor(log10(high) / step)
        axis.set_major_locator(FixedLocator([10.0 ** (k * step) for k in range(first, last + 1)]))
    else:
        axis.set_major_locator(LogLocator(numticks=6))
    axis.set_minor_formatter(NullFormatter())
