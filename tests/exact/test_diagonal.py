"""Jumps of diagonal linear networks against exact rationals and against an integration."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from flowtheory.errors import DataError
from flowtheory.exact import diagonal_jumps


def _least_squares(x, y, signs):
    """The exact constrained minimizer: all supports are tried, the best feasible one wins."""
    best, value = None, None
    on = [i for i, s in enumerate(signs) if s]
    for pattern in product((False, True), repeat=len(on)):
        support = [i for i, used in zip(on, pattern, strict=True) if used]
        beta = [sp.Integer(0)] * x.shape[1]
        if support:
            columns = x[:, support]
            solution = (columns.T * columns).LUsolve(columns.T * y)
            for i, b in zip(support, solution, strict=True):
                beta[i] = b
        if any(b * s < 0 for b, s in zip(beta, signs, strict=True)):
            continue
        error = y - x * sp.Matrix(beta)
        loss = (error.T * error)[0]
        if value is None or loss < value:
            best, value = beta, loss
    return best


def _exact(x, y):
    """The same path, every number a rational."""
    n, D = x.shape
    S, slope, now = [sp.Integer(0)] * D, list(x.T * y / n), sp.Integer(0)
    times, betas = [], []
    while True:
        left = {
            i: (1 - S[i] * sp.sign(slope[i])) / abs(slope[i])
            for i in range(D)
            if slope[i] != 0 and S[i] * sp.sign(slope[i]) < 1
        }
        if not left:
            return times, betas
        step = min(left.values())
        S = [s + step * g for s, g in zip(S, slope, strict=True)]
        S = [max(min(s, sp.Integer(1)), sp.Integer(-1)) for s in S]
        now += step
        beta = _least_squares(x, y, [s if abs(s) == 1 else sp.Integer(0) for s in S])
        slope = list(x.T * (y - x * sp.Matrix(beta)) / n)
        times.append(now)
        betas.append(beta)


@pytest.mark.parametrize("seed", range(6))
def test_the_path_is_that_of_exact_rationals(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(-6, 7, (6, 4)), rng.integers(-6, 7, 6)
    times, betas = _exact(sp.Matrix(x), sp.Matrix(y))
    found = diagonal_jumps(x, y)
    assert np.allclose(found.times, np.array(times, dtype=float), rtol=1e-12)
    assert np.allclose(found.coefficients[1:], np.array(betas, dtype=float), rtol=1e-11, atol=1e-13)


def test_some_of_these_paths_put_a_coordinate_back_to_zero():
    leaves = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        found = diagonal_jumps(rng.integers(-6, 7, (6, 4)), rng.integers(-6, 7, 6))
        on = np.abs(found.coefficients) > 1e-9
        leaves += bool(np.any(on[:-1] & ~on[1:]))
    assert leaves >= 1


def test_orthogonal_columns_jump_one_by_one_at_one_over_their_moment():
    x = np.vstack([np.eye(3), -np.eye(3)])
    y = np.array([3.0, -2.0, 1.0, -3.0, 2.0, -1.0])
    found = diagonal_jumps(x, y)
    assert np.allclose(found.times, [1.0, 3 / 2, 3.0], rtol=1e-14)
    assert np.allclose(found.coefficients[-1], [3.0, -2.0, 1.0], rtol=1e-14)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_rest_satisfies_its_optimality_conditions_and_losses_fall(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((5, 8)), rng.standard_normal(5)
    found = diagonal_jumps(x, y)
    for beta, slope, S in zip(
        found.coefficients[1:], found.slopes[1:], found.integrals, strict=True
    ):
        exact = x.T @ (y - x @ beta) / 5
        assert np.abs(exact[beta != 0]).max() < 1e-13
        assert np.allclose(exact, slope, atol=1e-13)
        assert np.all(beta * S >= 0)
        held = np.abs(S) == 1
        assert np.all((slope * S)[held] <= 1e-13)
        assert np.all(beta[~held] == 0)
    assert np.all(np.diff(found.losses) < 0)
    # More columns than rows: it ends at an interpolator.
    assert found.losses[-1] < 1e-25


def test_the_flow_of_a_tiny_start_approaches_the_path():
    """An independent integration of S with a start of 1e-40."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((8, 3))
    y = x @ np.array([1.5, -1.0, 0.4])
    found = diagonal_jumps(x, y)
    log_alpha = -40 * np.log(10)

    def beta(S):
        size = np.minimum(np.abs(2 * S) + 2 * log_alpha, 50.0)  # trial steps overflow
        return np.sign(S) * (np.exp(size) - np.exp(2 * log_alpha - np.abs(2 * S))) / 2

    middle = (found.times[1:] + found.times[:-1]) / 2 * -log_alpha
    ends = np.append(middle, (found.times[-1] + 2.0) * -log_alpha)
    run = solve_ivp(
        lambda t, S: x.T @ (y - x @ beta(S)) / 8,
        (0, ends[-1]),
        np.zeros(3),
        method="LSODA",
        t_eval=ends,
        rtol=1e-9,
        atol=1e-9,
    )
    for S, rest in zip(run.y.T, found.coefficients[1:], strict=True):
        assert np.allclose(beta(S), rest, atol=1e-6)


def test_no_data_no_jumps_and_bad_data_are_refused():
    assert diagonal_jumps(np.ones((3, 2)), np.zeros(3)).times.size == 0
    with pytest.raises(DataError, match="shape"):
        diagonal_jumps(np.ones((3, 2)), np.zeros(2))
    with pytest.raises(DataError, match="rank"):
        diagonal_jumps(np.ones((3, 2)), np.ones(3))
