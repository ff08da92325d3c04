"""What the probe measures beside RD: operator norm, carriers, orientations."""

from __future__ import annotations

import numpy as np
import pytest

from flowtheory.laws.diagram_runs import cell_of, ended
from flowtheory.phase.probe import LARGEST, orientations, run_cell


def test_condensed_neurons_of_tanh_have_two_orientations():
    """At the escape, weights of both signs along z; a start has as many as its gaps leave."""
    at = {"activation": "tanh", "eps": 1e-5, "data": "cloud", "loss": 0.9, "checked": 0}
    found = ended(3.0, 0.0, 500, 0, **at)
    assert found["orientations"] == 2
    assert found["ratio_z"] > 0.99
    rng = np.random.default_rng(0)
    assert orientations(rng.standard_normal((LARGEST, 12))) > 50


def test_leaders_are_few_and_so_are_their_orientations():
    found = ended(4.0, 0.0, 512, 0, activation="z**2", loss=0.5, checked=0)
    assert found["carriers"] < 1.1
    assert found["orientations"] == 1


def test_neurons_that_carry_nothing_are_left_out():
    rng = np.random.default_rng(1)
    large = np.repeat([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 1.0, 0.0]], 5, axis=0)
    small = 1e-3 * rng.standard_normal((200, 3))
    assert orientations(np.concatenate([small, large])) == 3


def test_the_operator_norm_is_the_largest_singular_value():
    cell = cell_of(1.4, 0.0, 64, 0, checked=0)
    start, end, _, _ = run_cell(cell, 1.0)
    W, W0 = np.asarray(end.params.W), np.asarray(start.W)
    wanted = np.linalg.svd(W - W0)[1][0] / np.linalg.svd(W0)[1][0]
    found = ended(1.4, 0.0, 64, 0, checked=0)
    assert found["rd_w_operator"] == pytest.approx(wanted, rel=1e-12)
    assert found["rd_w"] < found["rd_w_operator"]
