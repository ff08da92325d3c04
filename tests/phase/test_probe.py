"""What the probe measures beside RD: operator norm, carriers, orientations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from flowtheory.laws.diagram_runs import cell_of, ended
from flowtheory.outcome import Outcome
from flowtheory.phase.deep_probe import PROBE as DEEP
from flowtheory.phase.probe import LARGEST, orientations, run_cell
from flowtheory.phase.probe import PROBE as TWO


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


@pytest.mark.parametrize(("probe", "place"), [(TWO, "gamma_prime"), (DEEP, "gamma_2")])
def test_a_run_is_given_as_many_steps_as_its_cell_says(probe, place):
    """Of the run with c = 1, and twice as many of the one with c = 1/2 that checks it."""

    def found(c, checked, max_steps):
        cell = {p.name: p.default for p in probe.parameters}
        cell |= {"gamma": 1.0, place: 0.0, "width": 64, "loss": 1e-6, "c": c}
        (found,) = probe.run([cell | {"checked": checked, "max_steps": max_steps}])
        return found

    whole, half = (int(found(c, 0, 10**5).values["steps"]) for c in (1.0, 0.5))
    assert half > whole > 8
    assert found(1.0, 0, whole).outcome is Outcome.EVENT
    assert found(1.0, 0, whole - 1).outcome is Outcome.STEP_LIMIT
    enough = math.ceil(half / 2)
    assert found(1.0, 64, max(enough, whole)).outcome is Outcome.EVENT
    assert found(1.0, 64, enough - 1).outcome is Outcome.STEP_LIMIT
