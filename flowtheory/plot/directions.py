r"""Neuron directions on the circle before, during and after alignment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError
from flowtheory.plot.style import DEAD, FAINT, INK, NEGATIVE, PAPER, POSITIVE, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Length of the shortest neuron; the longest ends just inside the circle.
_SHORTEST, _LONGEST = 0.45, 0.9


@styled
def directions_figure(
    x: Float[np.ndarray, "n 2"],
    y: Float[np.ndarray, " n"],
    times: Float[np.ndarray, " k"],
    directions: Float[np.ndarray, "k h 2"],
    log_norms: Float[np.ndarray, "k h"],
    signs: Float[np.ndarray, " h"],
) -> Figure:
    r"""One panel a time: the data as rays, $x_+$ and $x_-$, and the neurons inside the unit circle.

    A neuron is a stick in its direction, the longer the larger $\ln|w|$ (linear between the least
    and the largest shown). It is grey from the time at which it activates no datum.

    Args:
        x: inputs.
        y: labels, -1 or +1.
        times: times of the panels, dimensionless ($t X_{min}$).
        directions: unit directions of the neurons at these times.
        log_norms: $\ln|w_j|$ at these times.
        signs: sign of each output weight.

    Raises:
        DataError: shapes that do not fit together.
    """
    from flowtheory.plot._figure import legend_below, panels

    k, h = len(times), len(signs)
    if x.shape != (len(y), 2) or directions.shape != (k, h, 2) or log_norms.shape != (k, h):
        raise DataError(
            f"x {x.shape}, y {y.shape}, {k} times, directions {directions.shape}, "
            f"log_norms {log_norms.shape}, {h} signs",
            expected="x (n, 2), directions (k, h, 2) and log_norms (k, h) for k times, h signs",
            fix="run the example on planar data, and sample at as many times as panels",
        )
    figure, (row,) = panels(2.25, 1, k, gridspec_kw={"wspace": 0.02})
    lengths = _lengths(log_norms)
    for axes, time, now, length in zip(row, times, directions, lengths, strict=True):
        _circle(axes, x, y)
        dead = ~(now @ x.T > 0).any(axis=1)
        for sign, colour, label in (
            (1, POSITIVE, r"neurons, $v > 0$"),
            (-1, NEGATIVE, r"neurons, $v < 0$"),
        ):
            own = (np.sign(signs) == sign) & ~dead
            _neurons(axes, (now * length[:, None])[own], colour, label)
        _neurons(axes, (now * length[:, None])[dead], DEAD, "dead")
        axes.set_xlabel(rf"$t\,X_{{\min}} = {time:.3g}$", labelpad=-2)
    legend_below(figure, row[0], columns=5)
    return figure


def _lengths(log_norms: np.ndarray) -> np.ndarray:
    low, high = log_norms.min(), log_norms.max()
    share = (log_norms - low) / (high - low) if high > low else np.ones_like(log_norms)
    return _SHORTEST + (_LONGEST - _SHORTEST) * share


def _circle(axes: Any, x: np.ndarray, y: np.ndarray) -> None:
    angle = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(angle), np.sin(angle), color=FAINT, linewidth=0.6, zorder=0)
    unit = x / np.linalg.norm(x, axis=1)[:, None]
    for sign, colour, marker in ((1, POSITIVE, "+"), (-1, NEGATIVE, "_")):
        own = unit[y == sign]
        for ray in own:
            axes.plot(*np.outer(ray, [1.0, 1.1]).tolist(), color=colour, linewidth=0.8)
        label = rf"data, $y = {sign:+d}$"
        axes.plot(*(1.16 * own.T), marker, color=colour, markersize=5, label=label)
        if len(own):
            _class_sum(axes, x[y == sign].sum(axis=0), colour, "$x_+$" if sign > 0 else "$x_-$")
    axes.set_aspect("equal")
    axes.set(xlim=(-1.55, 1.55), ylim=(-1.55, 1.55), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _class_sum(axes: Any, total: np.ndarray, colour: str, name: str) -> None:
    unit = total / np.linalg.norm(total)
    axes.plot(
        *unit, "*", color=colour, markersize=8, markeredgecolor=PAPER, markeredgewidth=0.5, zorder=5
    )
    axes.text(*(1.4 * unit), name, color=INK, ha="center", va="center")


def _neurons(axes: Any, tips: np.ndarray, colour: str, label: str) -> None:
    sticks = np.stack([np.zeros_like(tips), tips], axis=1)
    for stick in sticks:
        axes.plot(*stick.T, color=colour, linewidth=0.5, alpha=0.6, zorder=1)
    axes.plot(*tips.T, "o", color=colour, markersize=2.5, label=label, zorder=2)
