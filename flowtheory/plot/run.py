r"""The course of a run: loss, norms, alignment and spectra over log and linear time."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from flowtheory.clock import REFERENCE, Clock
from flowtheory.errors import DataError
from flowtheory.measure.stages import LossStage
from flowtheory.plot.style import BLUE, CYCLE, FAINT, GREEN, INK, PAPER, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANEL, _FRAME = 1.1, 0.95  # inches of height: of a row of panels, of labels and legend
_POINT, _CHARACTER = 6.5, 0.55  # size of the names of stages; width of a character in that unit
_ROOM = 2.2 * 72  # points across a panel
_LINES = ("-", "--", ":")
_LETTER = {"plateau": "P", "descent": "D", "late": "late"}

Draw = Callable[[Any], None]


@styled
def run_figure(
    times: Any,
    observables: Mapping[str, Any],
    *,
    stages: Sequence[LossStage] = (),
    clock: Clock = REFERENCE,
) -> Figure:
    r"""A row of panels for the loss and for every kind of observable that was saved.

    The left column has log time, the right one linear time. Descents are shaded; stages are named
    above the panels where there is room, P1, D1, P2, ... where there is little. Singular values
    below 1e-15 of the largest are rounding, and are not drawn.

    Args:
        times: saved times, shape (k,).
        observables: name -> array of shape (k, ...): `loss`, and any of `norm`, `norm_NAME`,
            `alignment` and `spectrum_NAME`, as a run saves them.
        stages: of the loss, see `flowtheory.measure.loss_stages`.
        clock: the convention of time, for the axis label.

    Raises:
        DataError: no loss, fewer than two times, or arrays whose length is not that of the times.
    """
    from flowtheory.plot._figure import legend_below, panels

    times = _checked(times, observables)
    rows = _rows(times, observables)
    height = _FRAME + _PANEL * len(rows)
    figure, grid = panels(height, len(rows), 2, sharex="col", sharey="row")
    for (label, draw), (left, right) in zip(rows, grid, strict=True):
        for axes in (left, right):
            draw(axes)
        left.set_ylabel(label)
    _time_axes(grid, times)
    _shade(grid, stages)
    named = grid[1][0] if len(rows) > 1 and rows[1][0] == "norm" else grid[0][0]
    if named.get_legend_handles_labels()[0]:
        legend_below(figure, named, columns=6)
    for axes in grid[-1]:
        axes.set_xlabel(f"time $t$ ({clock})", fontsize=8)
    figure.align_labels()
    return figure


def _checked(times: Any, observables: Mapping[str, Any]) -> np.ndarray:
    found = np.asarray(times, dtype=np.float64)
    lengths = {name: len(np.atleast_1d(rows)) for name, rows in observables.items()}
    if "loss" not in lengths or found.ndim != 1 or found.size < 2:
        raise DataError(
            f"{found.size} times and the observables {', '.join(sorted(lengths)) or 'none'}",
            expected="at least two times, and the loss at each",
            fix="run_figure(run.times, run.observables)",
        )
    wrong = [name for name, length in lengths.items() if length != found.size]
    if wrong:
        raise DataError(
            f"{wrong[0]} has {lengths[wrong[0]]} rows for {found.size} times",
            expected="one row a time",
            fix="save all observables at the same times",
        )
    return found


def _rows(times: np.ndarray, observables: Mapping[str, Any]) -> list[tuple[str, Draw]]:
    """Label and drawing of every row of panels, from what was saved."""
    rows: list[tuple[str, Draw]] = [("loss", _curves(times, [(None, observables["loss"], {})]))]
    norms = [(r"$|\theta|$", observables["norm"], {"color": INK})] if "norm" in observables else []
    tensors = [name for name in observables if name.startswith("norm_")]
    for k, name in enumerate(tensors):
        style = {"color": CYCLE[k % len(CYCLE)], "linestyle": _LINES[k % len(_LINES)]}
        norms.append((f"$|{symbol(name.removeprefix('norm_'))}|_F$", observables[name], style))
    if norms:
        rows.append(("norm", _curves(times, norms)))
    if "alignment" in observables:
        rows.append(("alignment", _alignment(times, observables["alignment"])))
    for name, values in observables.items():
        if name.startswith("spectrum_"):
            label = rf"$\sigma_k({symbol(name.removeprefix('spectrum_'))})$"
            columns = _above_rounding(np.asarray(values).reshape(times.size, -1)).T
            rows.append((label, _curves(times, [(None, c, {"color": BLUE}) for c in columns])))
    return rows


def _above_rounding(values: np.ndarray) -> np.ndarray:
    """Singular values that float64 can tell from zero beside the largest; NaN for the others."""
    largest = np.max(values, axis=1, keepdims=True, initial=0.0)
    return np.where(values > 1e-15 * largest, values, np.nan)


def symbol(name: str) -> str:
    """A tensor's name as mathematics: W1 becomes W with the index 1.

    >>> symbol("W"), symbol("W1")
    ('W', 'W_{1}')
    """
    found = re.fullmatch(r"([A-Za-z])_?(\d*)", name)
    if not found:
        return r"\mathrm{" + re.sub(r"([_%#&$])", r"\\\1", name) + "}"
    return found[1] + (f"_{{{found[2]}}}" if found[2] else "")


def _curves(times: np.ndarray, curves: Sequence[tuple[str | None, Any, dict[str, Any]]]) -> Draw:
    """Curves on a log axis; on a linear one if a value is negative or all are zero."""
    values = [np.asarray(rows, dtype=np.float64) for _, rows, _ in curves]
    good = [rows[np.isfinite(rows)] for rows in values]
    log = all(np.all(rows >= 0) for rows in good) and any(np.any(rows > 0) for rows in good)

    def draw(axes: Any) -> None:
        from flowtheory.plot._figure import decades

        for (label, _, style), rows in zip(curves, values, strict=True):
            shown = np.where(rows > 0, rows, np.nan) if log else rows
            axes.plot(times, shown, label=label, **{"color": INK, **style})
        if log:
            axes.set_yscale("log")
            decades(axes.yaxis)

    return draw


def _alignment(times: np.ndarray, rows: Any) -> Draw:
    def draw(axes: Any) -> None:
        axes.axhline(1.0, color=FAINT, linewidth=0.6, zorder=0)
        axes.plot(times, rows, color=GREEN)
        axes.set(ylim=(0, 1.08), yticks=[0, 0.5, 1])

    return draw


def _time_axes(grid: Sequence[Sequence[Any]], times: np.ndarray) -> None:
    from flowtheory.plot._figure import decades

    left, right = grid[-1]
    first, end = float(times[times > 0][0]), float(times[-1])
    left.set_xscale("log")
    left.set_xlim(first if first < end else end / 10, end)
    decades(left.xaxis)
    right.set_xlim(float(times[0]), end)


def _shade(grid: Sequence[Sequence[Any]], stages: Sequence[LossStage]) -> None:
    """Shade descents in all panels; name all stages above the first row."""
    counts = dict.fromkeys(_LETTER, 0)
    if any(stage.kind == "plateau" for stage in stages):
        for axes in (axes for row in grid for axes in row):
            axes.fill_between([], [], color=PAPER, ec=FAINT, lw=0.6, label="plateau (P)")
    for stage in stages:
        counts[stage.kind] += 1
        first = stage.kind == "descent" and counts["descent"] == 1
        for axes in (axes for row in grid for axes in row):
            if stage.kind == "descent":
                label = "descent (D)" if first else None
                axes.axvspan(
                    stage.start, stage.end, color=FAINT, alpha=0.2, lw=0, zorder=-1, label=label
                )
        for axes in grid[0]:
            _name(axes, stage, counts[stage.kind])


def _name(axes: Any, stage: LossStage, number: int) -> None:
    """The longest name of a stage that fits above its part of the axis."""
    low, high = axes.get_xlim()
    start, end = max(stage.start, low), min(stage.end, high)
    if end <= start:
        return
    place = math.log if axes.get_xscale() == "log" else float
    share = (place(end) - place(start)) / (place(high) - place(low))
    letter = _LETTER[stage.kind] + ("" if stage.kind == "late" else str(number))
    long = "late times" if stage.kind == "late" else f"{stage.kind} {number}"
    room = share * _ROOM / (_POINT * _CHARACTER)
    text = next((name for name in (long, letter) if len(name) + 1 <= room), None)
    if text is None:
        return
    middle = (place(start) + place(end)) / 2
    axes.annotate(
        text,
        (math.exp(middle) if place is math.log else middle, 1.02),
        xycoords=("data", "axes fraction"),
        ha="center",
        va="bottom",
        fontsize=_POINT,
    )
