"""The delay of gradient descent: expansions, and plain loops on scalar flows."""

from __future__ import annotations

import math

import pytest
import sympy as sp

from flowtheory.laws.discrete_steps import DEGREE_TWO, FACTOR, HIGHER, SHIFT, eta, k, later, r, r_f
from flowtheory.symbolic.expand import SCALE
from flowtheory.symbolic.plateau import RATE


def steps(rate, start, end, step):
    """Steps of w <- w + eta rate(w) to `end`, the last one in part by the logarithm of w."""
    w, count = start, 0
    while w < end:
        before, w, count = w, w + step * rate(w), count + 1
    return step * (count - math.log(w / end) / math.log(w / before))


def test_the_factor_and_the_shift_agree_to_first_order():
    first = sp.series(FACTOR, eta, 0, 2).removeO()
    assert sp.simplify(first - (1 + eta * RATE / 2)) == 0
    # Degree 2 in the formula of higher degrees: eta/2 times the logarithm, as T = ln/lambda has.
    assert sp.simplify(SHIFT.subs(k, 2) - eta / 2 * sp.log(1 / SCALE)) == 0
    second = sp.series(DEGREE_TWO, eta, 0, 3).removeO().coeff(eta, 2)
    assert sp.simplify(second + RATE * sp.log(1 / SCALE) / 12) == 0


def test_degree_two_by_a_plain_loop():
    # The digest's map w <- w + eta w (1 - w^2), eta = 0.1, over ten decades of the start.
    times = [steps(lambda w: w * (1 - w * w), s, 1e-2, 0.1) for s in (1e-4, 1e-14)]
    slope = (times[1] - times[0]) / math.log(1e10)
    assert slope == pytest.approx(0.1 / math.log1p(0.1), rel=1e-5)


@pytest.mark.parametrize("step", [0.1, 0.5])
def test_degree_three_by_a_plain_loop(step):
    # w' = w^2 up to w = 0.3, for which the flow takes 1/w_0 - 1/0.3.
    def late(start):
        return steps(lambda w: w * w, start, 0.3, step) - (1 / start - 1 / 0.3)

    found = late(1e-4) - late(1e-2)
    expected = float((SHIFT.subs(SCALE, 1e-4) - SHIFT.subs(SCALE, 1e-2)).subs({k: 3, eta: step}))
    assert found == pytest.approx(expected, rel=0.01)


def test_the_delay_is_half_the_logarithm_of_the_speeds():
    speed = r**2 * (1 + r)
    ratio = speed.subs(r, r_f) / speed.subs(r, SCALE)
    assert sp.simplify(sp.expand_log(later(speed) - eta / 2 * sp.log(ratio), force=True)) == 0
    assert sp.simplify(HIGHER.subs(r_f, 1) - SHIFT) == 0
