"""Max-margin directions against optimality conditions; ranks against constructed matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from flowtheory.errors import DataError
from flowtheory.measure import (
    cosines,
    effective_rank,
    max_margin,
    singular_values,
    squared_spectral_norm,
    stable_rank,
)


def test_max_margin_satisfies_the_kkt_conditions():
    rng = np.random.default_rng(0)
    for _ in range(40):
        x = np.abs(rng.standard_normal((7, 4))) + 0.01
        u, margin = max_margin(x)
        assert np.linalg.norm(u) == pytest.approx(1.0, rel=1e-14)
        margins = x @ u
        assert margins.min() == pytest.approx(margin, rel=1e-12)
        # u is a non-negative combination of the support vectors.
        support = x[margins < margin * (1 + 1e-9)]
        found = linprog(np.zeros(len(support)), A_eq=support.T, b_eq=u)
        assert found.status == 0


def test_max_margin_of_two_orthogonal_points_is_the_bisector():
    u, margin = max_margin(np.eye(2))
    np.testing.assert_allclose(u, np.sqrt([0.5, 0.5]), rtol=1e-14)
    assert margin == pytest.approx(np.sqrt(0.5), rel=1e-14)


def test_opposite_points_have_no_margin():
    with pytest.raises(DataError, match="half-space"):
        max_margin(np.array([[1.0, 0.0], [-1.0, 0.0]]))


def test_stable_rank_of_a_matrix_with_known_singular_values():
    rng = np.random.default_rng(1)
    u, _ = np.linalg.qr(rng.standard_normal((6, 3)))
    v, _ = np.linalg.qr(rng.standard_normal((5, 3)))
    w = u @ np.diag([3.0, 2.0, 1.0]) @ v.T
    assert stable_rank(w).value == pytest.approx(14 / 9, rel=1e-13)
    assert squared_spectral_norm(w) == pytest.approx(9.0, rel=1e-13)
    assert stable_rank(1e-200 * w).value == pytest.approx(14 / 9, rel=1e-12)
    with pytest.raises(DataError, match="stable rank"):
        stable_rank(np.zeros((2, 2)))


def test_singular_values_and_effective_rank_of_known_matrices():
    rng = np.random.default_rng(2)
    u, _ = np.linalg.qr(rng.standard_normal((7, 3)))
    v, _ = np.linalg.qr(rng.standard_normal((4, 3)))
    w = u @ np.diag([3.0, 2.0, 1.0]) @ v.T
    np.testing.assert_allclose(singular_values(w), [3, 2, 1, 0], atol=1e-14)
    # exp(-(1/2 ln 1/2 + 1/3 ln 1/3 + 1/6 ln 1/6)) = 2^(1/2) 3^(1/3) 6^(1/6)
    assert effective_rank(w).value == pytest.approx(2**0.5 * 3 ** (1 / 3) * 6 ** (1 / 6), rel=1e-12)
    assert effective_rank(1e-250 * np.eye(5)).value == pytest.approx(5.0, rel=1e-14)
    assert effective_rank(np.outer(np.ones(3), np.ones(2))).value == pytest.approx(1.0, rel=1e-13)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 6), st.floats(-100, 100))
def test_ranks_are_ordered_and_know_no_scale_nor_rotation(seed, rows, columns, log_scale):
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((rows, columns)) * rng.exponential(size=columns) ** 3
    turn, _ = np.linalg.qr(rng.standard_normal((rows, rows)))
    stable, effective = stable_rank(w).value, effective_rank(w).value
    assert 1 - 1e-12 <= stable <= effective * (1 + 1e-12)
    assert effective <= min(rows, columns) * (1 + 1e-12)
    same = np.exp(log_scale) * turn @ w
    assert stable_rank(same).value == pytest.approx(stable, rel=1e-9)
    assert effective_rank(same).value == pytest.approx(effective, rel=1e-9)


@pytest.mark.parametrize("measure", [stable_rank, effective_rank])
def test_ranks_refuse_what_is_no_matrix(measure):
    for wrong in (np.zeros((2, 2)), np.array([[np.nan, 1.0]]), np.ones(3), np.ones((0, 2))):
        with pytest.raises(DataError):
            measure(wrong)


def test_cosines():
    found = cosines(np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 0.0]]), np.array([3.0, 0.0]))
    np.testing.assert_allclose(found, [1.0, np.sqrt(0.5), np.nan], rtol=1e-15)
