"""The ratio from the two phases, and against an integration of the logarithms of the gains."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from flowtheory.laws.unimodal_bias import ALONE, DELAY, LEFT, RATE_A, RATIO, r, rho, sd_a, sd_b

CASES = {(2.0, 0.0): 4.0, (2.0, 0.5): 5.0, (3.0, 0.5): 11.66667, (1.5, 0.7): 3.45098}


def test_the_two_phases_give_the_ratio():
    found = (1 + DELAY * RATE_A).subs(sd_a, r * sd_b)
    assert sp.simplify(found - RATIO) == 0
    assert sp.simplify(ALONE.subs(sd_a, r * sd_b) - (1 + rho / r)) == 0
    assert sp.simplify(LEFT - sd_b**2 * (1 - rho**2)) == 0


@pytest.mark.parametrize("case", CASES)
def test_numbers_of_the_literature(case):
    assert float(RATIO.subs({r: case[0], rho: case[1]})) == pytest.approx(CASES[case], abs=1e-5)


@pytest.mark.parametrize("case", [(1.5, 0.7), (2.0, -0.8)])
def test_balanced_gains_integrated_by_their_logarithms(case):
    """Slopes between eps = 1e-12 and 1e-24; for rho = -0.8 the weak branch first decays."""
    ratio, correlation = case
    moments = np.array([[ratio**2, correlation * ratio], [correlation * ratio, 1.0]])

    def times(eps):
        def rate(t, logs):
            # Trial steps of the solver may be far too long.
            return moments @ (1.0 - np.exp(np.minimum(2 * logs, 50.0)))

        def half(k):
            def passed(t, logs):
                return logs[k] - 0.5 * math.log(0.5)

            passed.terminal = k == 1
            return passed

        run = solve_ivp(
            rate, (0, 1e4), np.full(2, math.log(eps)), "LSODA", rtol=1e-10, atol=1e-10,
            events=[half(0), half(1)],
        )  # fmt: skip
        return np.array([run.t_events[0][0], run.t_events[1][0]])

    t_a, t_b = times(1e-24) - times(1e-12)
    assert t_b / t_a == pytest.approx(float(RATIO.subs({r: ratio, rho: correlation})), rel=1e-3)
