"""The plateau and the map against an integration in NumPy that knows nothing of the engine."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from flowtheory.laws.relu_linear_plateau import FACTOR, GAIN, LAW, alpha, derive

RNG = np.random.default_rng(4)
HALF = RNG.standard_normal((3, 2))
X = np.vstack([HALF, -HALF])
Y = np.concatenate([t := HALF @ [1.0, 0.6] + 0.3 * np.sin(2 * HALF[:, 0]), -t])
Z = float(np.linalg.norm(X.T @ Y) / len(Y))


def _integrate(start, a, t_end, *, level=None):
    """W and v, and the time, at the end of the flow with slope `a` or at a level of the loss."""
    shape = start[0].shape

    def split(theta):
        return theta[: math.prod(shape)].reshape(shape), theta[math.prod(shape) :]

    def outputs(theta):
        W, v = split(theta)
        u = X @ W.T
        return u, np.where(u > 0, u, a * u) @ v

    def rate(t, theta):
        _, v = split(theta)
        u, f = outputs(theta)
        r = (Y - f) / len(Y)
        slope = np.where(u > 0, 1.0, a)
        dW = ((r[:, None] * slope).T @ X) * v[:, None]
        return np.concatenate([dW.ravel(), r @ np.where(u > 0, u, a * u)])

    events = None
    if level is not None:

        def passed(t, theta):
            return 0.5 * np.mean((Y - outputs(theta)[1]) ** 2) - level

        passed.terminal = True
        events = passed
    theta = np.concatenate([start[0].ravel(), start[1]])
    run = solve_ivp(rate, (0, t_end), theta, method="DOP853", rtol=1e-11, atol=1e-16, events=events)
    return split(run.y[:, -1]), float(run.t[-1])


def test_the_slope_that_is_seen_and_the_factor_of_the_weights():
    assert GAIN.subs(alpha, 0) == sp.Rational(1, 2)
    assert GAIN.subs(alpha, 1) == 1
    assert FACTOR.subs(alpha, 0) == sp.sqrt(2)
    assert sp.simplify(FACTOR**2 * GAIN) == 1


@pytest.mark.parametrize("a", [0.0, 0.3])
def test_paired_neurons_follow_the_linear_network(a):
    W, v = RNG.standard_normal((2, 2)), RNG.standard_normal(2)
    pair = (np.vstack([W, -W]) * 0.4, np.concatenate([v, -v]) * 0.4)
    c, g = float(FACTOR.subs(alpha, a)), float(GAIN.subs(alpha, a))
    (W_relu, v_relu), _ = _integrate((c * pair[0], c * pair[1]), a, 3.0)
    (W_lin, v_lin), _ = _integrate(pair, 1.0, 3.0 * g)
    assert np.allclose(W_relu, c * W_lin, atol=2e-10)
    assert np.allclose(v_relu, c * v_lin, atol=2e-10)


def test_the_plateau_of_random_neurons_is_twice_the_linear_one():
    """Claim of the literature's reproduction: slopes times |z| are 1 and 2 (2.00009 there)."""
    W, v = RNG.standard_normal((3, 2)), RNG.standard_normal(3)
    level = 0.45 * float(np.mean(Y**2))
    slopes = []
    for a in (1.0, 0.0):
        times = [_integrate((s * W, s * v), a, 500.0, level=level)[1] for s in (1e-4, 1e-6)]
        slopes.append((times[1] - times[0]) / math.log(100.0) * Z)
    assert slopes == pytest.approx([1.0, 2.0], rel=1e-4)


def test_the_rate_is_the_spectrum_of_the_linear_network():
    rate = derive()["linear rate"].rhs
    (squares,) = rate.atoms(sp.Sum)
    assert rate.subs(squares, sp.Symbol("S", positive=True)).has(
        sp.sqrt(sp.Symbol("S", positive=True))
    )
    assert LAW.statements[0].role == "published"
