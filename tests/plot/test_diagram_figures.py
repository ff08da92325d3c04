"""Figures of a phase diagram show what was put in, and say what is wrong with it."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from flowtheory.errors import DataError
from flowtheory.measure import cosine_matrix
from flowtheory.plot import (
    Cloud,
    Cut,
    Family,
    Field,
    Learned,
    Maps,
    Pair,
    Region,
    Resting,
    cuts_figure,
    features_figure,
    field_figure,
    functions_figure,
    regimes_figure,
    similarity_figure,
)
from flowtheory.plot.similarity import largest
from flowtheory.plot.style import DARK_THEME, PAPER, shades

RNG = np.random.default_rng(0)
WIDTHS = np.array([64.0, 128.0, 256.0])
X = np.linspace(0.6, 1.4, 5)


def cut(boundary=1.1):
    rd = WIDTHS[:, None] ** (X - boundary)
    return Cut(r"\gamma", r"\gamma' = 0", X, rd, X - 1.1, 0.1 + 0 * X, X, X - 1.0, boundary)


def maps(*widths, orientation=1.0):
    def cloud(m):
        return Cloud(orientation * RNG.uniform(-1, 1, m), RNG.uniform(0.5, 2, m))

    return Maps("a point", [cloud(m) for m in widths], [cloud(m) for m in widths])


SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
BESIDE = SQUARE + np.array([1.0, 0.0])
REGIONS = [Region("lazy, left", SQUARE, False), Region("condensed", BESIDE, True)]
LINE = np.array([[1.0, 0.0], [1.0, 1.0]])
PLACES = {"NTK": (0.5, 0.5), "far": (3.0, 0.5)}


def boxes(figure, texts):
    """Where texts are when the figure is drawn."""
    FigureCanvasAgg(figure).draw()
    return [text.get_window_extent() for text in texts if text.get_text()]


def test_shades_rise_to_opaque():
    assert shades(1) == [1.0]
    found = shades(4)
    assert found == sorted(found)
    assert found[-1] == 1.0
    assert found[0] > 0.2


class TestCuts:
    def test_curves_are_the_widths_the_wider_the_stronger(self):
        one = cut()
        figure = cuts_figure([one, cut(np.nan)], WIDTHS)
        above, _, below, _ = figure.axes
        curves = [line for line in above.lines if line.get_label() in ("64", "128", "256")]
        for line, rd, shade in zip(curves, one.rd, shades(3), strict=True):
            np.testing.assert_array_equal(line.get_ydata(), rd)
            assert line.get_alpha() == shade
        assert above.get_yscale() == "log"
        dashed = [line for line in above.lines if line.get_linestyle() == "--"]
        assert [line.get_xdata()[0] for line in dashed] == [1.1]
        theory = next(line for line in below.lines if len(line.get_xdata()) == 5)
        np.testing.assert_array_equal(theory.get_ydata(), one.theory)
        (bars,) = below.containers
        np.testing.assert_array_equal(bars.lines[0].get_ydata(), one.slope)
        heights = np.ptp([path.vertices[:, 1] for path in bars.lines[2][0].get_paths()], axis=1)
        np.testing.assert_allclose(heights, 0.2)
        assert [axes.get_xlabel() for axes in figure.axes[2:]] == [r"$\gamma$"] * 2

    def test_shapes_are_checked(self):
        with pytest.raises(DataError, match="shapes do not fit"):
            cuts_figure([cut()], WIDTHS[:2])
        with pytest.raises(DataError, match="one cut or more"):
            cuts_figure([], WIDTHS)


class TestFeatures:
    def test_every_neuron_is_a_mark_of_its_width(self):
        one = maps(20, 2000)
        figure = features_figure([one, maps(20, 2000)], [20, 2000])
        start, end = figure.axes[:2]
        for axes, clouds in ((start, one.start), (end, one.end)):
            marks = {line.get_label(): line for line in axes.lines}
            for label, cloud in zip(("20", "2,000"), clouds, strict=True):
                np.testing.assert_array_equal(marks[label].get_xydata(), np.stack(cloud, axis=1))
            assert len({line.get_marker() for line in axes.lines}) == 2
            assert all(line.get_rasterized() for line in axes.lines)  # 2,000 marks in an SVG
        assert start.get_yscale() == "log"
        assert start.get_ylim() == end.get_ylim()
        low, high = start.get_ylim()
        assert low < 0.02
        assert high > 2.0
        assert figure.axes[2].get_xlim() == pytest.approx((-1.02 * np.pi, 1.02 * np.pi))
        assert "(w, b)" in figure.axes[2].get_xlabel()

    def test_cosines_have_their_own_axis(self):
        figure = features_figure([maps(9)], [9], cosine="cosine with z")
        axes = figure.axes[0]
        assert axes.get_xlabel() == "cosine with z"
        assert axes.get_xlim() == (-1.04, 1.04)
        assert not axes.lines[0].get_rasterized()

    def test_what_does_not_fit_is_refused(self):
        for wrong, widths, cosine in (
            ([], [9], ""),
            ([maps(9)], [9, 10], ""),
            ([maps(9, orientation=4.0)], [9], ""),
            ([maps(9, orientation=1.5)], [9], "cosine"),
        ):
            with pytest.raises(DataError, match="one cloud a width"):
                features_figure(wrong, widths, cosine=cosine)


class TestSimilarity:
    def test_images_are_sorted_cosines_in_one_centred_scale(self):
        start, end = RNG.standard_normal((12, 2)), np.outer(RNG.choice([-1, 1], 12), [0.6, 0.8])
        figure = similarity_figure([Pair("a point", start, end, np.ones(12), np.ones(12))])
        first, second, bar = figure.axes
        for axes, weights in ((first, start), (second, end)):
            (image,) = axes.images
            np.testing.assert_array_equal(image.get_array(), cosine_matrix(weights).matrix)
            assert image.get_clim() == (-1, 1)
        signs = np.sign(np.asarray(second.images[0].get_array())[0])
        assert np.all(np.diff(signs) <= 0)  # two blocks
        assert bar.get_ylabel() == "$D(u, v)$"
        assert second.get_xlabel() == "12 neurons"

    def test_of_many_neurons_those_of_the_largest_amplitudes_are_shown(self):
        weights, size = RNG.standard_normal((30, 2)), RNG.permutation(30).astype(float)
        kept = largest(weights, size, 7)
        np.testing.assert_array_equal(kept, weights[size >= 23])
        figure = similarity_figure([Pair("p", weights, weights, size, size)], most=7)
        assert figure.axes[0].images[0].get_array().shape == (7, 7)
        assert figure.axes[1].get_xlabel() == "7 of 30 neurons"
        with pytest.raises(DataError, match="no network"):
            similarity_figure([])


def test_functions_stand_beside_their_data():
    grid, outputs = np.linspace(-1, 1, 9), RNG.standard_normal((2, 9))
    x, y = np.array([-0.5, 0.5]), np.array([1.0, -1.0])
    figure = functions_figure([Learned("a point", outputs)], [64, 128], grid, x, y)
    narrow, wide, data = figure.axes[0].lines
    np.testing.assert_array_equal([narrow.get_ydata(), wide.get_ydata()], outputs)
    assert narrow.get_alpha() < wide.get_alpha() == 1.0
    np.testing.assert_array_equal(data.get_xydata(), np.stack([x, y], axis=1))
    assert data.get_linestyle() == "None"
    with pytest.raises(DataError, match="one row a width"):
        functions_figure([Learned("a point", outputs)], [64], grid, x, y)


def test_a_field_is_drawn_with_its_directions_at_rest():
    at = RNG.uniform(-1, 1, (6, 2))
    rate = at * [[4.0, 0.0]]
    resting = [Resting(np.eye(2)[0], True, True), Resting(np.eye(2)[1], False, True)]
    figure = field_figure([Field("one", at, rate, np.array([0.5]), resting)], ("w", "b"), 1)
    (axes,) = figure.axes
    (arrows,) = axes.collections
    lengths = np.abs(arrows.U)
    np.testing.assert_allclose(
        lengths**2 / lengths.max() ** 2, *[np.abs(rate[:, 0] / np.abs(rate).max())]
    )
    assert np.all(np.sign(arrows.U) == np.sign(rate[:, 0]))
    marks = [line for line in axes.lines if len(line.get_xdata()) == 1]
    np.testing.assert_array_equal([mark.get_xydata()[0] for mark in marks], np.eye(2))
    stable, unstable = marks
    assert unstable.get_markerfacecolor() == PAPER != stable.get_markerfacecolor()
    (kink,) = (line for line in axes.lines if line.get_linestyle() == ":")
    assert np.arctan2(*kink.get_xydata()[1][::-1]) == pytest.approx(0.5)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("$w$", "$b$")
    assert axes.get_aspect() == 1.0
    with pytest.raises(DataError, match="shapes do not fit"):
        field_figure([Field("one", at, rate[1:], np.empty(0), [])])


class TestRegimes:
    def test_regions_line_points_and_place(self):
        figure = regimes_figure(REGIONS, LINE, PLACES, [Family("ray", (1.0, 0.5))], (1.5, 0.25))
        (axes,) = figure.axes
        assert axes.get_xlim() == (0.0, 2.0)
        assert axes.get_ylim() == (0.0, 1.0)
        filled = [patch for patch in axes.patches if patch.get_fill() and patch.get_alpha()]
        assert [patch.get_xy()[:-1].tolist() for patch in filled] == [
            region.corners.tolist() for region in REGIONS
        ]
        lazy, condensed = (to_rgb(patch.get_facecolor()) for patch in filled)
        assert lazy[0] > lazy[2]  # red
        assert condensed[2] > condensed[0]  # blue
        names = [text.get_text() for text in axes.texts]
        assert {"lazy,\nleft", "condensed", "NTK", "ray"} == set(names)
        star = next(line for line in axes.lines if line.get_marker() == "*")
        assert star.get_xydata().tolist() == [[1.5, 0.25]]
        (ray,) = (line for line in axes.lines if line.get_xydata()[0].tolist() == [0.0, 0.0])
        assert ray.get_xydata()[-1].tolist() == [2.0, 1.0]
        dashed = next(line for line in axes.lines if line.get_label() == "$S_w = 0$")
        np.testing.assert_array_equal(dashed.get_xydata(), LINE)

    def test_names_do_not_overlap(self):
        figure = regimes_figure(REGIONS, LINE, PLACES, [Family("ray", (1.0, 0.5))])
        found = boxes(figure, figure.axes[0].texts)
        pairs = [(a, b) for k, a in enumerate(found) for b in found[:k]]
        assert len(found) == 4
        assert not any(a.overlaps(b) for a, b in pairs)

    def test_a_place_outside_is_refused(self):
        with pytest.raises(DataError, match="the place inside"):
            regimes_figure(REGIONS, LINE, {}, own=(2.5, 0.5))
        with pytest.raises(DataError, match="0 regions"):
            regimes_figure([], LINE, {})


def test_all_colours_have_a_counterpart_on_a_dark_page():
    figures = [
        cuts_figure([cut()], WIDTHS),
        features_figure([maps(9)], [9]),
        regimes_figure(REGIONS, LINE, PLACES, own=(1.0, 0.5)),
    ]
    known = {to_rgb(colour) for colour in DARK_THEME}
    for figure in figures:
        for axes in figure.axes:
            assert {to_rgb(line.get_color()) for line in axes.lines} <= known
            assert {to_rgb(p.get_facecolor()) for p in axes.patches if p.get_alpha()} <= known
