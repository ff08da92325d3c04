"""The constant of wide layers: by the semicircle law, its symmetry, and plain random matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from flowtheory.laws.blow_up_width import LAW, _start, derive, limit, limit_start
from flowtheory.laws.starts import Drive


def test_the_constant_by_the_semicircle_law():
    """x' = S x, S' = x x^T from Gauss nodes and weights of the semicircle, by SciPy."""
    count = 24
    angles = np.pi * np.arange(1, count + 1) / (count + 1)
    x = np.sqrt(2 / (count + 1)) * np.sin(angles)
    flat = np.concatenate([x, np.diag(2 * np.cos(angles)).ravel()])

    def rate(_, state):
        x, S = state[:count], state[count:].reshape(count, count)
        return np.concatenate([S @ x, np.outer(x, x).ravel()])

    def far(_, state):
        return np.linalg.norm(state[:count]) - 1e5

    setattr(far, "terminal", True)  # noqa: B010  (how solve_ivp takes its options)
    run = solve_ivp(rate, (0, 2), flat, "DOP853", events=far, rtol=1e-12, atol=1e-13)
    # From there |x| = 1/(T - t).
    assert limit(1.0) == pytest.approx(run.t[-1] + 1e-5, rel=1e-9)
    assert limit(1.0) == pytest.approx(1.16797277107, abs=1e-11)


def test_turned_round_it_is_the_same():
    for aspect in (2.0, 4.0, 16.0):
        assert limit(aspect) == pytest.approx(limit(1 / aspect), rel=1e-11)
    assert limit(1.0) > limit(2.0) > limit(4.0) > limit(16.0)


def test_the_limit_start_has_the_gram_moments_of_a_gaussian_matrix():
    """c^T (W^T W)^k c and a^T (W W^T)^k a, in units of m_1: the moments of Marchenko and Pastur."""
    aspect, first = 4.0, 400
    c, W, a = limit_start(aspect)
    rng = np.random.default_rng(0)
    drive = Drive.random(3, 1.0, rng)
    start = _start(drive, first, int(aspect * first), rng)
    wide = start["W2"] / np.sqrt(first)
    u, v = start["W1"] @ drive.direction / np.sqrt(first), start["v"] / np.sqrt(first)
    for power in (0, 1, 2, 3):
        short = np.linalg.matrix_power(W.T @ W, power)
        long = np.linalg.matrix_power(wide.T @ wide, power)
        assert u @ long @ u == pytest.approx(c @ short @ c, rel=0.3)
        short = np.linalg.matrix_power(W @ W.T, power)
        long = np.linalg.matrix_power(wide @ wide.T, power)
        assert v @ long @ v == pytest.approx(a @ short @ a, rel=0.3)
    # Exactly: the first moment is the ratio, the second the ratio times (1 + ratio).
    square = W.T @ W
    assert c @ square @ c == pytest.approx(aspect)
    assert c @ square @ square @ c == pytest.approx(aspect * (1 + aspect))


def test_the_derivation_and_its_bound():
    lines = derive()
    assert len(lines) > 5
    wrong = {claim.name: claim.alternatives for claim in LAW.claims}
    assert set(wrong["square layers: the limit"]) >= {"1.21 in place of 1.168"}
