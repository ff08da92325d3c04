"""LabelledData: its geometry against a pairwise loop, its invariances, and every rejection."""

import math

import numpy as np
import pytest
from hypothesis import given, settings

from flowtheory.data import LabelledData, cosines
from flowtheory.errors import DataError, ParameterError
from flowtheory.testing.strategies import labelled_data, separable_data


def make(x, y, name="t"):
    return LabelledData(np.asarray(x, dtype=float), np.asarray(y, dtype=float), name, "by hand")


def pair_cosines(data):
    """All cosines of signed pairs, one by one with compensated sums."""
    out = []
    for i in range(data.n):
        for j in range(i):
            a, b = data.y[i] * data.x[i], data.y[j] * data.x[j]
            dot = math.fsum(p * q for p, q in zip(a, b, strict=True))
            out.append(dot / (math.hypot(*a) * math.hypot(*b)))
    return np.array(out)


def test_geometry_of_an_example_by_hand():
    data = make([[3.0, 4.0], [-1.0, 0.0], [0.0, 2.0]], [1, -1, 1])
    assert (data.n, data.dimension, data.n_plus, data.n_minus) == (3, 2, 2, 1)
    np.testing.assert_array_equal(data.signed, [[3, 4], [1, 0], [0, 2]])
    np.testing.assert_array_equal(data.norms, [5, 1, 2])
    assert (data.x_min, data.x_max) == (1, 5)
    np.testing.assert_array_equal(data.x_plus, [3, 6])
    np.testing.assert_array_equal(data.x_minus, [-1, 0])
    assert data.signed_sum_norm == math.hypot(4, 6)
    assert data.mu == 0  # z_2 and z_3 are orthogonal; the other cosines are 3/5 and 4/5
    assert data.violating_fraction == 1 / 3
    assert not data.satisfies_assumption_1


@given(labelled_data(max_n=7))
def test_mu_and_violating_fraction_agree_with_a_loop_over_pairs(data):
    cosine = pair_cosines(data)
    assert abs(data.mu - cosine.min()) < 1e-14
    certain = np.abs(cosine) > 1e-14
    count = data.violating_fraction * len(cosine)
    assert abs(count - np.count_nonzero(cosine <= 0)) <= np.count_nonzero(~certain) + 1e-9
    assert data.satisfies_assumption_1 == (data.mu > 0) == (data.violating_fraction == 0)


@pytest.mark.parametrize("entries", [1, 40, 41, 1 << 22])
def test_blocks_of_any_size_see_every_pair_once(monkeypatch, entries):
    rng = np.random.default_rng(0)
    data = make(rng.standard_normal((41, 3)), rng.choice([-1.0, 1.0], 41))
    monkeypatch.setattr(cosines, "_BLOCK_ENTRIES", entries)
    cosine = pair_cosines(data)
    assert abs(data.mu - cosine.min()) < 1e-14
    assert data.violating_fraction == np.mean(cosine <= 0)


@given(separable_data())
def test_cosines_do_not_depend_on_scale_and_sign_of_labels(data):
    assert abs(data.scaled(3.7).mu - data.mu) < 1e-14
    mirror = data.flipped()
    assert mirror.mu == data.mu
    np.testing.assert_array_equal(mirror.x_plus, data.x_minus)
    np.testing.assert_array_equal(mirror.x_minus, data.x_plus)
    assert mirror.n_plus == data.n_minus
    assert math.isclose(mirror.signed_sum_norm, data.signed_sum_norm, rel_tol=1e-15)


def test_scaled_scales_every_length():
    data = make([[3.0, 4.0], [0.0, 2.0]], [1, -1]).scaled(2.0)
    assert (data.x_min, data.x_max, data.signed_sum_norm) == (4, 10, 2 * math.hypot(3, 2))
    assert data.provenance == "by hand; inputs times 2"


def test_subset_keeps_order_and_says_so():
    data = make([[1.0], [2.0], [3.0]], [1, -1, 1]).subset([2, 0], name="two")
    np.testing.assert_array_equal(data.x, [[3], [1]])
    np.testing.assert_array_equal(data.y, [1, 1])
    assert (data.name, data.provenance) == ("two", "by hand; 2 of 3 data")
    np.testing.assert_array_equal(data.x_minus, [0])


def test_arrays_are_read_only_copies():
    x, y = np.eye(2), np.ones(2)
    data = LabelledData(x, y, "t", "")
    x[0, 0], y[0] = 7.0, -1.0
    assert data.x[0, 0] == data.y[0] == 1.0
    for array in (data.x, data.y, data.signed, data.norms, data.x_plus, data.x_minus):
        with pytest.raises(ValueError, match="read-only"):
            array.flat[0] = 2.0


def test_mu_of_copies_is_not_above_one():
    rows = np.random.default_rng(0).standard_normal((100, 3))
    unit = cosines.unit_rows(rows)
    assert np.sum(unit**2, axis=1).max() > 1.0  # rounding alone would leave the range
    for row in rows:
        assert make([row, row], [1, 1]).mu <= 1.0
        assert make([row, row], [1, -1]).mu >= -1.0


BAD = {
    "nan": ([[1.0, np.nan], [1, 1]], [1, 1], "x has 1 non-finite"),
    "infinite": ([[1.0, np.inf], [np.inf, 1]], [1, 1], "x has 2 non-finite"),
    "nan label": ([[1.0], [1]], [1, np.nan], "y has 1 non-finite"),
    "zero row": ([[1.0, 1], [0, 0], [0, 0]], [1, 1, -1], r"x\[1\] is the zero vector \(2 such"),
    "label 0": ([[1.0], [1]], [0, 1], r"labels are \[0. 1.\]"),
    "label 2": ([[1.0], [1]], [1, 2], r"labels are \[1. 2.\]"),
    "nearly 1": ([[1.0], [1]], [1, 1 - 1e-16 * 2], "labels are"),
    "n = 1": ([[1.0]], [1], "n = 1: too few"),
    "n = 0": (np.empty((0, 3)), [], "n = 0: too few"),
    "lengths": ([[1.0], [1]], [1, 1, 1], r"shape \(2, 1\) and y has shape \(3,\)"),
    "x vector": ([1.0, 1], [1, 1], r"x has shape \(2,\)"),
    "x images": (np.ones((2, 3, 3)), [1, 1], r"x has shape \(2, 3, 3\)"),
    "y column": ([[1.0], [1]], [[1], [1]], r"y has shape \(2, 1\)"),
    "no columns": (np.empty((2, 0)), [1, 1], r"x has shape \(2, 0\)"),
    "underflow": ([[1.0], [1e-200]], [1, 1], r"x\[1\] has largest entry 1e-200"),
    "overflow": ([[1e200], [1.0]], [1, 1], r"x\[0\] has largest entry 1e\+200"),
}


@pytest.mark.parametrize(("x", "y", "wrong"), BAD.values(), ids=BAD)
def test_bad_data_get_one_clear_error(x, y, wrong):
    with pytest.raises(DataError, match=wrong) as info:
        make(x, y)
    assert all((info.value.wrong, info.value.expected, info.value.fix))


@pytest.mark.parametrize("indices", [[0, 3], [-1, 0], [[0, 1]], [0.0, 1.0], [True, False, True]])
def test_indices_that_select_nothing_are_rejected(indices):
    with pytest.raises(DataError, match="do not select from 3 data"):
        make([[1.0], [2.0], [3.0]], [1, -1, 1]).subset(indices)


@pytest.mark.parametrize("indices", [[], [1]])
def test_a_subset_needs_two_data(indices):
    with pytest.raises(DataError, match="too few data"):
        make([[1.0], [2.0], [3.0]], [1, -1, 1]).subset(indices)


@pytest.mark.parametrize("factor", [0.0, -1.0, math.nan, math.inf])
def test_bad_scale_factors_are_rejected(factor):
    with pytest.raises(ParameterError, match="scale factor"):
        make([[1.0], [2.0]], [1, 1]).scaled(factor)


@settings(max_examples=200)
@given(separable_data(min_mu=0.05))
def test_separable_strategy_draws_what_it_promises(data):
    assert data.mu >= 0.05 - 1e-12
    assert 0.25 - 1e-12 <= data.x_min <= data.x_max <= 4 + 1e-12


@given(separable_data(min_n=3, max_n=5, dims=(3, 3)))
def test_strategies_respect_sizes(data):
    assert 3 <= data.n <= 5
    assert data.dimension == 3


def test_general_strategy_reaches_data_that_are_not_separable():
    from hypothesis import find

    data = find(labelled_data(), lambda d: d.mu < -0.5)
    assert data.violating_fraction > 0
