"""The law's formulas against NumPy: back-propagation by hand, and second differences in time."""

import numpy as np
import pytest
import sympy as sp

from flowtheory.laws.balancedness import (
    RATE,
    L,
    effective_rank,
    end_to_end,
    plateau_level,
    sigma,
    slope,
    strengths,
    tanh_drift,
)
from flowtheory.laws.frames import random_frames
from flowtheory.lower import lower
from flowtheory.precision import float64
from flowtheory.symbolic import fully_connected


def test_the_identity_for_tanh_by_hand():
    """Claim C24: the rate of |W_2|^2 - |W_1|^2 by back-propagation in NumPy, to rounding."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((5, 3)), rng.standard_normal(5)
    W1, W2, v = rng.standard_normal((4, 3)), rng.standard_normal((2, 4)), rng.standard_normal(2)
    z1 = x @ W1.T
    z2 = np.tanh(z1) @ W2.T
    error = np.tanh(z2) @ v - y
    d2 = np.outer(error, v) / np.cosh(z2) ** 2
    g1 = d2 @ W2
    d1 = g1 / np.cosh(z1) ** 2
    measured = -2 * np.sum(W2 * (d2.T @ np.tanh(z1))) + 2 * np.sum(W1 * (d1.T @ x))
    defect = np.sum(g1 * (np.tanh(z1) - z1 / np.cosh(z1) ** 2))
    assert measured == pytest.approx(-2 * defect, rel=1e-12)
    network = fully_connected(3, "tanh")
    with float64():
        ours = float(lower(tanh_drift(1), (*network.bases, *network.data))(W1, W2, v, x, y))
    assert ours == pytest.approx(measured, rel=1e-12)


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_rates_of_singular_values_by_a_small_step(depth):
    rng = np.random.default_rng(depth)
    layers = random_frames((3, *[4] * (depth - 1), 3), rng).layers((1.1, 0.8, 0.5))
    moment = rng.standard_normal((3, 3))
    product = end_to_end(layers)

    def after(step):
        moved = []
        for m, layer in enumerate(layers):
            above = end_to_end([np.eye(len(layer)), *layers[m + 1 :]])
            below = end_to_end([np.eye(3), *layers[:m]])
            moved.append(layer - step * above.T @ (product - moment) @ below.T)
        return np.linalg.svd(end_to_end(moved), compute_uv=False)

    found = (after(1e-5) - after(-1e-5)) / 2e-5
    u, values, vt = np.linalg.svd(product)
    for r in range(3):
        g = u[:, r] @ (product - moment) @ vt[r]
        claimed = float(RATE.subs({L: depth, sigma: values[r], slope: g}))
        assert found[r] == pytest.approx(claimed, rel=1e-7, abs=1e-9)


def test_levels_and_ranks():
    at = dict(zip(strengths, (2, 1, 1), strict=True))
    assert [plateau_level(r).subs(at) for r in range(4)] == [3, 1, sp.Rational(1, 2), 0]
    assert effective_rank(1).subs(at) == 1
    equal = dict.fromkeys(strengths, sp.Integer(2))
    assert sp.simplify(effective_rank(3).subs(equal)) == 3
