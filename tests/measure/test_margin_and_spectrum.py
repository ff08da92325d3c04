"""Max-margin directions against optimality conditions; ranks against constructed matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from flowtheory.errors import DataError
from flowtheory.measure import cosines, max_margin, squared_spectral_norm, stable_rank


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
    assert stable_rank(w) == pytest.approx(14 / 9, rel=1e-13)
    assert squared_spectral_norm(w) == pytest.approx(9.0, rel=1e-13)
    assert stable_rank(1e-120 * w) == pytest.approx(14 / 9, rel=1e-12)
    with pytest.raises(DataError, match="stable rank"):
        stable_rank(np.zeros((2, 2)))


def test_cosines():
    found = cosines(np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 0.0]]), np.array([3.0, 0.0]))
    np.testing.assert_allclose(found, [1.0, np.sqrt(0.5), np.nan], rtol=1e-15)
