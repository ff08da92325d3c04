"""separable_subset: separable, maximal, deterministic, and against exhaustive search."""

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flowtheory.data import LabelledData, separable_subset
from flowtheory.data.families import equicorrelated, random_cone
from flowtheory.errors import DataError, ParameterError
from flowtheory.testing.strategies import labelled_data


def cosines(data):
    unit = data.signed / data.norms[:, None]
    return unit @ unit.T


def rows_of(subset, data):
    """Indices in `data` of the subset's rows, in order (copies: the first not used)."""
    left, found = list(range(data.n)), []
    for x, y in zip(subset.x, subset.y, strict=True):
        index = next(i for i in left if data.y[i] == y and np.array_equal(data.x[i], x))
        left.remove(index)
        found.append(index)
    return found


def largest(cosine, mu):
    """Size of the largest subset without a pair below mu, by trying all."""
    n = len(cosine)
    for size in range(n, 0, -1):
        for chosen in itertools.combinations(range(n), size):
            if all(cosine[i, j] >= mu for i, j in itertools.combinations(chosen, 2)):
                return size
    return 0


@given(labelled_data(min_n=3, max_n=9), st.floats(0.01, 0.9))
def test_all_pairs_reach_mu_and_no_datum_can_be_added(data, mu):
    try:
        subset = separable_subset(data, mu)
    except DataError:
        assume(False)
    assert subset.mu >= mu - 2e-14
    kept = rows_of(subset, data)
    assert kept == sorted(kept)
    cosine = cosines(data)
    for i in set(range(data.n)) - set(kept):
        assert cosine[i, kept].min() < mu


def test_sizes_against_exhaustive_search():
    sizes = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        z = rng.normal([1.2, 0, 0, 0], 1.0, (11, 4))
        data = LabelledData(z, np.ones(11), "t", f"seed={seed}")
        found, best = separable_subset(data, 0.2).n, largest(cosines(data), 0.2)
        assert found <= best
        sizes.append((found, best))
    found, best = np.array(sizes).T
    assert best.min() < 11  # the search had something to remove
    assert np.mean(found == best) >= 0.85
    assert np.mean(found / best) >= 0.97


def test_data_that_satisfy_the_threshold_stay_whole():
    # These have pairs with cosine exactly mu, up to rounding on either side.
    sets = [random_cone(mu=0.1, seed=seed).data for seed in range(10)]
    assert min(data.mu for data in sets) < 0.1
    for data in [equicorrelated(n=30, mu=0.1, labels="alternating").data, *sets]:
        subset = separable_subset(data, 0.1)
        np.testing.assert_array_equal(subset.x, data.x)
        assert "greedy subset with mu >= 0.1" in subset.provenance


def test_the_worst_datum_goes_first():
    # z_0 violates with both others, which fit together.
    data = LabelledData(np.array([[1.0, 0], [-1, 1], [-1, 2]]), np.ones(3), "t", "")
    np.testing.assert_array_equal(separable_subset(data, 0.1).x, data.x[1:])


def test_the_result_does_not_depend_on_the_order_of_the_data():
    rng = np.random.default_rng(1)
    data = LabelledData(rng.normal([1, 0, 0, 0, 0], 1.0, (60, 5)), np.ones(60), "t", "")
    shuffled = data.subset(rng.permutation(60))
    one, other = separable_subset(data, 0.3), separable_subset(shuffled, 0.3)
    assert {tuple(r) for r in one.x} == {tuple(r) for r in other.x}


def test_two_thousand_data_take_about_a_second():
    rng = np.random.default_rng(0)
    y = rng.choice([-1.0, 1.0], 2115)
    z = rng.standard_normal((2115, 50)) + 0.25
    data = LabelledData(y[:, None] * z, y, "t", "")
    start = time.perf_counter()
    subset = separable_subset(data, 0.05)
    assert time.perf_counter() - start < 5  # 0.1 s alone on one core; the machine may be busy
    assert subset.mu >= 0.05 - 2e-14
    assert 2 < subset.n < 2115


@pytest.mark.parametrize("mu", [0.0, -0.2, 1.1, math.nan])
def test_thresholds_outside_their_range_are_rejected(mu):
    with pytest.raises(ParameterError, match="mu = "):
        separable_subset(random_cone().data, mu)


def test_too_little_left_is_an_error():
    x = np.array([[1.0, 0], [0.0, 1]])
    with pytest.raises(DataError, match=r"1 of 2 data are left at mu = 0\.5"):
        separable_subset(LabelledData(x, np.ones(2), "t", ""), 0.5)
    x = np.array([[1.0, 0.1], [1.0, 0], [1.0, -0.1]])  # the negative datum's z opposes the others
    with pytest.raises(DataError, match=r"none with label -1"):
        separable_subset(LabelledData(x, np.array([1.0, -1, 1]), "t", ""), 0.5)
