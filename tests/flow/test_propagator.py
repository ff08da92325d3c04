"""The closed form of a linear symmetric flow, against SciPy's matrix exponential and mpmath."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from scipy.linalg import expm

from flowtheory.flow.propagator import LONGEST, propagator
from flowtheory.flow.propagators import propagators


def symmetric(n: int, rank: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    rates = np.zeros(n)
    rates[:rank] = rng.standard_normal(rank)
    return (q * rates) @ q.T


@pytest.mark.parametrize(("n", "rank"), [(3, 3), (40, 5), (60, 1)])
def test_against_the_matrix_exponential(n: int, rank: int) -> None:
    M, start = symmetric(n, rank, rank), np.random.default_rng(0).standard_normal(n)
    found = propagator(lambda v: M @ v, start)
    assert found.closed
    assert len(found.rates) <= rank + 1
    for t in (0.0, 0.3, 4.0):
        np.testing.assert_allclose(found.at(t), expm(t * M) @ start, atol=1e-12 * math.exp(3 * t))
        expected = math.log(np.linalg.norm(expm(t * M) @ start))
        assert found.log_norm(t) == pytest.approx(expected, abs=1e-11)


def test_from_1e_minus_300_to_order_one() -> None:
    # theta = (a, w), rate s: e^{st}(a+w)/2 and e^{-st}(a-w)/2 along the diagonals.
    s, start = 0.37, 1e-300 * np.array([3.0, 1.0])
    found = propagator(lambda v: s * v[::-1], start)
    assert found.rate == pytest.approx(s, rel=1e-15)
    t = found.time_of(0.0)
    with mpmath.workdps(40):
        exact = mpmath.log(mpmath.mpf(1) / (mpmath.mpf(2e-300) * mpmath.sqrt(2))) / s
        assert t == pytest.approx(float(exact), rel=1e-14)
    np.testing.assert_allclose(found.at(t), np.sqrt([0.5, 0.5]), rtol=1e-12)


def test_the_last_passage_of_a_norm_that_falls_first() -> None:
    # cosh-like: |theta|^2 = e^{2t}*1e-6 + e^{-2t} falls until t = ln(1e6)/4.
    found = propagator(lambda v: v * np.array([1.0, -1.0]), np.array([1e-3, 1.0]))
    t = found.time_of(math.log(0.5))
    assert 1e-6 * math.exp(2 * t) + math.exp(-2 * t) == pytest.approx(0.25, rel=1e-12)
    assert t > math.log(1e6) / 4
    early = propagator(lambda v: v * np.array([1.0, -1.0]), np.array([1e-3, 1e3]))
    assert early.time_of(math.log(0.5)) > math.log(1e12) / 4


def test_no_growth_and_a_space_that_does_not_close() -> None:
    decaying = propagator(lambda v: -v, np.ones(4))
    assert decaying.time_of(0.0) == math.inf
    n = 3 * LONGEST
    spread = propagator(lambda v: np.linspace(-1, 1, n) * v, np.ones(n))
    assert not spread.closed


def test_a_mode_below_roundoff_is_seen() -> None:
    # Rates 1 and 1/2 with equal shares: the slower one has e^{-t/2} of the norm at time t.
    found = propagator(lambda v: v * np.array([1.0, 0.5]), np.array([1.0, 1.0]))
    assert found.dormant(60.0) == pytest.approx(math.exp(-30.0), rel=1e-12)
    assert propagator(lambda v: v * np.array([1.0, -0.5]), np.ones(2)).dormant(60.0) == 1.0


def test_many_at_once_are_each_as_alone() -> None:
    # Spaces that close after different counts, one that never grows, one below every square.
    n = 12
    matrices = [symmetric(n, 5, 1), symmetric(n, 1, 2), -np.eye(n), symmetric(n, 3, 3)]
    starts = np.random.default_rng(0).standard_normal((4, n))
    starts *= np.array([1.0, 1e-12, 1.0, 1e-300])[:, None]
    found = propagators(
        lambda v: np.stack([M @ a for M, a in zip(matrices, v, strict=True)]), starts
    )
    assert found.closed.all()
    levels = found.log_sizes + 5.0
    t, at = found.time_of(levels), found.at(np.array([0.3, 4.0, 0.5, 1.0]))
    for i, (M, t_i) in enumerate(zip(matrices, (0.3, 4.0, 0.5, 1.0), strict=True)):
        alone = propagator(lambda v, M=M: M @ v, starts[i])
        np.testing.assert_allclose(at[i], expm(t_i * M) @ starts[i], rtol=1e-11)
        if alone.rate > 0:
            assert found.rate[i] == pytest.approx(alone.rate, rel=1e-13)
            assert t[i] == pytest.approx(alone.time_of(levels[i]), rel=1e-13)
        else:
            assert t[i] == np.inf
