"""Blow-up times of a neuron at unequal scales against quadrature of the exact integral."""

import mpmath
import pytest
import sympy as sp

from flowtheory.errors import ParameterError
from flowtheory.lower import numeric
from flowtheory.symbolic.neuron_scales import neuron_scales
from flowtheory.symbolic.phase import EPSILON, KAPPA_PRIME, NU

STRENGTH = sp.Symbol("h", positive=True)


def exact(p, h, nu, eps):
    """(1/2h) int (eps^2 + p t)^(-p/2) (nu^2 + t)^(-1/2) dt, with t = e^u."""

    def integrand(u):
        t = mpmath.exp(u)
        return t * (eps**2 + p * t) ** (-mpmath.mpf(p) / 2) / mpmath.sqrt(nu**2 + t)

    ends = sorted((2 * mpmath.log(nu), 2 * mpmath.log(eps)))
    points = mpmath.linspace(ends[0] - 80, ends[1] + 160, 60)
    return mpmath.quad(integrand, points) / (2 * h)


def value(expression, h, nu, eps):
    values = {STRENGTH: h, NU: nu, EPSILON: eps, KAPPA_PRIME: nu / eps}
    names = tuple(sorted(expression.free_symbols, key=str))
    return numeric(expression, names, "mpmath")(*(values[s] for s in names))


@pytest.mark.parametrize("p", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("which", ["output_large", "output_small"])
def test_limits_with_the_order_of_what_they_leave_out(p, which):
    """The error over the stated order tends to a constant: equal at two ratios of the scales."""
    formula = getattr(neuron_scales(p), which)
    with mpmath.workdps(30):
        h, quotients = mpmath.mpf("0.7"), []
        for ratio in ("1e-5", "1e-6"):
            # The smaller scale varies, the larger one is 1.7.
            small, large = mpmath.mpf(ratio), mpmath.mpf("1.7")
            nu, eps = (large, small) if which == "output_large" else (small, large)
            error = value(formula.expression, h, nu, eps) - exact(p, h, nu, eps)
            assert abs(error) < 1e-3 * exact(p, h, nu, eps)
            quotients.append(error / value(formula.remainder, h, nu, eps))
        assert abs(quotients[0]) > 1e-3
        assert abs(quotients[1] / quotients[0] - 1) < 0.2


@pytest.mark.parametrize("p", [2, 3, 5])
def test_equal_scales(p):
    formula = neuron_scales(p).equal
    with mpmath.workdps(30):
        h, eps, ratio = (mpmath.mpf(s) for s in ("0.7", "0.003", "1.9"))
        got = value(formula.expression, h, ratio * eps, eps)
        assert abs(got / exact(p, h, ratio * eps, eps) - 1) < 1e-15
        assert formula.is_exact


def test_known_forms():
    """Multiplicity 2: ln(2 sqrt(2) nu/eps)/(2 h nu); p >= 3: eps^(2-p)/(p(p-2) h nu)."""
    two = neuron_scales(2).output_large.expression
    with mpmath.workdps(30):
        at = (mpmath.mpf("0.7"), mpmath.mpf("2.1"), mpmath.mpf("0.03"))
        h, nu, eps = at
        expected = mpmath.log(2 * mpmath.sqrt(2) * nu / eps) / (2 * h * nu)
        assert abs(value(two, *at) - expected) < 1e-25
        for p in (3, 4, 7):
            expected = eps ** (2 - p) / (p * (p - 2) * h * nu)
            assert abs(value(neuron_scales(p).output_large.expression, *at) / expected - 1) < 1e-25
    for bad in (1, True, 2.0):
        with pytest.raises(ParameterError, match="multiplicity is"):
            neuron_scales(bad)
