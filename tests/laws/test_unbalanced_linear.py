"""Closed forms against an independent integrator, their limits, and published times."""

import mpmath
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from flowtheory.laws import deep_linear_time as chain
from flowtheory.laws.unbalanced_linear import (
    BALANCED,
    LEADING_INTEGRAL,
    RICCATI,
    TIME_INTEGRAL,
    delta,
    mu_0,
    mu_f,
    passage,
    s,
)
from flowtheory.lower import numeric

TIME = numeric(RICCATI, [s, delta, mu_0, mu_f])


def integrated(gains, strength, end):
    """Time until the product is `end`, by SciPy."""

    def field(_, x):
        product = np.prod(x)
        return (strength - product) * product / x

    def reached(_, x):
        return np.prod(x) - end

    reached.terminal = True
    run = solve_ivp(field, (0, 1e6), gains, method="DOP853", events=reached, rtol=1e-12, atol=1e-15)
    return float(run.t_events[0][0])


def test_published_times():
    """Claim C18: from 1e-6 to s/2 at s = 1.4, by imbalance."""
    found = [float(TIME(1.4, gap, 1e-6, 0.7)) for gap in (1e-8, 1e-3, 0.1, 1.0)]
    np.testing.assert_allclose(found, [5.054, 3.0815, 1.425, 0.545], atol=6e-4)


@pytest.mark.parametrize("sign", [1, -1])
def test_two_layers_by_another_integrator(sign):
    a, w = (0.9, 0.02)[::sign]
    closed = float(TIME(1.3, a**2 - w**2, a * w, 1.0))
    assert closed == pytest.approx(integrated([w, a], 1.3, 1.0), rel=1e-10)
    assert closed == pytest.approx(passage(TIME_INTEGRAL, np.array([w, a]), 1.3, 1.0), rel=1e-11)


def test_without_imbalance_it_is_the_logistic_time():
    values = {s: 1.3, mu_0: 1e-5, mu_f: 0.8}
    balanced = float(BALANCED.subs(values))
    assert float(TIME(1.3, 1e-14, 1e-5, 0.8)) == pytest.approx(balanced, rel=1e-12)
    exact = RICCATI.subs(values).subs(delta, mpmath.mpf("1e-30")).evalf(40)
    assert float(exact) == pytest.approx(balanced, rel=1e-14)


def test_chains_by_another_integrator():
    """Claim C13, gains (0.05, 0.3, 0.01)."""
    gains = np.array([0.05, 0.3, 0.01])
    found = passage(TIME_INTEGRAL, gains, 1.3, 1.17)
    assert found == pytest.approx(integrated(gains, 1.3, 1.17), rel=1e-10)


@pytest.mark.parametrize("depth", [3, 5])
def test_equal_gains_take_the_time_with_2f1(depth):
    start = 0.01
    values = {chain.L: depth, chain.s: 1.3, chain.w_0: start, chain.w_f: 1.17 ** (1 / depth)}
    closed = float(numeric(chain.TIME, list(values))(*values.values()))
    assert passage(TIME_INTEGRAL, np.full(depth, start), 1.3, 1.17) == pytest.approx(
        closed, rel=1e-10
    )


def test_the_leading_part_is_carlsons_integral():
    """Without saturation, to infinity: R_F of the squares over s."""
    gains = np.array([0.05, 0.3, 0.01])
    whole = float(mpmath.elliprf(*(x**2 for x in gains))) / 1.3
    assert passage(LEADING_INTEGRAL, gains, 1.3, 1e24) == pytest.approx(whole, rel=1e-7)
