"""The closed form of the escape: its integral, its limits, and published-style numbers."""

from __future__ import annotations

import mpmath
import pytest
import sympy as sp

from flowtheory.laws.escape_by_width import EXACT, LEADING, RATE, r, u
from flowtheory.symbolic.phase import CURVATURE, EPSILON, FRACTION, MOMENT, NU, WIDTH

SMALL = {NU: sp.Integer(0), CURVATURE: sp.Integer(1)}


@pytest.mark.parametrize(
    ("size", "ratio", "part"), [(0.8, 1e-6, 0.3), (1.2, 0.5, 0.9), (2, 30, 0.5)]
)
def test_the_time_is_the_integral_of_one_over_the_rate(size, ratio, part):
    rate = sp.lambdify(u, 1 / RATE.xreplace({MOMENT: sp.Float(size), r: sp.Float(ratio)}), "mpmath")
    cuts = [0, min(ratio, part / 2), part]
    exact = EXACT.xreplace({MOMENT: sp.Float(size), r: sp.Float(ratio), FRACTION: sp.Float(part)})
    assert mpmath.almosteq(mpmath.quad(rate, cuts), float(exact), 1e-10)


def test_a_small_start_gives_the_formula_of_the_engine():
    width, scale = sp.Integer(1000), sp.Float(1e-7)
    at = {WIDTH: width, EPSILON: scale, MOMENT: sp.Float(0.8), FRACTION: sp.Float(0.7)}
    ratio = width * scale**2 / sp.Float(1.6)
    leading = LEADING.xreplace(at).xreplace(SMALL)
    assert float(EXACT.xreplace(at | {r: ratio})) == pytest.approx(float(leading), rel=1e-9)


def test_a_large_start_is_lazy():
    at = {MOMENT: sp.Float(0.8), FRACTION: sp.Float(0.7), r: sp.Float(1e3)}
    assert float(EXACT.xreplace(at)) == pytest.approx(
        float(-sp.log(0.3) / (2 * 0.8 * 1e3)), rel=1e-3
    )


def test_slopes_in_the_scale_and_the_width():
    """dT/dln(1/eps) = 1/lambda and dT/dln m = -1/(2 lambda) for small starts."""
    time = LEADING.xreplace({CURVATURE: sp.Integer(1), NU: EPSILON})
    at = {EPSILON: sp.Float(1e-6), WIDTH: sp.Float(100), MOMENT: sp.Float(0.79), FRACTION: 0.1}
    scale, width = (float((s * time.diff(s)).xreplace(at)) for s in (EPSILON, WIDTH))
    assert -scale == pytest.approx(1 / 0.79, rel=1e-6)
    assert width == pytest.approx(-1 / (2 * 0.79), rel=1e-6)
