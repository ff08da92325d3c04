r"""Slopes in $\ln(1/\mu)$ of the attaining families, and the collapse of in-cone times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError
from flowtheory.plot.style import CYCLE, FAINT, INK, MARKERS, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Slope:
    r"""Times $T X_{min}$ over $\mu$, with the line $s \ln(1/\mu) + b$ that a law predicts."""

    label: str
    mu: Float[np.ndarray, " k"]
    time: Float[np.ndarray, " k"]
    slope: float
    intercept: float

    @property
    def residual(self) -> Float[np.ndarray, " k"]:
        r"""$T X_{min} - s \ln(1/\mu) - b$."""
        return self.time - self.slope * np.log(1 / self.mu) - self.intercept


@styled
def slopes_figure(series: Sequence[Slope]) -> Figure:
    r"""$T X_{min}$ over $\ln(1/\mu)$ with the predicted lines; below, what is left over.

    The faint curves are the alternative $T \propto \mu^{-1/2}$ through each family's point of
    largest $\mu$.
    """
    from flowtheory.plot._figure import legend_below, panels

    figure, ((times,), (rests,)) = panels(3.4, 2, 1, sharex=True, height_ratios=[2.2, 1])
    largest = max(float(one.time.max()) for one in series)
    for k, one in enumerate(series):
        x = np.log(1 / one.mu)
        ends = np.array([x.min(), x.max()])
        line = one.slope * ends + one.intercept
        look: dict[str, Any] = {"color": CYCLE[k], "marker": MARKERS[k], "markerfacecolor": "none"}
        times.plot(x, one.time, linestyle="none", label=one.label, **look)
        times.plot(ends, line, color=CYCLE[k], label=rf"slope {one.slope:g} in $\ln(1/\mu)$")
        rests.plot(x, one.residual, linestyle="none", **look)
    for k, one in enumerate(series):
        x = np.log(1 / one.mu)
        fine = np.linspace(x.min(), x.max(), 400)
        wrong = one.time[x.argmin()] * np.exp((fine - fine[0]) / 2)
        label = r"$\propto \mu^{-1/2}$" if k == 0 else "_"
        times.plot(fine, wrong, color=FAINT, linewidth=0.8, label=label, zorder=0)
    times.set_ylim(0, 1.15 * largest)
    times.set_ylabel(r"$T\,X_{\min}$")
    rests.axhline(0.0, color=INK, linewidth=0.6, zorder=0)
    rests.set_ylabel("time − line")
    rests.set_xlabel(r"$\ln(1/\mu)$")
    legend_below(figure, times, columns=3)
    return figure


@styled
def in_cone_figure(
    n: Float[np.ndarray, " k"],
    mu: Float[np.ndarray, " k"],
    time: Float[np.ndarray, " k"],
    *,
    collapsed: Callable[[np.ndarray], np.ndarray],
) -> Figure:
    r"""In-cone times of the equicorrelated family over $\mu$, and their collapse.

    Left: $n T X$ over $\mu$, one marker for each $n$, with a line of slope $-1/2$. Right:
    $n T X \sqrt{\mu}$ over $\mu n/(1-\mu)$, of which alone it is a function, with the closed form.

    Args:
        n: sample sizes.
        mu: cosines, below 1.
        time: $n T X$, that is, $T X$ in the clock of the mean loss.
        collapsed: $\mu n/(1-\mu) \mapsto n T X\sqrt{\mu}$; its value at infinity is the prefactor
            of the line of slope $-1/2$.
    """
    from flowtheory.plot._figure import decades, legend_below, panels

    figure, ((left, right),) = panels(2.6, 1, 2)
    scale = mu * n / (1 - mu)
    for (size, own), colour, marker in zip(_by_size(n), CYCLE, MARKERS, strict=False):
        look: dict[str, Any] = {"marker": marker, "color": colour}
        look |= {"linestyle": "none", "markerfacecolor": "none"}
        left.plot(mu[own], time[own], label=f"$n = {size:g}$", **look)
        right.plot(scale[own], (time * np.sqrt(mu))[own], **look)
    ends = np.array([mu.min(), mu.max()])
    prefactor = float(collapsed(np.array([np.inf]))[0])
    left.plot(ends, prefactor / np.sqrt(ends), color=INK, label="slope $-1/2$", zorder=0)
    fine = np.geomspace(scale.min(), scale.max(), 300)
    right.plot(fine, collapsed(fine), color=INK, zorder=0)
    left.set(xscale="log", yscale="log", xlabel=r"$\mu$", ylabel=r"$n\,T\,X$")
    right.set(xscale="log", xlabel=r"$\mu\,n/(1-\mu)$", ylabel=r"$n\,T\,X\sqrt{\mu}$")
    right.set_ylim(bottom=0)
    for axis in (left.xaxis, left.yaxis, right.xaxis):
        decades(axis)
    legend_below(figure, left, columns=4)
    return figure


def _by_size(n: np.ndarray) -> list[tuple[float, np.ndarray]]:
    sizes = np.unique(n)
    if sizes.size > len(CYCLE):
        raise DataError(
            f"{sizes.size} sample sizes cannot be told apart in one picture",
            expected=f"at most {len(CYCLE)} distinct n",
            fix="show some of them",
        )
    return [(float(size), n == size) for size in sizes]
