"""Alignment times as theorems: against floats, mpmath and the attaining families."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from flowtheory.data import family
from flowtheory.errors import ParameterError
from flowtheory.exact import propagate
from flowtheory.lower import enclose_alignment


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("n", [2, 9, 30])
def test_the_last_switch_is_that_of_event_exact_propagation(n, sign):
    case = family("random-cone")(n=n, mu=0.02, dimension=6, h=6, norm_spread=0.6, seed=n)
    x, y = case.data.x, case.data.y
    paths = propagate(x, y, case.w0, sign * np.linalg.norm(case.w0, axis=1))
    switches = 0
    for j, w0 in enumerate(case.w0):
        found = enclose_alignment(x, y, w0, sign=sign)
        assert found.time.contains(paths.last_event_time[j], 1e-12)
        switches += found.switches
    assert switches > n / 2


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("two-points", lambda mu: mpmath.acosh(1 / mu)),
        ("four-points", lambda mu: 2 * mpmath.asinh(mpmath.sqrt((1 - mu) / 2) / mu)),
    ],
)
def test_attaining_families_in_many_digits(name, formula):
    """Their data are floats, so that mu is that of the floats: 1e-12 is what these leave."""
    mu = 1e-3
    case = family(name)(mu=mu)
    found = enclose_alignment(
        case.data.x, case.data.y, case.w0[0], active=case.active[0], digits=40
    )
    assert found.time.radius < 1e-15
    assert found.time.midpoint == pytest.approx(float(formula(mpmath.mpf(mu))), rel=1e-12)


def test_a_cell_by_hand_in_forty_digits():
    """One datum, one switch: w falls onto the kink of the datum that pulls it away."""
    x, y, w0 = np.array([[3.0, 4.0]]), np.array([-1.0]), np.array([2.0, 0.0])
    found = enclose_alignment(x, y, w0, digits=40)
    # a = -x, alpha = 5, <w, a> = -6, v = 2; at the kink <w, a> = 0 and w = w0 + tau a.
    tau = Fraction(6, 25)
    w1 = [2 - 3 * tau, -4 * tau]
    with mpmath.workdps(50):
        v1 = mpmath.sqrt(sum(mpmath.mpf(c.numerator) ** 2 / c.denominator**2 for c in w1))
        exact = mpmath.log(5 * v1 / (5 * 2 - 6)) / 5
        assert found.time.text.startswith("[" + mpmath.nstr(exact, 36)[:34])
    assert (found.switches, found.alive) == (1, False)


def test_a_neuron_without_a_switch_takes_no_time():
    found = enclose_alignment(np.eye(2), np.ones(2), np.array([1.0, 1.0]))
    assert (found.time.midpoint, found.time.radius, found.switches) == (0.0, 0.0, 0)


def test_sliding_is_refused():
    """A datum of either label that pulls to its own kink from both sides."""
    x, c = np.array([[1.0, 0.0], [0.8, 0.6]]), np.array([-3.0, 1.0])
    with pytest.raises(ParameterError, match="slide"):
        enclose_alignment(x, c, np.array([-0.1, 1.0]))
    opposite = np.array([[1.0, 0.0], [-1.0, 0.2]])
    assert enclose_alignment(opposite, np.ones(2), np.array([1.0, 0.1])).alive
