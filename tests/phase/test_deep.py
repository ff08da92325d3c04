"""Diagrams of deeper networks: units, theory, slopes of real runs, and wrong theories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import flowtheory as ft
from flowtheory.errors import DataError, ParameterError
from flowtheory.flow.fall import fall
from flowtheory.judge.verdict import Verdict
from flowtheory.lower.gradient_flow import two_layer_model
from flowtheory.lower.network_model import network_model
from flowtheory.measure.displacement import relative_distances
from flowtheory.phase import (
    DeepPoint,
    OfLayers,
    Point,
    asymptotic_slopes,
    deep_diagram,
    deep_judged,
    layer_slopes,
    samples,
)
from flowtheory.phase.deep_asymptotic import boundary
from flowtheory.phase.deep_probe import PROBE, run_cell
from flowtheory.phase.slopes import log_slopes
from flowtheory.precision import float64

DATA = samples("three-points")
DEFAULTS: dict[str, Any] = {p.name: p.default for p in PROBE.parameters}


def test_the_end_is_that_of_the_flow_in_the_original_variables():
    """alpha = 1: then the product of the betas is kappa, and they follow from gamma_2."""
    cell = DEFAULTS | {"gamma": 1.3, "gamma_2": 0.2, "width": 12, "loss": 0.3}
    start, end, whole = run_cell(cell, 0.01)
    point = DeepPoint(1.3, 0.2, 12)
    mean = point.kappa ** (1 / 3)
    beta = [mean * scale for scale in point.scales]
    assert beta[1] / beta[0] == pytest.approx(12**-0.2)
    assert np.prod(beta) == pytest.approx(12**-1.3)

    first = {name: mean * w for name, w in start.items()}
    net = ft.fully_connected(3, "relu")
    model = network_model(net, "half_mse")
    with float64():
        shift = np.asarray(model.outputs(first, DATA.x))
    flow = ft.GradientFlow(net, loss="half_mse", x=DATA.x, y=DATA.y + shift)
    run = flow.solve(first, until=ft.loss_below(0.3 * np.mean(DATA.y**2) / 2), rtol=1e-9)
    assert run.outcome.ok
    exact, found = relative_distances(run.params, first), relative_distances(end.params, start)
    for name in start:
        assert found[name].frobenius.value == pytest.approx(exact[name].frobenius.value, rel=5e-3)
        assert found[name].operator.value == pytest.approx(exact[name].operator.value, rel=5e-3)
    # ds = kappa dt / betabar^2
    assert end.time == pytest.approx(run.t_end * point.kappa / mean**2, rel=5e-3)
    assert end.loss == pytest.approx(0.3 * whole, rel=1e-9)


def test_with_one_hidden_layer_it_is_the_plane_of_two_layers():
    gamma, other, m = 1.4, 0.3, 40
    two, deep = Point(gamma, other, m), DeepPoint(gamma, other, m, layers=2)
    start = deep.start(2, np.random.default_rng(1))
    scale = dict(zip(start, deep.scales, strict=True))
    first = two.start(2, np.random.default_rng(1), paired=False)._replace(
        W=start["W"] / scale["W"], v=two.kappa_prime * start["v"] / scale["v"]
    )
    one, other_one = two.samples(*DATA), deep.samples(*DATA)
    levels = [0.1 * 0.5 * float(s.weight) * np.sum(s.y**2) for s in (one, other_one)]
    a = fall(two_layer_model("relu", "half_mse"), one, first, levels[0], c=0.02)
    b = fall(network_model(deep.network, "half_mse"), other_one, start, levels[1], c=0.02)
    for after, before, name in ((a.params.W, first.W, "W"), (a.params.v, first.v, "v")):
        moved = np.linalg.norm(after - before) / np.linalg.norm(before)
        found = np.linalg.norm(b.params[name] - start[name]) / np.linalg.norm(start[name])
        assert found == pytest.approx(moved, rel=2e-3)


def test_a_centred_start_has_the_output_zero():
    cell = DEFAULTS | {"gamma": 0.5, "width": 12, "loss": 1.0}
    assert run_cell(cell, 1.0)[1].steps == 0
    assert run_cell(cell | {"centred": False}, 1.0)[1].loss > 0


def test_the_table_of_two_layers_is_that_of_one_hidden_layer():
    gamma, other = np.linspace(-1, 4, 41), np.linspace(-2, 2, 33)
    table, found = (
        asymptotic_slopes(gamma, other),
        layer_slopes(gamma[None], other[:, None], hidden=1),
    )
    np.testing.assert_allclose(found.input, table.hidden, atol=1e-12)
    np.testing.assert_allclose(found.output, table.output, atol=1e-12)


def test_three_layers_of_one_scale():
    """Phase diagram of three layers at gamma_2 = 0: kink at 3/2, balanced growth beyond."""
    found = layer_slopes(np.array([1.25, 1.5, 2.0, 2.5]), 0.0, hidden=2)
    np.testing.assert_allclose(found.input, [-1 / 4, 0, 1 / 6, 1 / 3])
    np.testing.assert_allclose(found.output, found.input)
    np.testing.assert_allclose(found.operator, found.input)
    np.testing.assert_allclose(found.hidden, [-3 / 4, -1 / 2, -1 / 3, -1 / 6])


@pytest.mark.parametrize("hidden", [1, 2, 3, 5])
def test_the_theory_is_continuous_and_vanishes_on_its_boundary(hidden):
    rng = np.random.default_rng(hidden)
    gamma, other = rng.uniform(-1, 6, 4000), rng.uniform(-2, 2, 4000)
    here, there = (layer_slopes(gamma + e, other - e, hidden) for e in (0.0, 1e-7))
    for one, two in zip(here, there, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)
    np.testing.assert_allclose(
        layer_slopes(boundary(other, hidden), other, hidden).input, 0.0, atol=1e-12
    )
    # In the end all layers are of one size, so that kappa times their product is of order 1.
    far = np.full(4000, 40.0)
    found = layer_slopes(far, other, hidden)
    scales = other * hidden / (hidden + 1), -other / (hidden + 1)
    ends = found.input + 0.5 + scales[0], found.output + 0.5 + scales[1]
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-9)
    np.testing.assert_allclose(ends[0] * (hidden + 1), far, atol=1e-9)


@pytest.fixture(scope="module")
def measured():
    """Slopes over narrow widths of the mean of 4 starts, at two lazy and two condensed points."""
    widths, places = np.array([32, 64, 128]), [(0.6, 0.0), (1.0, 0.0), (2.5, 0.0), (2.5, 0.5)]
    logs = np.empty((len(widths), len(places), 4))
    for i, m in enumerate(widths):
        for j, (gamma, gamma_2) in enumerate(places):
            cells = [
                DEFAULTS
                | {"gamma": gamma, "gamma_2": gamma_2, "width": int(m), "seed": s, "checked": 0}
                for s in range(4)
            ]
            runs = PROBE.run(cells)
            assert all(run.outcome.ok for run in runs)
            rows = [[run.values[f"rd_{name}"] for name in OfLayers._fields] for run in runs]
            logs[i, j] = np.log(rows).mean(axis=0)
    theory = [np.array(layer_slopes(g, g2, 2), dtype=float) for g, g2 in places]
    return log_slopes(logs, widths.astype(float)), np.array(theory)


def test_slopes_of_real_runs_are_those_of_the_theory(measured):
    """Within what 4 starts of 32 to 128 neurons leave: little where weights forget their start."""
    slopes, theory = measured
    np.testing.assert_allclose(slopes[2:], theory[2:], atol=0.1)
    np.testing.assert_allclose(slopes[1] - slopes[0], 0.4, atol=0.1)
    np.testing.assert_allclose(slopes[1], theory[1], atol=0.35)


def test_the_norm_of_a_hidden_matrix_matters(measured):
    slopes, _ = measured
    hidden, operator = slopes[2:, 1], slopes[2:, 2]
    np.testing.assert_allclose(operator - hidden, 0.5, atol=0.05)


def test_a_ratio_of_scales_holds_the_first_layer_back(measured):
    """At gamma = 2.5: S of W_1 falls from 1/3 to 0, and that of v rises to 1/2."""
    slopes, theory = measured
    np.testing.assert_allclose(slopes[3] - slopes[2], theory[3] - theory[2], atol=0.1)


def test_error_bars_are_those_of_half_the_step():
    (found,) = PROBE.run([DEFAULTS | {"gamma": 2.0, "width": 32}])
    rough, fine = (run_cell(DEFAULTS | {"gamma": 2.0, "width": 32}, c) for c in (1.0, 0.5))
    a, b = (relative_distances(end.params, start) for start, end, _ in (rough, fine))
    gap = abs(a["W1"].frobenius.value - b["W1"].frobenius.value)
    assert found.values["rd_input_error"] == pytest.approx(1.5 * gap, rel=1e-9)
    assert found.values["sup_input"] >= found.values["rd_input"]


WIDTHS, GAMMA, OTHER = 2.0 ** np.arange(6, 11), np.linspace(0.9, 2.5, 9), np.array([0.0, 0.3])


def table(slopes: OfLayers) -> xr.Dataset:
    axes = ("width", "gamma_2", "gamma", "seed")
    columns = {}
    for name, slope in slopes._asdict().items():
        rd = (WIDTHS[:, None, None] ** slope)[..., None] * np.exp([-0.01, 0.01])
        columns[f"rd_{name}"], columns[f"rd_{name}_error"] = (axes, rd), (axes, 1e-3 * rd)
    places = {"width": WIDTHS, "gamma_2": OTHER, "gamma": GAMMA, "seed": [0, 1]}
    return xr.Dataset(columns, places, {"activation": "relu", "layers": 3})


def theory(hidden: int = 2) -> OfLayers:
    return layer_slopes(GAMMA[None, :], OTHER[:, None], hidden)


def verdicts(slopes: OfLayers) -> list[Verdict]:
    return [one.verdict for one in deep_judged(deep_diagram(table(slopes)))]


def test_theory_itself_agrees_with_itself():
    found = deep_diagram(table(theory()))
    assert found.rms < 1e-12
    assert found.integration == pytest.approx(1e-3)
    np.testing.assert_allclose(found.local.hidden, np.stack([theory().hidden] * 4), atol=1e-9)
    np.testing.assert_allclose(found.zeros(), [1.5, 2.1], atol=1e-9)
    assert verdicts(theory()) == [Verdict.AGREES] * 5


def test_wrong_theories_are_rejected():
    two, own = theory(1), theory()
    bad = Verdict.DISAGREES
    two_layers = verdicts(own._replace(input=two.input, output=two.output))
    assert [two_layers[k] for k in (0, 1, 4)] == [bad] * 3
    swapped = verdicts(own._replace(hidden=own.operator, operator=own.hidden))
    assert swapped[2:4] == [bad] * 2
    shifted = np.where(GAMMA > 1.5, (GAMMA - 1.5) / 2, GAMMA - 1.5)
    assert verdicts(own._replace(input=np.stack([shifted, own.input[1]])))[1] is bad


def test_tables_without_slopes_are_refused():
    few = table(theory()).isel(width=slice(2))
    with pytest.raises(DataError, match="width has 2 values"):
        deep_diagram(few)
    with pytest.raises(DataError, match="no slope is known"):
        deep_diagram(table(OfLayers(*(np.full_like(s, np.nan) for s in theory()))))


def test_bad_points_are_refused():
    with pytest.raises(ParameterError, match="not homogeneous of degree 1"):
        DeepPoint(1.0, 0.0, 8, activation="tanh")
    with pytest.raises(ParameterError, match="layers = 1"):
        DeepPoint(1.0, 0.0, 8, layers=1)
