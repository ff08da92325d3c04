"""Carlson's integrals against quadrature of their definition, at 1e-12 or better."""

import itertools

import mpmath
import numpy as np
import pytest
import sympy as sp

from flowtheory.errors import ParameterError
from flowtheory.lower import numeric
from flowtheory.symbolic.carlson import CarlsonR, CarlsonRF, elementary, integral_to_infinity

HALF = sp.Rational(1, 2)
x, y, z, w, t = sp.symbols("x y z w t", positive=True)


def quadrature(numbers, count):
    """The definition in t = v^2 by mpmath's tanh-sinh rule, on pieces between the scales."""
    b, z = numbers[:count], numbers[count:]
    breaks = sorted(mpmath.sqrt(v) for v in z)
    return (sum(b) - 1) * mpmath.quad(
        lambda v: 2 * v * mpmath.fprod((v * v + c) ** -m for m, c in zip(b, z, strict=True)),
        [0, *breaks, 4 * breaks[-1], mpmath.inf],
    )


def random_pairs(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(3, 6))
    b = [sp.Rational(int(m), 2) for m in rng.integers(1, 5, count)]
    return b, [sp.Rational(int(m), 50) for m in rng.choice(2500, count, replace=False) + 1]


@pytest.mark.parametrize("seed", range(8))
def test_values_equal_the_integral(seed):
    b, points = random_pairs(seed)
    symbolic = CarlsonR(*itertools.chain(*zip(b, points, strict=True)))
    with mpmath.workdps(30):
        exact = quadrature([mpmath.mpf(m.p) / m.q for m in (*b, *points)], len(b))
        assert abs(symbolic.evalf(25)._to_mpmath(90) / exact - 1) < 1e-20
    assert numeric(symbolic, ())() == pytest.approx(float(exact), rel=1e-13)


def test_float64_over_many_scales_and_at_zero():
    f = CarlsonR(HALF, x, HALF, y, HALF, z, HALF, w)
    fast, exact = numeric(f, (x, y, z, w)), numeric(f, (x, y, z, w), "mpmath")
    grid = np.array([0.0, 1e-30, 1e-12, 1e-3, 1.5, 1e6, 1e20])
    for point, value in zip(grid, fast(1.0, 2.0, grid, 5.0), strict=True):
        with mpmath.workdps(30):
            assert value == pytest.approx(float(exact(1, 2, mpmath.mpf(point), 5)), rel=1e-13)
    assert fast(0.0, 0.0, 1.0, 2.0) == np.inf
    with pytest.raises(ParameterError, match="no real value"):
        fast(-1.0, 1.0, 1.0, 2.0)


def test_canonical_forms():
    assert CarlsonR(HALF, z, HALF, x, HALF, y) == CarlsonRF(y, z, x) == CarlsonRF(x, y, z)
    assert CarlsonR(HALF, x, HALF, x, HALF, x) == x**-HALF
    assert CarlsonRF(x, y, x) == CarlsonR(1, x, HALF, y)
    assert CarlsonR(2, x, 3, x) == x**-4
    assert CarlsonRF(0, 0, x) == sp.oo
    assert CarlsonR(0, y, 3, x) == x**-2
    with pytest.raises(ParameterError, match="sum to 1"):
        CarlsonR(HALF, x, HALF, y)
    with pytest.raises(ParameterError, match="pairs"):
        CarlsonR(HALF, x, HALF)


def test_rf_is_mpmaths_and_scipys():
    at = {x: sp.Rational(1, 7), y: 2, z: 11}
    with mpmath.workdps(40):
        exact = mpmath.elliprf(mpmath.mpf(1) / 7, 2, 11)
        assert abs(CarlsonRF(x, y, z).subs(at).evalf(40)._to_mpmath(140) - exact) < 1e-38
        # The same integral by our own rule, kept from being recognised as R_F.
        assert (
            abs(
                numeric(CarlsonR(HALF, x, HALF, y, w, z), (x, y, z, w), "mpmath")(
                    mpmath.mpf(1) / 7, 2, 11, mpmath.mpf("0.5")
                )
                - exact
            )
            < 1e-38
        )
    assert numeric(CarlsonRF(x, y, z), (x, y, z))(1 / 7, 2, 11) == pytest.approx(
        float(exact), rel=1e-14
    )


@pytest.mark.parametrize("f", [CarlsonRF(x, y, z), CarlsonR(1, x, HALF, y, 2, z)])
def test_derivatives(f):
    at = {x: sp.Rational(2, 3), y: sp.Rational(7, 5), z: sp.Integer(3)}
    for variable in (x, y, z):
        rest = {s: v for s, v in at.items() if s != variable}
        with mpmath.workdps(30):
            g = numeric(f.subs(rest), (variable,), "mpmath")
            expected = mpmath.diff(g, mpmath.mpf(at[variable].p) / at[variable].q)
            got = f.diff(variable).subs(at).evalf(25)._to_mpmath(90)
            assert abs(got / expected - 1) < 1e-12
    # Homogeneity, as Euler's identity.
    order = f.order if isinstance(f, CarlsonR) else HALF
    euler = sum((s * f.diff(s)).subs(at).evalf(30) for s in (x, y, z))
    assert abs(euler + order * f.subs(at).evalf(30)) < 1e-25


@pytest.mark.parametrize("twice", range(2, 9))
@pytest.mark.parametrize("points", [(1, 3), (3, 1), (5, sp.Rational(1, 7))])
def test_elementary_forms(twice, points):
    b = sp.Rational(twice, 2)
    formula = elementary(x, b, y, first_is_larger=points[0] > points[1])
    assert not formula.has(CarlsonR, sp.Integral)
    value = formula.subs({x: points[0], y: points[1]}).evalf(30)
    assert abs(value - CarlsonR(HALF, points[0], b, points[1]).evalf(30)) < 1e-27
    with pytest.raises(ParameterError, match="weight"):
        elementary(x, sp.Rational(1, 3), y, first_is_larger=True)


def test_the_integral_is_read_off_the_integrand():
    integrand = 3 / (2 * sp.sqrt(x + 2 * t) * (y + 3 * t) ** 2)
    value = integral_to_infinity(integrand, t).subs({x: 1, y: 2}).evalf(20)
    with mpmath.workdps(25):
        exact = mpmath.quad(
            lambda u: 3 / (2 * mpmath.sqrt(1 + 2 * u) * (2 + 3 * u) ** 2), [0, 1, mpmath.inf]
        )
        assert abs(value._to_mpmath(80) - exact) < 1e-18
    assert integral_to_infinity(1 / sp.sqrt((x + t) * (y + t)), t) == sp.oo
    with pytest.raises(ParameterError, match="factor"):
        integral_to_infinity(1 / (x + t**2), t)


def test_outside_the_domain_nothing_is_evaluated():
    for outside in (CarlsonRF(-1, 2, 3), CarlsonR(HALF, -1, 1, 2)):
        assert outside.evalf() == outside
        with pytest.raises(TypeError):
            float(outside)


def test_printing():
    from flowtheory.symbolic.printing import tex, unicode_line

    assert unicode_line(CarlsonRF(x**2, y**2, z**2)) == "R_F(x², y², z²)"
    assert tex(CarlsonRF(x, y, z)) == r"R_F\left(x, y, z\right)"
    assert unicode_line(CarlsonR(1, x, HALF, y)) == "R_(-1/2)(1, 1/2; x, y)"
    assert sp.sympify(sp.srepr(CarlsonRF(x, y, z)), locals={"CarlsonRF": CarlsonRF}) == CarlsonRF(
        x, y, z
    )
