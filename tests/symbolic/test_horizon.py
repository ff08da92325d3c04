"""The validity horizon against the radial equation, integrated in mpmath."""

import mpmath
import pytest

from flowtheory.errors import ParameterError
from flowtheory.lower import numeric
from flowtheory.symbolic.expand import SCALE
from flowtheory.symbolic.horizon import TOLERANCE, validity_horizon
from flowtheory.symbolic.plateau import BLOW_UP, LEADING, OVERLAP, RATE

EPS, DELTA, H = "0.001", "0.02", "0.37"


def value(formula, values):
    names = formula.arguments
    return numeric(formula.expression, names, "mpmath")(*(values[s] for s in names))


@pytest.mark.parametrize(("k", "q"), [(3, 1), (3, 2), (4, 2), (7, 2), (5, 4)])
def test_the_horizon_of_a_blow_up(k, q):
    """In the time of the full flow, R = eps r has R' = k h R^(k-1) and stops at delta^(1/q)."""
    with mpmath.workdps(30):
        eps, delta, h = mpmath.mpf(EPS), mpmath.mpf(DELTA), mpmath.mpf(H)
        start = mpmath.mpf("1.3")  # the norm of the unit-scale start
        # dt = dR/(k h R^(k-1)), in ln R.
        reached = mpmath.log(delta) / q
        points = mpmath.linspace(mpmath.log(eps * start), reached, 20)
        time = mpmath.quad(lambda u: mpmath.exp(-(k - 2) * u) / (k * h), points)
        blow_up = start ** -(k - 2) / (k * (k - 2) * h)
        given = {SCALE: eps, TOLERANCE: delta, LEADING: h, BLOW_UP: blow_up}
        assert abs(value(validity_horizon(k, q), given) / time - 1) < 1e-20


@pytest.mark.parametrize("q", [1, 2, 3])
def test_the_horizon_of_exponential_growth(q):
    with mpmath.workdps(30):
        eps, delta, rate = mpmath.mpf(EPS), mpmath.mpf(DELTA), mpmath.mpf(H)
        overlap = mpmath.mpf("0.4")
        formula = validity_horizon(2, q)
        given = {SCALE: eps, TOLERANCE: delta, RATE: rate, OVERLAP: overlap}
        time = value(formula, given)
        error = (eps * mpmath.sqrt(overlap) * mpmath.exp(rate * time)) ** q
        assert abs(error / delta - 1) < 1e-25
        assert formula.is_exact
        expected = mpmath.log(1 / eps) / rate + mpmath.log(delta) / (q * rate)
        assert abs(value(formula, given | {OVERLAP: 1}) - expected) < 1e-25


def test_bad_input():
    with pytest.raises(ParameterError, match="degree is 1"):
        validity_horizon(1, 1)
    with pytest.raises(ParameterError, match="gap is 0"):
        validity_horizon(3, 0)
