"""Phase-diagram coordinates against the published table, large widths and the flow itself."""

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from flowtheory.errors import ParameterError, UnknownNameError
from flowtheory.symbolic.network import INPUT_DIMENSION, WIDTH
from flowtheory.symbolic.scalings import (
    EXPONENT,
    INITIALIZATIONS,
    Initialization,
    find_initialization,
)

HALF = sp.Rational(1, 2)
# Luo, Xu, Ma, Zhang (2021), known initializations; the last two rows follow from their definitions.
TABLE = {
    "lecun": (HALF, HALF),
    "he": (HALF, HALF),
    "xavier": (1, 0),
    "ntk": (HALF, 0),
    "mean-field": (1, 0),
    "e-ma-wu": (EXPONENT, EXPONENT),
    "pytorch": (HALF, HALF),
    "equal": (2 * EXPONENT, 0),
}


def test_the_table_is_the_published_one():
    rows = {name: (row.gamma, row.gamma_prime) for name, row in INITIALIZATIONS.items()}
    assert rows == TABLE


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("name", INITIALIZATIONS)
def test_exponents_are_slopes_at_large_width(name, p):
    row = find_initialization(name, p)
    at = {EXPONENT: sp.Rational(3, 7), INPUT_DIMENSION: 5}
    for scale, exponent in ((row.kappa, row.gamma), (row.kappa_prime, row.gamma_prime)):
        with mpmath.workdps(30):
            one, two = (sp.log(scale.subs(at).subs(WIDTH, 10**k)).evalf(30) for k in (40, 41))
            assert float(-(two - one) / sp.log(10)) == pytest.approx(float(exponent.subs(at)))


def test_equal_coordinates_are_the_same_trajectory():
    """Cubic activation: two triples of scales with the same kappa, kappa' give one flow."""
    random = np.random.default_rng(0)
    m, d, n, p = 4, 2, 3, 3
    a, w = random.normal(size=m), random.normal(size=(m, d))
    x, y = random.normal(size=(n, d)), random.normal(size=n)

    def final(row, horizon):
        alpha, b1, b2 = (float(v) for v in (row.alpha, row.beta1, row.beta2))

        def field(_, flat):
            a, w = flat[:m], flat[m:].reshape(m, d)
            h = w @ x.T
            e = (a @ h**p / alpha - y) / n
            return (
                -np.concatenate([h**p @ e, ((a[:, None] * p * h ** (p - 1) * e) @ x).ravel()])
                / alpha
            )

        start = np.concatenate([b1 * a, (b2 * w).ravel()])
        span = (0, horizon * float(row.time_unit))
        end = solve_ivp(field, span, start, rtol=1e-10, atol=1e-13).y[:, -1]
        return np.concatenate([end[:m] / b1, end[m:] / b2])

    R = sp.Rational
    one = Initialization("one", R(1), R(1, 2), R(2, 3), p)
    scale = R(3, 2)  # beta1, beta2 times s and alpha times s^4 leave kappa, kappa' as they are
    two = Initialization("two", scale**4, one.beta1 * scale, one.beta2 * scale, p)
    other = Initialization("other", R(1), R(2, 3), R(1, 2), p)
    assert (one.kappa, one.kappa_prime) == (two.kappa, two.kappa_prime) == (R(4, 27), R(3, 4))
    moved = final(one, 2.0)
    np.testing.assert_allclose(moved, final(two, 2.0), rtol=1e-7, atol=1e-9)
    assert np.abs(moved - np.concatenate([a, w.ravel()])).max() > 0.1
    assert np.abs(moved - final(other, 2.0)).max() > 0.01


def test_bad_input():
    with pytest.raises(UnknownNameError, match="did you mean 'xavier'"):
        find_initialization("xavir")
    with pytest.raises(ParameterError, match="multiplicity is 0"):
        find_initialization("he", 0)
    with pytest.raises(ParameterError, match="not a power of h"):
        _ = Initialization("fast", sp.S.One, sp.exp(-WIDTH), sp.S.One).gamma
