"""The closed form against quadrature, and the slopes against an integration in NumPy."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from flowtheory.laws.lora_times import EXACT, TIME, VALUES, alpha, s, u


@pytest.mark.parametrize("scale", [1e-6, 1e-2, 0.3, 1.5])
def test_the_time_is_the_integral_of_one_over_the_rate(scale):
    with mpmath.workdps(30):
        a = mpmath.mpf(scale)
        ends = [0, a**2, 10 * a**2, mpmath.mpf("0.9")]
        ends = [e for e in ends if e < 0.9] + [mpmath.mpf("0.9")]
        time = mpmath.quad(lambda x: 1 / ((1.3 - x) * mpmath.sqrt(a**4 + 4 * x**2)), ends)
    found = float(EXACT.subs({s: sp.Float(1.3, 30), u: sp.Float("0.9", 30), alpha: scale}))
    assert found == pytest.approx(float(time), rel=1e-8)


def test_a_small_start_and_how_much_later_it_is_than_a_balanced_one():
    balanced = sp.log(u * (s - alpha**2 / 2) / (alpha**2 / 2 * (s - u))) / (2 * s)
    at = {s: sp.Rational(6, 5), u: sp.Rational(1, 2), alpha: sp.Rational(1, 10**12)}
    assert float((EXACT - balanced).subs(at).evalf(40)) == pytest.approx(math.log(2) / 2.4)
    offset = sp.log(4 * s * u / (s - u)) / (2 * s)
    assert float((EXACT - TIME - offset).subs(at).evalf(40)) == pytest.approx(0, abs=1e-20)


def test_slopes_of_three_modes_of_a_gaussian_start():
    """0.5, 0.8333 and 2 (the literature's reproduction: 0.5005, 0.8333, 1.9998)."""
    target, unit = np.diag(VALUES), np.random.default_rng(5).standard_normal((4, 3))

    def times(scale):
        def rate(t, theta):
            A, B = theta[:12].reshape(4, 3), theta[12:].reshape(3, 4)
            rest = target - B @ A
            return np.concatenate([(B.T @ rest).ravel(), (rest @ A.T).ravel()])

        def half(k):
            def passed(t, theta):
                A, B = theta[:12].reshape(4, 3), theta[12:].reshape(3, 4)
                return (B @ A)[k, k] - VALUES[k] / 2

            return passed

        start = np.concatenate([scale * unit.ravel(), np.zeros(12)])
        events = [half(k) for k in range(3)]
        run = solve_ivp(rate, (0, 60), start, "DOP853", rtol=1e-9, atol=1e-22, events=events)
        return np.array([found[0] for found in run.t_events])

    slopes = (times(1e-9) - times(1e-6)) / math.log(1e3)
    assert slopes == pytest.approx([1 / value for value in VALUES], rel=2e-3)
