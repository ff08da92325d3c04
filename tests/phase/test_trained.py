"""Networks at points: the runs of a sweep, in the units of the start."""

from __future__ import annotations

import numpy as np
import pytest

from flowtheory.errors import ParameterError
from flowtheory.measure import relative_distance
from flowtheory.outcome import Outcome
from flowtheory.phase import line_inputs, samples, trained_at, two_layer_study
from flowtheory.phase.probe import PROBE

WIDTHS = [64, 256]


@pytest.fixture(scope="module")
def group():
    return trained_at(1.4, 0.2, WIDTHS)


def test_they_are_the_runs_of_a_sweep(group):
    cells = list(two_layer_study([1.4], [0.2], WIDTHS).cells())
    assert [one.point.width for one in group] == WIDTHS
    for one, found in zip(group, PROBE.run(cells), strict=True):
        assert one.outcome is Outcome.EVENT
        for now, then, name in ((one.end.W, one.start.W, "rd_w"), (one.end.a, one.start.a, "rd_a")):
            distance = relative_distance(now, then).frobenius.value
            assert distance == pytest.approx(found.values[name], rel=1e-12)


def test_outputs_are_those_of_the_normalized_network_and_end_at_the_loss(group):
    for one in group:
        x, y = one.samples
        f = one.point.kappa * np.maximum(x @ one.end.W.T, 0) @ one.end.a
        np.testing.assert_allclose(one.outputs(x), f, atol=1e-12)
        # The end is where the level is on the chord of the last step.
        assert np.sum((f - y) ** 2) / np.sum(y**2) == pytest.approx(1e-3, rel=1e-3)


def test_outputs_of_a_smooth_activation_know_its_scale():
    (one,) = trained_at(1.2, 0.0, [64], activation="tanh", eps=0.1, data="cloud", loss=0.5)
    x = one.samples.x
    f = one.point.kappa / 0.1 * np.tanh(0.1 * x @ one.end.W.T) @ one.end.a
    np.testing.assert_allclose(one.outputs(x), f, atol=1e-12)


def test_the_start_is_standard_and_a_cloud_has_angles_and_products(group):
    one = group[1]
    angle, amplitude = one.cloud(one.start)
    np.testing.assert_allclose(amplitude, np.abs(one.start.a) * np.linalg.norm(one.start.W, axis=1))
    np.testing.assert_allclose(np.tan(angle), one.start.W[:, 1] / one.start.W[:, 0])
    # Pairs (a, w), (-a, w); |a| of mean sqrt(2/pi) over 128 draws.
    assert one.start.a.sum() == pytest.approx(0.0, abs=1e-12)
    assert np.abs(one.start.a).mean() == pytest.approx(np.sqrt(2 / np.pi), abs=0.2)


def test_in_more_dimensions_the_orientation_is_the_cosine_with_z():
    (one,) = trained_at(1.4, 0.0, [64], data="cloud", loss=0.5)
    x, y = samples("cloud")
    z = x.T @ y
    cosines = one.end.W @ z / np.linalg.norm(one.end.W, axis=1) / np.linalg.norm(z)
    np.testing.assert_allclose(one.cloud(one.end).orientation, cosines, atol=1e-12)
    assert not one.planar


def test_line_inputs_go_a_fifth_beyond_the_data():
    found = line_inputs(samples("four-points"), 5)
    np.testing.assert_allclose(found[:, 0], np.linspace(-1.4, 1.4, 5))
    np.testing.assert_array_equal(found[:, 1], 1.0)
    with pytest.raises(ParameterError, match="no numbers with a bias"):
        line_inputs(samples("cloud"))
