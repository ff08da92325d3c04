"""Wasserstein distances against SciPy and against assignment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.stats import wasserstein_distance

from flowtheory.errors import DataError, ParameterError
from flowtheory.measure import wasserstein, wasserstein_bound

numbers = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=9).map(np.array)


def by_assignment(a: np.ndarray, b: np.ndarray, p: float) -> float:
    """The best matching, after repeating the samples to one size."""
    a, b = np.repeat(a, b.size), np.repeat(b, a.size)
    cost = np.abs(a[:, None] - b[None, :]) ** p
    return float(cost[linear_sum_assignment(cost)].mean() ** (1 / p))


@settings(max_examples=150, deadline=None)
@given(numbers, numbers)
def test_order_one_is_scipys(a, b):
    assert wasserstein(a, b, 1.0).value == pytest.approx(wasserstein_distance(a, b), abs=1e-9)


@settings(max_examples=80, deadline=None)
@given(numbers, numbers, st.sampled_from([1.0, 1.5, 2.0, 3.0]))
def test_any_order_is_the_best_matching(a, b, p):
    assert wasserstein(a, b, p).value == pytest.approx(by_assignment(a, b, p), rel=1e-9, abs=1e-9)


@settings(max_examples=80, deadline=None)
@given(numbers, numbers, numbers, st.sampled_from([1.0, 2.0, 2.7]), st.floats(-10, 10))
def test_it_is_a_distance(a, b, c, p, shift):
    def w(first: np.ndarray, second: np.ndarray, order: float = p) -> float:
        return wasserstein(first, second, order).value

    assert w(a, b) == pytest.approx(w(b, a), rel=1e-12, abs=1e-300)
    assert w(a, a[::-1]) == 0
    assert w(a, b) <= w(a, c) + w(c, b) + 1e-9
    assert w(a + shift, b + shift) == pytest.approx(w(a, b), abs=1e-9)
    assert w(shift * a, shift * b) == pytest.approx(abs(shift) * w(a, b), rel=1e-9, abs=1e-9)
    assert w(a, np.repeat(a, 3)) == 0
    assert w(a, b) <= w(a, b, p + 1) * (1 + 1e-12) + 1e-300


def test_closed_forms():
    a = np.random.default_rng(0).standard_normal(1000)
    for p in (1.0, 2.0, 5.0):
        assert wasserstein(a, a + 3, p).value == pytest.approx(3.0, rel=1e-12)
    # Uniform on a grid of m cells against one point: the moments of the distance.
    m = 2001
    grid = (np.arange(m) + 0.5) / m
    assert wasserstein(grid, np.array([0.5]), 1.0).value == pytest.approx(0.25, rel=1e-6)
    assert wasserstein(grid, np.array([0.5])).value == pytest.approx(12**-0.5, rel=1e-6)
    # Amplitudes of scale 1e-200, whose squares are zero.
    assert wasserstein(1e-200 * grid, np.zeros(1)).value == pytest.approx(1e-200 * 3**-0.5)


def test_sizes_without_a_common_divisor():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal(9973), rng.exponential(size=10007)
    assert wasserstein(a, b, 1.0).value == pytest.approx(wasserstein_distance(a, b), rel=1e-12)


@pytest.mark.parametrize("p", [0.5, 0.0, -1.0, np.inf, np.nan])
def test_orders_that_are_none(p):
    with pytest.raises(ParameterError):
        wasserstein(np.ones(2), np.ones(2), p)


def test_bad_input():
    for wrong in (np.array([]), np.array([np.nan]), np.ones((2, 2)), np.array(["a"])):
        with pytest.raises(DataError):
            wasserstein(wrong, np.ones(2))
    w = np.ones((2, 3))
    with pytest.raises(ParameterError):
        wasserstein_bound(w, w, times=(1.0, 0.0), losses=(1.0, 0.5))
    with pytest.raises(DataError):
        wasserstein_bound(w, w[:1], times=(0.0, 1.0), losses=(1.0, 0.5))
