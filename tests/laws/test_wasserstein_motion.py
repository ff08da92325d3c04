"""Distances of sorted samples against SciPy, and the chain of inequalities on plain arrays."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import linear_sum_assignment
from scipy.stats import wasserstein_distance

from flowtheory.laws.wasserstein_motion.attacks import BOUND, L_s, L_t, m, s, t
from flowtheory.laws.wasserstein_motion.experiments import amplitudes, squared_distance
from flowtheory.laws.wasserstein_motion.law import GROWTH
from flowtheory.symbolic.plateau import RATE


def test_sorting_is_the_best_matching():
    rng = np.random.default_rng(0)
    for _ in range(20):
        one, other = rng.exponential(size=(2, 7))
        cost = (one[:, None] - other[None, :]) ** 2
        best = cost[linear_sum_assignment(cost)].mean()
        assert squared_distance(np.sort(one), np.sort(other)) == pytest.approx(best, rel=1e-12)


def test_the_distance_from_zero_is_the_mean():
    rng = np.random.default_rng(1)
    rows = {"v": rng.standard_normal((3, 5)), "W": rng.standard_normal((3, 5, 2))}
    sorted_ = amplitudes(rows)
    assert np.all(np.diff(sorted_, axis=1) >= 0)
    for row, v, w in zip(sorted_, rows["v"], rows["W"], strict=True):
        assert np.sum(row**2) == pytest.approx(np.sum(v**2) + np.sum(w**2), rel=1e-13)
        assert row.mean() == pytest.approx(wasserstein_distance(row, np.zeros(5)), rel=1e-13)


def test_amplitudes_move_less_than_weights():
    rng = np.random.default_rng(2)
    for _ in range(50):
        v, w = rng.standard_normal((2, 4)), rng.standard_normal((2, 4, 3))
        one, other = amplitudes({"v": v, "W": w})
        path = np.sum((v[1] - v[0]) ** 2) + np.sum((w[1] - w[0]) ** 2)
        assert squared_distance(one, other) <= path / 4 * (1 + 1e-12)


def test_a_straight_radial_motion_attains_the_bound():
    # |theta'| constant: L falls by |theta'|^2 in a unit of time.
    speed = np.array([0.3, 0.5, 0.1])
    one, length = np.array([1.0, 2.0, 3.0]), 0.2
    lost = length * np.sum(speed**2)
    bound = float(BOUND.subs({s: 1, t: 1 + length, L_s: lost, L_t: 0, m: 3}))
    assert squared_distance(one, one + length * speed) == pytest.approx(bound, rel=1e-12)


def test_the_growth_is_at_the_rate():
    assert sp.simplify(sp.diff(sp.log(GROWTH), t) - RATE) == 0
