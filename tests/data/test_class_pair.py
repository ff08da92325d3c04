"""Class pairs of image sets, and the bundled digits."""

import subprocess
import sys

import numpy as np
import pytest

from flowtheory.data import class_pair, digits, load_digits, separable_subset
from flowtheory.errors import DataError, ParameterError


def test_digits_are_complete_and_scaled():
    images, labels = load_digits()
    assert images.shape == (1797, 64)
    assert (images.min(), images.max()) == (0, 1)
    assert np.unique(images * 16).tolist() == list(range(17))
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_pair_zero_one_is_centred_by_default():
    data = digits()
    assert (data.n, data.n_plus, data.n_minus, data.dimension) == (360, 178, 182, 64)
    np.testing.assert_allclose(data.x_plus, -data.x_minus, atol=1e-12)
    assert np.ptp(data.x, axis=0).max() == 1
    assert (data.name, data.provenance) == (
        "digits 0/1",
        "digits, class 0 (+1) and class 1 (-1), centred",
    )


def test_centring_subtracts_one_vector_and_nothing_else():
    raw, centred = digits(3, 8, centre=False), digits(3, 8)
    np.testing.assert_array_equal(raw.y, centred.y)
    shift = raw.x - centred.x
    np.testing.assert_allclose(shift, np.tile(raw.x.mean(axis=0), (raw.n, 1)), atol=1e-15)
    assert raw.x.min() == 0


def test_normalised_rows_have_unit_norm_and_the_same_cosines():
    data, unit = digits(), digits(normalise=True)
    np.testing.assert_allclose(unit.norms, 1.0, rtol=1e-15)
    assert abs(unit.mu - data.mu) < 1e-14
    assert unit.provenance.endswith("centred, unit norm")


def test_swapping_the_classes_flips_the_labels():
    one, other = digits(0, 1), digits(1, 0)
    np.testing.assert_array_equal(one.x, other.x)
    np.testing.assert_array_equal(one.y, -other.y)


def test_centred_digits_violate_assumption_1_and_a_subset_satisfies_it():
    data = digits()
    assert abs(data.mu + 0.7178) < 1e-4
    assert abs(data.violating_fraction - 0.0669) < 1e-4
    sizes = []
    for mu in (0.05, 0.1, 0.2):
        subset = separable_subset(data, mu)
        assert subset.satisfies_assumption_1
        assert mu <= subset.mu < mu + 0.01
        sizes.append(subset.n)
    assert sizes == [247, 231, 212]


def test_equal_images_are_zero_after_centring():
    # 0.1 summed and divided again leaves a rounding error, which is not a direction.
    images = np.full((7, 3), 0.1)
    with pytest.raises(DataError, match=r"x\[0\] is the zero vector \(7 such"):
        class_pair(images, np.array([0, 1, 0, 1, 0, 1, 1]), 0, 1)


def test_blank_images_are_named():
    images = np.array([[1.0, 0], [0, 0], [0, 1]])
    for normalise in (False, True):
        with pytest.raises(DataError, match=r"x\[1\] is the zero vector"):
            class_pair(images, np.array([0, 1, 1]), 0, 1, centre=False, normalise=normalise)


def test_options_outside_their_domain_are_rejected():
    images, labels = np.eye(4), np.array([0, 0, 1, 2])
    with pytest.raises(ParameterError, match="both classes are 1"):
        class_pair(images, labels, 1, 1)
    with pytest.raises(DataError, match="no image has class 7") as info:
        class_pair(images, labels, 0, 7)
    assert info.value.expected == "a class that occurs: [0, 1, 2]"
    with pytest.raises(DataError, match=r"images have shape \(4, 2, 2\)"):
        class_pair(np.ones((4, 2, 2)), labels, 0, 1)
    with pytest.raises(DataError, match=r"labels \(3,\)"):
        class_pair(images, labels[:3], 0, 1)
    with pytest.raises(DataError, match="images has 1 non-finite"):
        class_pair(np.array([[np.nan], [1.0]]), np.array([0, 1]), 0, 1)


def test_importing_the_room_does_not_load_scikit_learn():
    code = "import sys, flowtheory.data; print('sklearn' in sys.modules, 'jax' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "False"]
