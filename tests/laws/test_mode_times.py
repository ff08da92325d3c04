"""The times of modes against closed forms, in other frames, and published slopes."""

import numpy as np
import pytest

from flowtheory.engine.gradient_flow import GradientFlow
from flowtheory.laws.frames import orthogonal
from flowtheory.laws.mode_times import amplitudes, mode_times
from flowtheory.symbolic import matrix_factorization

STRENGTHS = np.array([3.0, 1.5, 0.5])


@pytest.fixture(scope="module")
def flow():
    return GradientFlow(matrix_factorization(2), "half_square", y=np.diag(STRENGTHS))


def test_aligned_modes_take_the_closed_form(flow):
    """Rows in orthogonal directions do not interact: u' = 2 u (s - u), logistic."""
    eps = 1e-60
    rows = eps * np.eye(3, 4)
    found, error = mode_times(flow, STRENGTHS, {"W": rows.T, "V": rows})
    np.testing.assert_allclose(
        found, np.log((STRENGTHS - eps**2) / eps**2) / (2 * STRENGTHS), atol=1e-9 + error
    )


def test_published_slopes(flow):
    """Claim C14: slopes 1/3, 2/3, 2 of the times, 1/3 and 4/3 of the plateaus."""
    rng = np.random.default_rng(4)
    A, B = (rng.standard_normal((3, 4)) for _ in "AB")
    start = {"W": A.T, "V": B}
    first, second = (
        np.array(mode_times(flow, STRENGTHS, {n: eps * d for n, d in start.items()})[0])
        for eps in (1e-8, 1e-20)
    )
    slopes = (second - first) / np.log(1e12)
    np.testing.assert_allclose(slopes, 1 / STRENGTHS, rtol=2e-6)
    np.testing.assert_allclose(np.diff(slopes), [1 / 3, 4 / 3], rtol=5e-6)


def test_rotated_frames_take_the_same_times(flow):
    rng = np.random.default_rng(5)
    left, right = orthogonal(3, rng), orthogonal(3, rng)
    A, B = (1e-3 * rng.standard_normal((3, 4)) for _ in "AB")
    ours, _ = mode_times(flow, STRENGTHS, {"W": A.T, "V": B})
    moment = left @ np.diag(STRENGTHS) @ right.T
    built_in = GradientFlow(matrix_factorization(2), "half_square", y=moment)
    start = {"W": A.T @ right.T, "V": left @ B}
    theirs, error = mode_times(built_in, STRENGTHS, start)
    np.testing.assert_allclose(theirs, ours, atol=1e-8 + error)


def test_amplitudes_are_lengths_of_projections():
    rng = np.random.default_rng(6)
    A, B = rng.standard_normal((2, 3, 5))
    sums = (A + B) / 2
    before = sums[:2].T
    project = np.eye(5) - before @ np.linalg.pinv(before)
    assert amplitudes(A, B)[2] == pytest.approx(np.linalg.norm(project @ sums[2]), rel=1e-12)
    assert amplitudes(A, B)[0] == pytest.approx(np.linalg.norm(sums[0]), rel=1e-12)
