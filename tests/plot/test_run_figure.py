"""The figure of a run shows its rows, its stages, and covers nothing with words."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from flowtheory.clock import Clock
from flowtheory.errors import DataError
from flowtheory.measure import LossStage, loss_stages
from flowtheory.plot import run_figure
from flowtheory.plot.run import symbol

RATES = np.array([3.0, 1.5, 0.5])
TIMES = np.concatenate([[0.0], np.geomspace(1e-2, 80, 600)])


def observables(eps: float = 1e-8) -> dict[str, np.ndarray]:
    """Decoupled modes of a balanced linear network (Saxe et al. 2014), as a run saves them."""
    with np.errstate(over="ignore"):
        modes = [s / (1 + (s / eps**2 - 1) * np.exp(-2 * s * TIMES)) for s in RATES]
    gains = np.sqrt(np.stack(modes, axis=1))
    loss = np.sum((RATES - gains**2) ** 2, axis=1) / 2
    norm = np.linalg.norm(gains, axis=1)
    rows = {"loss": np.maximum(loss, 1e-30), "norm": np.sqrt(2) * norm, "norm_V": norm}
    return rows | {"norm_W": norm, "alignment": 1 - np.exp(-TIMES), "spectrum_W": gains}


def draw(rows: dict[str, np.ndarray] | None = None, **more) -> Figure:
    rows = observables() if rows is None else rows
    stages = loss_stages(TIMES, rows["loss"])
    figure = run_figure(TIMES, rows, stages=stages, clock=Clock("mean", slope=2.0), **more)
    FigureCanvasAgg(figure).draw()
    return figure


@pytest.fixture(scope="module")
def figure() -> Figure:
    return draw()


def test_every_curve_is_drawn_in_both_columns(figure):
    rows = observables()
    wanted = [["loss"], ["norm", "norm_V", "norm_W"], ["alignment"], ["spectrum_W"]]
    for k, names in enumerate(wanted):
        for axes in figure.axes[2 * k : 2 * k + 2]:
            drawn = [one.get_ydata() for one in axes.lines if len(one.get_xdata()) == len(TIMES)]
            expected = np.concatenate([np.atleast_2d(rows[name].T) for name in names])
            np.testing.assert_array_equal(drawn, expected)


def test_one_column_has_log_time_and_the_other_linear_time(figure):
    for left, right in zip(figure.axes[::2], figure.axes[1::2], strict=True):
        assert (left.get_xscale(), right.get_xscale()) == ("log", "linear")
        assert left.get_xlim() == pytest.approx((TIMES[1], TIMES[-1]))
        assert right.get_xlim() == pytest.approx((0, TIMES[-1]))


def test_axes_are_labelled(figure):
    labels = [axes.get_ylabel() for axes in figure.axes[::2]]
    assert labels == ["loss", "norm", "alignment", r"$\sigma_k(W)$"]
    for axes in figure.axes[-2:]:
        assert axes.get_xlabel() == "time $t$ (mean loss, slope 2 at zero)"


def test_descents_are_shaded_and_stages_named(figure):
    found = [s for s in loss_stages(TIMES, observables()["loss"]) if s.kind == "descent"]
    for axes in figure.axes:
        edges = sorted((p.get_x(), p.get_x() + p.get_width()) for p in axes.patches)
        np.testing.assert_allclose(edges, [(s.start, s.end) for s in found])
    names = [text.get_text() for text in figure.axes[1].texts]
    assert names == ["P1", "plateau 3", "late times"]
    assert figure.axes[0].texts[0].get_text() == "plateau 1"


def ticks_in_view(axes):
    low, high = axes.get_xlim()
    labels = zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
    return [text for at, text in labels if low <= at <= high]


@pytest.mark.parametrize("eps", [1e-2, 1e-8, 1e-100])
def test_no_words_overlap(eps):
    figure = draw(observables(eps))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    words = [text for axes in figure.axes for text in axes.texts]
    words += [axes.xaxis.label for axes in figure.axes[-2:]]
    words += [text for axes in figure.axes[-2:] for text in ticks_in_view(axes)]
    words += [*figure.legends]
    boxes = [w.get_window_extent(renderer) for w in words]
    for one, other in combinations([box for box in boxes if box.width > 0], 2):
        assert not one.overlaps(other)
    for box in boxes:
        assert box.width == 0 or (box.x0 >= 0 and box.x1 <= figure.bbox.x1)


def test_only_what_was_saved():
    figure = draw({"loss": observables()["loss"], "dissipated": TIMES})
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", ""]


def test_a_loss_that_reaches_zero_leaves_a_gap():
    rows = {"loss": np.maximum(1 - TIMES, 0)}
    axes = draw(rows).axes[0]
    assert axes.get_yscale() == "log"
    np.testing.assert_array_equal(np.isnan(axes.lines[0].get_ydata()), rows["loss"] == 0)


def test_a_negative_loss_has_a_linear_axis():
    figure = run_figure(TIMES, {"loss": 1 - TIMES}, stages=[LossStage("descent", 0.0, 80.0, 0.0)])
    FigureCanvasAgg(figure).draw()
    assert figure.axes[0].get_yscale() == "linear"


def test_singular_values_that_are_rounding_are_not_drawn():
    spectrum = np.stack([np.ones_like(TIMES), np.geomspace(1, 1e-20, TIMES.size)], axis=1)
    axes = draw({"loss": 2 - TIMES / 80, "spectrum_W": spectrum}).axes[2]
    first, second = (one.get_ydata() for one in axes.lines)
    np.testing.assert_array_equal(first, 1)
    np.testing.assert_array_equal(np.isnan(second), spectrum[:, 1] <= 1e-15)


def test_many_decades_have_round_exponents():
    norm = np.geomspace(1e-300, 1e2, TIMES.size)
    axes = draw({"loss": 2 - TIMES / 80, "norm": norm}).axes[2]
    low, high = axes.get_ylim()
    shown = [round(np.log10(tick)) for tick in axes.get_yticks() if low <= tick <= high]
    assert shown == [-300, -250, -200, -150, -100, -50, 0]


@pytest.mark.parametrize(
    ("name", "text"),
    [("W", "W"), ("W1", "W_{1}"), ("W_12", "W_{12}"), ("gate_in", r"\mathrm{gate\_in}")],
)
def test_names_of_tensors(name, text):
    assert symbol(name) == text


@pytest.mark.parametrize(
    ("times", "rows"),
    [
        (TIMES, {"norm": TIMES}),
        (TIMES[:1], {"loss": TIMES[:1]}),
        (TIMES, {"loss": TIMES[:-1]}),
    ],
)
def test_rows_that_do_not_fit(times, rows):
    with pytest.raises(DataError):
        run_figure(times, rows)
