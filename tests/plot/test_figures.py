"""What a figure shows is what was put in; the style holds everywhere; legends cover nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from report import fake

from flowtheory.errors import DataError
from flowtheory.plot import (
    bound_figure,
    directions_figure,
    in_cone_figure,
    order_figure,
    slopes_figure,
    training_figure,
)
from flowtheory.plot.style import CYCLE, DARK_THEME, DEAD, FAINT, MARKERS, family_style

TESTS = str(Path(__file__).parents[1])
ALL_ROWS = (*fake.random_rows(), *fake.attaining_rows(), *fake.other_rows())


def draw_bound(rows=ALL_ROWS, **more) -> Figure:
    options = {"sharper": fake.bound, "weaker": fake.weaker, "published": fake.published}
    return bound_figure(rows, **(options | {"ns": [10, 1000]} | more))


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    return {name: figure for name, (figure, _) in fake.figures(fake.verification()).items()}


def line(axes, label):
    (found,) = (one for one in axes.lines if one.get_label() == label)
    return found


def labels(figure: Figure) -> list[tuple[str, str]]:
    return [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes]


def svg(figure: Figure) -> str:
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


class TestBound:
    def test_every_measured_row_is_a_point(self, figures):
        over_mu, _, ratio_mu, _ = figures["bound"].axes
        ratios = {}
        for marks in ratio_mu.lines:
            if marks.get_linestyle() == "None":
                ratios[marks.get_color(), marks.get_marker()] = marks
        for family in {row.family for row in ALL_ROWS}:
            own = [r for r in ALL_ROWS if r.family == family and np.isfinite(r.measured)]
            marks = line(over_mu, family)
            np.testing.assert_array_equal(marks.get_xdata(), [r["mu"] for r in own])
            np.testing.assert_array_equal(marks.get_ydata(), [r.measured for r in own])
            below = ratios[marks.get_color(), marks.get_marker()]
            np.testing.assert_array_equal(below.get_ydata(), [r.ratio for r in own])

    def test_curves_are_the_callables(self, figures):
        over_mu = figures["bound"].axes[0]
        for label, curve in ((r"sharper bound $B(\mu)$", fake.bound), (None, fake.weaker)):
            drawn = line(over_mu, label or r"$1.8201\,/\sqrt{\mu}$")
            mu = drawn.get_xdata()
            np.testing.assert_array_equal(drawn.get_ydata(), curve(mu))
        first, second = (
            one for one in over_mu.lines if one.get_color() == FAINT and one.get_linestyle() == "-"
        )
        for one, n in ((first, 10), (second, 1000)):
            np.testing.assert_array_equal(one.get_ydata(), fake.published(n, one.get_xdata()))

    def test_right_panel_shows_the_copies_and_a_flat_bound(self, figures):
        over_n = figures["bound"].axes[1]
        marks = line(over_n, "four-points-copied")
        np.testing.assert_array_equal(marks.get_xdata(), [4, 22, 202, 2002])
        flat = next(one for one in over_n.lines if one.get_linestyle() == "-")
        np.testing.assert_array_equal(flat.get_ydata(), fake.bound(0.01))
        growth = next(one for one in over_n.lines if one.get_linestyle() == "--")
        n, time = growth.get_data()
        np.testing.assert_allclose(time / np.log(n), fake.f2_time(0.01) / np.log(4), rtol=1e-12)

    def test_axes_are_labelled(self, figures):
        (_, times), _, (mu, ratio), (n, _) = labels(figures["bound"])
        assert times == r"$T\,X_{\min}$"
        assert (mu, ratio) == (r"$\mu$", "measured / bound")
        assert n.startswith(r"$n$ (at $\mu = 0.01$")

    def test_rounded_mu_is_the_same_level(self):
        rows = [
            replace(r, parameters={**r.parameters, "mu": 0.01 * (1 + 1e-14 * r["n"])})
            for r in fake.attaining_rows()[-4:]
        ]
        over_n = draw_bound(rows).axes[1]
        assert over_n.lines[0].get_xdata().size == 4

    def test_a_row_with_a_larger_bound_of_its_own_is_shown_below_only(self):
        b = float(fake.bound(0.1))
        repeller = fake.row("repeller", 4, 0.1, 3 * b, 2 * b)
        figure = draw_bound([*fake.attaining_rows(), repeller], level=0.01)
        over_mu, _, ratio_mu, _ = figure.axes
        assert line(over_mu, "repeller").get_xdata().size == 0
        assert any(2 / 3 in np.atleast_1d(one.get_ydata()) for one in ratio_mu.lines)

    def test_a_neuron_that_starts_aligned_is_shown_at_zero(self):
        axes = draw_bound([*fake.attaining_rows(), fake.row("calm", 4, 0.1, 5.0, 0.0)]).axes[0]
        assert axes.get_yscale() == "symlog"
        assert axes.get_ylim()[0] == 0
        np.testing.assert_array_equal(line(axes, "calm").get_ydata(), [0.0])

    def test_no_measured_row_is_refused(self):
        with pytest.raises(DataError, match="none of the 1 rows"):
            draw_bound([fake.row("censored", 4, 0.1, 5.0, float("nan"))])

    def test_an_empty_level_is_refused(self):
        with pytest.raises(DataError, match="no row has mu within"):
            draw_bound(fake.other_rows(), level=1e-7)


def test_slopes_show_points_predicted_lines_and_residuals(figures):
    times, rests = figures["slopes"].axes
    for series in fake.slope_series():
        marks = line(times, series.label)
        np.testing.assert_array_equal(marks.get_xdata(), np.log(1 / series.mu))
        np.testing.assert_array_equal(marks.get_ydata(), series.time)
        x, y = line(times, rf"slope {series.slope:g} in $\ln(1/\mu)$").get_data()
        assert (y[1] - y[0]) / (x[1] - x[0]) == pytest.approx(series.slope, rel=1e-12)
    assert labels(figures["slopes"]) == [("", r"$T\,X_{\min}$"), (r"$\ln(1/\mu)$", "time − line")]
    drawn = [one.get_ydata() for one in rests.lines if one.get_linestyle() == "None"]
    # arccosh(1/mu) = ln(1/mu) + ln(1 + sqrt(1 - mu^2)), arsinh P = ln(P + sqrt(1 + P^2)).
    mu = fake.slope_series()[0].mu
    root = np.sqrt(1 - mu**2)
    np.testing.assert_allclose(drawn[0], np.log((1 + root) / 2), atol=1e-13)
    half = np.sqrt((1 - mu) / 2)
    rest = 2 * np.log((half + np.sqrt(half**2 + mu**2)) / np.sqrt(2))
    np.testing.assert_allclose(drawn[1], rest, atol=1e-13)


def test_in_cone_points_collapse_on_the_curve(figures):
    left, right = figures["in-cone"].axes
    n, mu, time = fake.in_cone_points()
    for size, scaled in zip(np.unique(n), right.lines, strict=False):
        marks = line(left, f"$n = {size:g}$")
        np.testing.assert_array_equal(marks.get_ydata(), time[n == size])
        np.testing.assert_array_equal(scaled.get_xdata(), (mu * n / (1 - mu))[n == size])
        np.testing.assert_array_equal(scaled.get_ydata(), (time * np.sqrt(mu))[n == size])
        on_curve = fake.collapsed(scaled.get_xdata())
        np.testing.assert_allclose(scaled.get_ydata(), on_curve, rtol=1e-12)
    x, y = line(left, "slope $-1/2$").get_data()
    assert np.log(y[1] / y[0]) / np.log(x[1] / x[0]) == pytest.approx(-0.5, rel=1e-12)
    curve = right.lines[-1]
    np.testing.assert_array_equal(curve.get_ydata(), fake.collapsed(curve.get_xdata()))


def test_too_many_sizes_are_refused():
    n = np.arange(2.0, 20.0)
    with pytest.raises(DataError, match="18 sample sizes"):
        in_cone_figure(n, n / 40, n, collapsed=fake.collapsed)


class TestDirections:
    def test_tips_point_in_the_directions_and_grow_with_the_norm(self, figures):
        _, _, _, directions, log_norms, signs = fake.planar_run()
        for axes, now, size in zip(figures["directions"].axes, directions, log_norms, strict=True):
            tips = np.concatenate(
                [line(axes, rf"neurons, $v {s} 0$").get_xydata() for s in (">", "<")]
            )
            order = np.concatenate([np.flatnonzero(signs > 0), np.flatnonzero(signs < 0)])
            lengths = np.linalg.norm(tips, axis=1)
            np.testing.assert_allclose(tips / lengths[:, None], now[order], atol=1e-12)
            assert np.array_equal(np.argsort(lengths), np.argsort(size[order]))
            assert lengths.max() < 1

    def test_a_neuron_that_activates_nothing_is_grey(self):
        x, y = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1.0, -1.0])
        directions = np.array([[[-0.6, -0.8], [0.6, 0.8]]])
        figure = directions_figure(
            x, y, np.array([0.5]), directions, np.zeros((1, 2)), np.array([1.0, 1.0])
        )
        (axes,) = figure.axes
        dead = line(axes, "dead")
        assert dead.get_color() == DEAD
        assert dead.get_xydata().shape == (1, 2)
        assert line(axes, "neurons, $v > 0$").get_xydata().shape == (1, 2)
        assert axes.get_xlabel() == r"$t\,X_{\min} = 0.5$"

    def test_shapes_that_do_not_fit_are_refused(self):
        x, y, times, directions, log_norms, signs = fake.planar_run()
        with pytest.raises(DataError, match="directions"):
            directions_figure(x, y, times, np.swapaxes(directions, 0, 1), log_norms, signs)


class TestTraining:
    def test_curves_are_those_given(self, figures):
        curves = fake.training_curves()
        cosines, loss, rank, norm = figures["training"].axes
        means = [one.get_ydata() for one in cosines.lines[:2]]
        np.testing.assert_array_equal(means, [curves["cos_plus_mean"], curves["cos_minus_mean"]])
        for axes, name in ((loss, "loss"), (rank, "stable_rank"), (norm, "squared_spectral_norm")):
            np.testing.assert_array_equal(axes.lines[0].get_ydata(), curves[name])
            np.testing.assert_array_equal(axes.lines[0].get_xdata(), curves["time"])
        bands = [band.get_paths()[0].vertices for band in cosines.collections]
        for band, side in zip(bands, ("plus", "minus"), strict=True):
            edges = set(band[:, 1])
            assert set(curves[f"cos_{side}_min"]) | set(curves[f"cos_{side}_max"]) == edges

    def test_the_clock_and_the_data_are_named(self, figures):
        figure = figures["training"]
        assert figure.axes[-1].get_xlabel() == "time $t$ (sum loss, slope 0.5 at zero)"
        assert figure.legends[0].get_title().get_text() == "digits 0/1"

    def test_stages_are_shaded_at_their_times(self, figures):
        names = [text.get_text() for text in figures["training"].axes[0].texts]
        assert names == ["alignment", "growth", "fit"]
        spans = [patch.get_extents() for patch in figures["training"].axes[1].patches]
        axes = figures["training"].axes[1]
        ends = [axes.transData.inverted().transform(span)[:, 0].tolist() for span in spans]
        np.testing.assert_allclose(ends, [[0, 3], [6.5, 12]], atol=1e-9)

    def test_a_missing_or_short_curve_is_named(self):
        curves = fake.training_curves()
        with pytest.raises(DataError, match="lack loss"):
            training_figure({name: value for name, value in curves.items() if name != "loss"})
        with pytest.raises(DataError, match="'loss': 3"):
            training_figure(curves | {"loss": curves["loss"][:3]})


class TestOrder:
    def test_points_line_and_wedge(self, figures):
        (axes,) = figures["order"].axes
        eps, error = fake.eps_sweep()
        np.testing.assert_array_equal(line(axes, "measured").get_xydata().T, [eps, error])
        x, y = line(axes, "predicted order 2").get_data()
        np.testing.assert_allclose(np.diff(np.log(y)) / np.diff(np.log(x)), 2.0, rtol=1e-10)
        fit = fake.results()["finite-eps"].fits[0]
        corners = axes.collections[0].get_paths()[0].vertices
        right = np.sort(corners[np.isclose(corners[:, 0], eps[-1]), 1])
        centre = np.exp(np.log(eps).mean())
        ratio = np.log(right[-1] / right[0]) / np.log(eps[-1] / centre)
        assert ratio == pytest.approx(fit.high - fit.low, rel=1e-9)
        assert labels(figures["order"]) == [
            (r"$\varepsilon$", r"$|T(\varepsilon) - T(0)|\,X_{\min}$")
        ]

    def test_a_zero_error_is_refused(self):
        fit = fake.results()["finite-eps"].fits[0]
        with pytest.raises(DataError, match="zero or negative"):
            order_figure(np.array([1e-3, 1e-2]), np.array([0.0, 1e-4]), fit)


class TestStyle:
    def test_every_colour_has_a_dark_counterpart(self, figures):
        for name, figure in figures.items():
            used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", svg(figure)))
            assert used <= set(DARK_THEME), name

    def test_no_title_and_no_legend_over_data(self, figures):
        for name, figure in figures.items():
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            renderer = canvas.get_renderer()
            (legend,) = figure.legends
            box = legend.get_window_extent(renderer)
            for axes in figure.axes:
                assert not axes.get_title(), name
                assert not box.overlaps(axes.get_tightbbox(renderer)), name

    def test_the_users_settings_neither_matter_nor_change(self):
        series = fake.slope_series()
        expected = svg(slopes_figure(series))
        with mpl.rc_context({"font.size": 31.0, "text.color": "red", "axes.grid": True}):
            before = dict(mpl.rcParams)
            assert svg(slopes_figure(series)) == expected
            assert dict(mpl.rcParams) == before

    def test_pairs_of_colour_and_marker_are_distinct(self):
        most = len(CYCLE) * len(MARKERS)
        styles = family_style([str(k) for k in range(most)])
        assert len(set(styles.values())) == most
        with pytest.raises(DataError, match=f"{most + 1} families"):
            family_style([str(k) for k in range(most + 1)])

    def test_drawing_does_not_load_pyplot(self):
        code = (
            f"import sys; sys.path.insert(0, {TESTS!r}); from report import fake\n"
            "from flowtheory.plot import slopes_figure\n"
            "slopes_figure(fake.slope_series()).savefig('/dev/null', format='png')\n"
            "assert 'matplotlib.pyplot' not in sys.modules\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
