"""The law's formulas against the engine's spectra, published numbers and second differences."""

from itertools import pairwise

import numpy as np
import pytest

from flowtheory.laws.frames import orthogonal, random_frames, regauged
from flowtheory.laws.hessian_at_saddles import WRONG_MODE, L, Saddle, _linearized, drop, keep
from flowtheory.symbolic import deep_linear_saddle


def product(layers):
    out = layers[0]
    for layer in layers[1:]:
        out = layer @ out
    return out


@pytest.mark.parametrize("depth", [3, 4, 5, 8])
def test_the_rate_of_a_wrong_mode_is_the_engines(depth):
    spectrum = deep_linear_saddle(depth, [1.5], [2], width=3, inputs=2, outputs=2)
    largest = max(float(rate) for rate, _ in spectrum.parts)
    claimed = WRONG_MODE.subs({L: depth, keep: 1.5, drop: 2})
    assert float(claimed) == pytest.approx(-largest, rel=1e-14)


def linearized(depth, strengths, kept, seed=0):
    sizes = (len(strengths), *[len(strengths) + 1] * (depth - 1), len(strengths))
    frames = random_frames(sizes, np.random.default_rng(seed))
    saddle = Saddle(strengths, kept, frames)
    return _linearized(frames.moment(strengths), saddle.layers())


def test_published_numbers_in_rotated_frames():
    """Claims C23 and C32: diag(2, 1, .4), and 1.5 kept of diag(2, 1.5)."""
    two = [linearized(2, (2.0, 1.0, 0.4), kept)[0] for kept in ((0,), (1,), (0, 1))]
    np.testing.assert_allclose(two, [-1.0, -2.0, -0.4], atol=1e-13)
    three = [linearized(3, (2.0, 1.0, 0.4), kept)[0] for kept in ((0,), (0, 1), (1,))]
    np.testing.assert_allclose(three, [0.0, 0.0, -1.0], atol=1e-13)
    assert linearized(3, (2.0, 1.5), (1,))[0] == pytest.approx(-0.572357, abs=5e-7)
    assert linearized(4, (2.0, 1.5), (1,))[0] == pytest.approx(-0.612372, abs=5e-7)


def test_the_least_eigenvalue_by_second_differences():
    """Another way to the Hessian: the loss is a polynomial of degree 6, differenced in NumPy."""
    rng = np.random.default_rng(1)
    frames = random_frames((2, 3, 3, 2), rng)
    saddle = Saddle((2.0, 1.5), (1,), frames)
    moment, layers = frames.moment(saddle.strengths), saddle.layers()
    shapes, flat = [w.shape for w in layers], np.concatenate([w.ravel() for w in layers])
    ends = np.cumsum([a * b for a, b in shapes])[:-1]

    def loss(at):
        parts = [p.reshape(s) for p, s in zip(np.split(at, ends), shapes, strict=True)]
        return 0.5 * np.sum((product(parts) - moment) ** 2)

    step, n = 1e-3, flat.size
    units = step * np.eye(n)
    hessian = np.array([
        [
            loss(flat + a + b) - loss(flat + a - b) - loss(flat - a + b) + loss(flat - a - b)
            for b in units
        ]
        for a in units
    ]) / (4 * step**2)  # fmt: skip
    least = np.linalg.eigvalsh(hessian)[0]
    assert least == pytest.approx(_linearized(moment, layers)[0], abs=1e-5)


def test_frames_are_orthogonal_and_gauges_keep_the_product():
    rng = np.random.default_rng(2)
    q = orthogonal(5, rng)
    np.testing.assert_allclose(q.T @ q, np.eye(5), atol=1e-14)
    frames = random_frames((3, 4, 4, 3), rng)
    layers = frames.layers([1.0, 0.5])
    np.testing.assert_allclose(product(layers), frames.moment([1.0, 0.125]), atol=1e-14)
    for below, above in pairwise(layers):
        np.testing.assert_allclose(above.T @ above, below @ below.T, atol=1e-14)
    other = regauged(layers, rng)
    np.testing.assert_allclose(product(other), product(layers), atol=1e-13)
    assert np.abs(other[1].T @ other[1] - other[0] @ other[0].T).max() > 0.1
