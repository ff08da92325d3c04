"""Deflation against closed forms, another deflation, and the exact flow."""

import numpy as np
import pytest

from flowtheory.engine.gradient_flow import GradientFlow
from flowtheory.laws.deflate_and_restart import _times, leading, second_time, without_top
from flowtheory.symbolic import matrix_factorization

MOMENT = np.diag([2.0, 1.0])
NAMES = [str(base) for base in matrix_factorization(3).bases]


def gaussian(seed):
    rng = np.random.default_rng(seed)
    shapes = ((4, 2), (4, 4), (2, 4))
    return {name: rng.standard_normal(s) for name, s in zip(NAMES, shapes, strict=True)}


def test_aligned_balanced_modes_have_the_closed_form():
    """T_1* = 1/(s_1 w), T_2* = (1/s_2 - 1/s_1)/w for three layers of gain w."""
    eye = 0.3 * np.eye(4)
    start = dict(zip(NAMES, (eye[:, :2], eye, eye[:2]), strict=True))
    first, second = second_time(start, MOMENT)
    assert first == pytest.approx(1 / 0.6, rel=1e-10)
    assert second == pytest.approx(0.5 / 0.3, rel=1e-6)


def test_the_layers_without_their_top_triple():
    start = gaussian(1)
    left = without_top(start)
    for name, matrix in start.items():
        values = np.linalg.svd(matrix, compute_uv=False)
        found = np.linalg.svd(left[name], compute_uv=False)
        np.testing.assert_allclose(found[:-1], values[1:], atol=1e-12)
        assert found[-1] < 1e-12


def images(layers):
    """Another deflation: the block orthogonal to the images of the top direction of M."""
    frames = [np.array([1.0, 0.0])]
    for name in NAMES[:-1]:
        image = layers[name] @ frames[-1]
        frames.append(image / np.linalg.norm(image))
    frames.append(np.array([1.0, 0.0]))
    found = {}
    for name, below, above in zip(NAMES, frames[:-1], frames[1:], strict=True):
        matrix = layers[name] - np.outer(above, above @ layers[name])
        found[name] = matrix - np.outer(matrix @ below, below)
    return found


def test_the_exact_flow_and_another_deflation():
    """Claim C16 at a start of our own: eps (T_2 - T_1) -> T_2*, linearly in eps."""
    start = gaussian(0)
    first, second = second_time(start, MOMENT)
    assert second_time(start, MOMENT, images)[1] == pytest.approx(second, rel=1e-6)
    flow = GradientFlow(matrix_factorization(3), "half_square", y=MOMENT)
    scaled = []
    for eps in (2e-3, 1e-3):
        times, _ = _times(flow, (2.0, 1.0), {n: eps * w for n, w in start.items()})
        scaled.append((eps * times[0], eps * (times[1] - times[0])))
    one, two = (2 * small - large for large, small in zip(*scaled, strict=True))
    assert one == pytest.approx(first, rel=1e-5)
    assert two == pytest.approx(second, rel=1e-5)
    again = leading(3)(start, {"y": np.diag([0.0, 1.0])}).blow_up_time.estimate
    assert abs(again / second - 1) > 0.1
