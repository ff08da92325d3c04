r"""Measured alignment times against the bounds, over $\mu$ and over $n$, all families at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from flowtheory.errors import DataError
from flowtheory.judge import Evidence
from flowtheory.judge.bound import ROUNDING
from flowtheory.plot.style import FAINT, INK, family_style, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Above this many points of a family the markers become an embedded picture: a vector file of
# many thousand marks opens slowly and shows nothing more.
_DENSE = 2000
# The axis of times ends at this multiple of the largest sharper bound.
_HEADROOM = 30
# Above this many the marks are drawn small and behind the others.
_CROWD = 50
# Rows of the panels over n: mu within this factor of the level.
_COMPARABLE = 1.5
# Two values of mu that differ by less than this factor are one: mu comes from a Gram matrix.
_SAME = 1 + 1e-6

Curve = Callable[[Any], Any]


@styled
def bound_figure(
    rows: Sequence[Evidence],
    *,
    sharper: Curve,
    published: Callable[[float, np.ndarray], np.ndarray],
    ns: Sequence[int],
    weaker: Curve | None = None,
    weaker_label: str = r"$1.8201\,/\sqrt{\mu}$",
    level: float | None = None,
) -> Figure:
    r"""Times $T X_{min}$ over $\mu$ (left) and over $n$ at one $\mu$ (right); ratios below.

    The upper panels show the rows to which the drawn bound applies. A row with a larger bound of
    its own (a start in the repelling cone) would look like a violation there: it is shown below
    only, against its own bound. Captions should say so.

    Args:
        rows: dimensionless evidence: `measured` is $T X_{min}$, `predicted` the bound of this row
            (an a-posteriori one is allowed: the lower panels show `ratio`). Rows that were not
            measured are left out.
        sharper: $\mu \mapsto B(\mu)$, drawn as a solid line.
        published: $(n, \mu) \mapsto$ the published bound, drawn faint for each of `ns`.
        ns: sample sizes of the published bound.
        weaker: the absolute-constant form of the sharper bound, dashed.
        weaker_label: its legend entry.
        level: $\mu$ of the right panels, where rows with $\mu$ within a factor 1.5 are shown;
            by default the $\mu$ at which most sample sizes occur.

    Raises:
        DataError: no row was measured.
    """
    from flowtheory.plot._figure import legend_below, panels

    shown = [row for row in rows if math.isfinite(row.measured)]
    if not shown:
        raise DataError(
            f"none of the {len(rows)} rows of evidence was measured",
            expected="at least one row with a finite time",
            fix="lengthen the horizon, or pass the rows of another experiment",
        )
    level = _busiest_level(shown) if level is None else level
    near = _within(shown, level, _COMPARABLE)
    if not near:
        raise DataError(
            f"no row has mu within a factor {_COMPARABLE:g} of {level:g}",
            expected="a level at which something was measured",
            fix="leave `level` out: the best populated one is taken",
        )
    figure, ((over_mu, over_n), (ratio_mu, ratio_n)) = panels(
        4.3, 2, 2, sharex="col", sharey="row", height_ratios=[2.2, 1]
    )
    styles = family_style(list(dict.fromkeys(row.family for row in shown)))
    crowds = {name for name in styles if sum(row.family == name for row in shown) > _CROWD}
    _points(over_mu, ratio_mu, shown, styles, crowds, sharper, lambda row: row["mu"])
    _points(over_n, ratio_n, near, styles, crowds, sharper, lambda row: row["n"])
    _axes_of_times(over_mu, shown, sharper)
    _bounds_over_mu(over_mu, shown, sharper, weaker, weaker_label, published, ns)
    _bounds_over_n(over_n, near, sharper, published, level)
    _axes_of_ratios(ratio_mu, ratio_n, level)
    legend_below(figure, over_mu, columns=3)
    return figure


def _busiest_level(rows: list[Evidence]) -> float:
    """The mu at which most distinct n occur; among equals, around which most occur."""
    n, log_mu = np.array([row["n"] for row in rows]), np.log([row["mu"] for row in rows])

    def sizes(level: float, factor: float) -> int:
        return np.unique(n[np.abs(log_mu - math.log(level)) <= math.log(factor)]).size

    levels = {row["mu"] for row in rows}
    return max(levels, key=lambda level: (sizes(level, _SAME), sizes(level, _COMPARABLE)))


def _within(rows: list[Evidence], level: float, factor: float) -> list[Evidence]:
    return [row for row in rows if level / factor <= row["mu"] <= level * factor]


def _points(
    times: Any,
    ratios: Any,
    rows: list[Evidence],
    styles: dict[str, tuple[str, str]],
    crowds: set[str],
    sharper: Curve,
    abscissa: Callable[[Evidence], float],
) -> None:
    for family, (colour, marker) in styles.items():
        own = [row for row in rows if row.family == family]
        crowd = family in crowds
        look = {
            "marker": marker,
            "linestyle": "none",
            "color": colour,
            "markerfacecolor": "none",
            "markersize": 2.0 if crowd else 3.5,
            "markeredgewidth": 0.4 if crowd else 0.8,
            # The few that attain the bound are drawn over the many that do not.
            "zorder": 2 if crowd else 3,
            "rasterized": len(own) > _DENSE,
        }
        covered = [row for row in own if row.predicted <= sharper(row["mu"]) * (1 + ROUNDING)]
        x = [abscissa(row) for row in covered]
        times.plot(x, [row.measured for row in covered], label=family, **look)
        ratios.plot([abscissa(row) for row in own], [row.ratio for row in own], **look)


def _bounds_over_mu(
    axes: Any,
    rows: list[Evidence],
    sharper: Curve,
    weaker: Curve | None,
    weaker_label: str,
    published: Callable[[float, np.ndarray], np.ndarray],
    ns: Sequence[int],
) -> None:
    low = min(row["mu"] for row in rows)
    mu = np.geomspace(low / 1.5, 1.0, 400)
    axes.plot(mu, sharper(mu), color=INK, label="sharper bound $B(\\mu)$", zorder=1)
    if weaker is not None:
        axes.plot(mu, weaker(mu), color=INK, dashes=(4, 2), label=weaker_label, zorder=1)
    for k, n in enumerate(ns):
        label = f"published, $n = {', '.join(map(str, ns))}$" if k == 0 else "_published"
        axes.plot(mu, published(n, mu), color=FAINT, linewidth=0.8, label=label, zorder=0)


def _bounds_over_n(
    axes: Any,
    rows: list[Evidence],
    sharper: Curve,
    published: Callable[[float, np.ndarray], np.ndarray],
    level: float,
) -> None:
    sizes = np.geomspace(min(row["n"] for row in rows), max(row["n"] for row in rows), 100)
    mu = np.array([level])
    axes.plot(sizes, np.full(sizes.size, sharper(mu)[0]), color=INK, zorder=1)
    values = [float(published(float(n), mu)[0]) for n in sizes]
    axes.plot(sizes, values, color=FAINT, linewidth=0.8, zorder=0)
    top = axes.get_ylim()[1]
    if min(values) > top:
        axes.annotate(
            rf"published $\geq$ {_scientific(min(values))} $\uparrow$",
            (0.98, 0.99),
            xycoords="axes fraction",
            color=FAINT,
            ha="right",
            va="top",
            fontsize=7.5,
        )
    first = _start_of_growth(rows, level)
    growth = first.measured * np.log(sizes) / math.log(first["n"])
    axes.plot(sizes, growth, color=FAINT, linewidth=0.8, dashes=(1, 1.5), zorder=0)
    axes.annotate(r"$\propto \ln n$", (sizes[-1], 1.3 * growth[-1]), color=FAINT, ha="right")


def _start_of_growth(rows: list[Evidence], level: float) -> Evidence:
    """The smallest case of the family with the most sizes at the level: ln n must pass there."""
    exact = _within(rows, level, _SAME) or rows
    sizes = {row.family: len({r["n"] for r in exact if r.family == row.family}) for row in exact}
    longest = max(sizes, key=lambda family: sizes[family])
    return min((row for row in exact if row.family == longest), key=lambda row: row["n"])


def _scientific(value: float) -> str:
    mantissa, exponent = f"{value:.1e}".split("e")
    return rf"${mantissa} \times 10^{{{int(exponent)}}}$"


def _axes_of_times(axes: Any, rows: list[Evidence], sharper: Curve) -> None:
    from flowtheory.plot._figure import decades

    positive = [row.measured for row in rows if row.measured > 0]
    top = float(sharper(np.array([min(row["mu"] for row in rows)]))[0])
    bottom = min([*positive, top / 10])
    axes.set_xscale("log")
    if len(positive) < len(rows):
        # Neurons that start aligned have T = 0, which a logarithmic axis cannot show.
        axes.set_yscale("symlog", linthresh=bottom, linscale=1.0)
        axes.set_ylim(0, _HEADROOM * top)
    else:
        axes.set_yscale("log")
        axes.set_ylim(bottom / 2, _HEADROOM * top)
        decades(axes.yaxis)
    axes.set_ylabel(r"$T\,X_{\min}$")


def _axes_of_ratios(ratio_mu: Any, ratio_n: Any, level: float) -> None:
    from flowtheory.plot._figure import decades

    for axes in (ratio_mu, ratio_n):
        axes.set_xscale("log")
        axes.axhline(1.0, color=INK, linewidth=0.8, zorder=0)
        decades(axes.xaxis)
    ratio_mu.set_ylim(bottom=0)
    ratio_mu.set_ylabel("measured / bound")
    ratio_mu.set_xlabel(r"$\mu$")
    ratio_n.set_xlabel(rf"$n$ (at $\mu = {level:.3g}$, within a factor {_COMPARABLE:g})")
