"""Cosine matrices, clusters and covers, against other algorithms and exact covers of the circle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from flowtheory.errors import DataError, ParameterError
from flowtheory.measure import clusters, cosine_matrix, effective_ratio


def layer(seed: int, m: int = 40, dim: int = 3, groups: int = 4, spread: float = 0.1) -> np.ndarray:
    """Neurons of random size near a few lines, both orientations."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((groups, dim))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    near = centres[rng.integers(groups, size=m)] + spread * rng.standard_normal((m, dim))
    return near * (rng.exponential(size=m) * rng.choice([-1.0, 1.0], m))[:, None]


def partition(labels: np.ndarray) -> set[frozenset[int]]:
    """Groups as sets: their numbers do not matter."""
    return {frozenset(np.flatnonzero(labels == k).tolist()) for k in set(labels.tolist())}


TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / 3**0.5


class TestCosineMatrix:
    def test_written_out(self):
        w = layer(0)
        found = cosine_matrix(w)
        for a, i in enumerate(found.order):
            for b, j in enumerate(found.order):
                exact = w[i] @ w[j] / np.sqrt((w[i] @ w[i]) * (w[j] @ w[j]))
                assert found.matrix[a, b] == pytest.approx(exact, abs=1e-14)
        assert np.all(np.diag(found.matrix) == 1)
        assert np.abs(found.matrix).max() <= 1

    @pytest.mark.parametrize("dim", [2, 3, 60])
    def test_the_order_is_that_of_the_leading_eigenvector(self, dim):
        found = cosine_matrix(layer(1, dim=dim))
        values, vectors = np.linalg.eigh(found.matrix)
        leading = vectors[:, -1] * np.sign(vectors[np.argmax(np.abs(vectors[:, -1])), -1])
        assert np.all(np.diff(leading) <= 1e-12)
        np.testing.assert_allclose(found.eigenvalues, values[::-1][: min(dim, 40)], atol=1e-12)
        assert found.eigenvalues.sum() == pytest.approx(40, rel=1e-12)

    def test_two_orientations_of_one_line_become_two_blocks(self):
        rng = np.random.default_rng(2)
        w = np.outer(rng.standard_normal(30), [1.0, 2.0])
        found = cosine_matrix(w)
        np.testing.assert_allclose(found.eigenvalues, [30, 0], atol=1e-12)
        signs = np.sign(w[found.order, 0])
        assert np.count_nonzero(np.diff(signs)) == 1
        np.testing.assert_allclose(found.matrix, np.outer(signs, signs), rtol=1e-14)

    @settings(max_examples=30, deadline=None)
    @given(st.integers(0, 10**6))
    def test_scale_and_rotation_do_not_matter_and_permutation_is_followed(self, seed):
        rng = np.random.default_rng(seed)
        w = layer(seed, m=15)
        turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
        shuffle = rng.permutation(15)
        other = (np.exp(rng.uniform(-300, 300, 15))[:, None] * (w @ turn))[shuffle]
        one, two = cosine_matrix(w), cosine_matrix(other)
        np.testing.assert_allclose(two.matrix, one.matrix, atol=1e-12)
        np.testing.assert_array_equal(shuffle[two.order], one.order)

    def test_bad_input(self):
        for wrong in (np.ones(3), np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[np.inf, 1.0]])):
            with pytest.raises(DataError):
                cosine_matrix(wrong)


class TestClusters:
    @pytest.mark.parametrize("signed", [True, False])
    @pytest.mark.parametrize("threshold", [0.8, 0.95, 0.99])
    def test_single_linkage(self, signed, threshold):
        for seed in range(10):
            w = layer(seed, spread=0.15)
            cosines = np.corrcoef(np.hstack([w, -w]))  # rows without mean: correlation is cosine
            distance = 1 - (cosines if signed else np.abs(cosines))
            tree = linkage(squareform(distance, checks=False), "single")
            expected = fcluster(tree, 1 - threshold, "distance")
            found = clusters(w, threshold=threshold, signed=signed)
            assert partition(found.labels) == partition(expected)
            assert found.number.value == len(set(expected))

    def test_directions_that_are_known(self):
        rng = np.random.default_rng(0)
        w = np.vstack([TETRAHEDRON, -TETRAHEDRON])[np.repeat(np.arange(8), np.arange(3, 11))]
        w = w * rng.exponential(size=len(w))[:, None]
        orientations, lines = clusters(w), clusters(w, signed=False)
        assert orientations.number.value == 8
        assert orientations.sizes.tolist() == list(range(10, 2, -1))
        assert lines.number.value == 4
        assert lines.sizes.tolist() == [16, 14, 12, 10]
        assert effective_ratio(w).value == pytest.approx(8 / len(w))
        assert effective_ratio(w, signed=False).error == 0
        assert effective_ratio(w, signed=False).value == pytest.approx(4 / len(w))

    def test_a_chain_is_one_cluster(self):
        angles = np.linspace(0, np.pi, 20)
        w = np.column_stack([np.cos(angles), np.sin(angles)])
        assert clusters(w).number.value == 1
        assert effective_ratio(w).low > 1 / 20

    def test_small_neurons_are_left_out(self):
        w = np.array([[1.0, 0.0], [0.0, 1e-4], [2.0, 0.0], [0.0, 0.0]])
        found = clusters(w, least=1e-2)
        assert found.labels.tolist() == [0, -1, 0, -1]
        assert found.shares.tolist() == [pytest.approx(3 / 3.0001)]
        other = clusters(w[:3], amplitudes=np.array([1.0, 5.0, 0.0]), least=0.1)
        assert other.labels.tolist() == [0, 1, -1]
        assert other.shares.tolist() == pytest.approx([1 / 6, 5 / 6])
        with pytest.raises(DataError, match="zero row"):
            clusters(w)

    def test_blocks_change_nothing(self, monkeypatch):
        w = layer(5, m=101, spread=0.3)
        whole, ratio = clusters(w), effective_ratio(w)
        monkeypatch.setattr("flowtheory.measure.similarity._BLOCK_ENTRIES", 700)
        pieces = clusters(w)
        np.testing.assert_array_equal(whole.labels, pieces.labels)
        assert effective_ratio(w) == ratio

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 10**6), st.floats(0.5, 0.99), st.booleans())
    def test_invariances(self, seed, threshold, signed):
        rng = np.random.default_rng(seed)
        w = layer(seed, m=25, spread=0.2)
        turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
        shuffle = rng.permutation(25)
        flips = np.ones(25) if signed else rng.choice([-1.0, 1.0], 25)
        other = ((rng.exponential(size=25) * flips)[:, None] * (w @ turn))[shuffle]
        one = clusters(w, threshold=threshold, signed=signed)
        two = clusters(other, threshold=threshold, signed=signed)
        unshuffled = np.empty(25, dtype=int)
        unshuffled[shuffle] = two.labels
        assert partition(one.labels) == partition(unshuffled)
        np.testing.assert_array_equal(one.sizes, two.sizes)
        assert one.sizes.sum() == 25
        assert one.shares.sum() == pytest.approx(1.0)

    def test_bad_input(self):
        w = layer(0)
        for wrong in ({"threshold": 1.0}, {"threshold": 0.0}, {"least": 1.1}, {"least": -0.1}):
            with pytest.raises(ParameterError):
                clusters(w, **wrong)
        for amplitudes in (np.ones(3), -np.ones(40), np.zeros(40)):
            with pytest.raises(DataError):
                clusters(w, amplitudes=amplitudes)
        with pytest.raises(ParameterError):
            effective_ratio(w, threshold=1.5)


def least_cover(angles: np.ndarray, width: float, period: float) -> int:
    """The least number of open arcs of a width that cover points of a circle: try every start."""
    points = np.sort(angles % period)
    best = len(points)
    for first in range(len(points)):
        turned = np.sort((points - points[first]) % period)
        number, end = 0, -1.0
        for point in turned:
            if point > end:
                number, end = number + 1, point + width * (1 - 1e-12)
        best = min(best, number)
    return best


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.floats(-3.14, 3.14), min_size=1, max_size=12), st.floats(0.75, 0.99), st.booleans()
)
def test_the_exact_cover_of_the_plane_is_enclosed(angles, threshold, signed):
    angles = np.array(angles)
    w = np.column_stack([np.cos(angles), np.sin(angles)])
    found = effective_ratio(w, threshold=threshold, signed=signed)
    exact = least_cover(angles, 2 * np.arccos(threshold), 2 * np.pi if signed else np.pi)
    assert found.low - 1e-12 <= exact / len(angles) <= found.high + 1e-12


def test_many_neurons_in_blocks():
    """Condensed and scattered layers of 4,000 neurons; no loop over pairs would end."""
    condensed = layer(0, m=4000, dim=10, groups=6, spread=1e-3)
    assert clusters(condensed).number.value == 12
    assert effective_ratio(condensed).value == 12 / 4000
    assert effective_ratio(condensed).error == 0
    scattered = np.random.default_rng(0).standard_normal((4000, 60))
    assert clusters(scattered, threshold=0.9).number.value == 4000
    assert cosine_matrix(condensed).matrix.shape == (4000, 4000)
