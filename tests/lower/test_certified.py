"""Enclosures against mpmath, and against measurements that they must and must not allow."""

from __future__ import annotations

import sys

import mpmath
import pytest
import sympy as sp

from flowtheory.errors import ParameterError, PrecisionError
from flowtheory.laws.alignment_time.formulas import FOUR_POINTS, TWO_POINTS, B, mu
from flowtheory.lower import certified
from flowtheory.lower.certified import enclose, enclose_blow_up, enclose_passage

x, y = sp.symbols("x y", positive=True)


def _holds(found, value):
    """The exact value in the ball, the ball a few units of the last place wide."""
    assert abs(mpmath.mpf(found.midpoint) - value) <= found.radius
    assert found.radius <= 4e-16 * abs(found.midpoint)


@pytest.mark.parametrize("gains", [(0.3, 0.7, 0.9), (1, 1, 2), (1e-30, 2.0, 1e20), (1, 1, 1)])
def test_blow_up_times_are_carlsons_integral(gains):
    with mpmath.workdps(60):
        squares = [mpmath.mpf(g) ** 2 for g in gains]
        _holds(enclose_blow_up(1.7, *gains), mpmath.elliprf(*squares) / mpmath.mpf(1.7))


def test_a_negative_product_passes_through_zero_once():
    found = enclose_blow_up(1, -0.3, 0.7, 0.9)
    with mpmath.workdps(50):
        a, b, c = (mpmath.mpf(g) ** 2 for g in (0.3, 0.7, 0.9))
        _holds(found, 2 * mpmath.elliprf(0, b - a, c - a) - mpmath.elliprf(a, b, c))
    assert found.midpoint == pytest.approx(2.662267141464, abs=1e-12)
    with pytest.raises(ParameterError, match="never blow up"):
        enclose_blow_up(1, 1, 1, -1)


@pytest.mark.parametrize("depth", [2, 3, 4, 7])
def test_passage_times_are_the_integral_of_one_over_the_rate(depth):
    s, start, end = 1.3, 1e-4, 1.1
    with mpmath.workdps(50):
        S, power = mpmath.mpf(s), 2 - mpmath.mpf(2) / depth
        # In ln u the integrand is smooth over the decades.
        time = mpmath.quad(
            lambda v: 1 / (depth * mpmath.exp(v) ** (power - 1) * (S - mpmath.exp(v))),
            mpmath.linspace(mpmath.log(mpmath.mpf(start)), mpmath.log(mpmath.mpf(end)), 12),
        )
        _holds(enclose_passage(depth, s, start, end), time)


def test_numbers_of_the_literature():
    """s = 1.3, gains from 0.01 to nine tenths of s."""
    for depth, time in ((3, 76.8999917), (4, 3846.411656), (6, 19230769.5586)):
        found = enclose_passage(depth, "1.3", sp.Rational(1, 100) ** depth, sp.Rational(117, 100))
        assert found.midpoint == pytest.approx(time, rel=1e-9)


@pytest.mark.parametrize("cosine", [0.9, 0.1, 1e-8, 1e-12])
@pytest.mark.parametrize("formula", [TWO_POINTS, FOUR_POINTS, B])
def test_alignment_times_of_two_and_four_points(formula, cosine):
    with mpmath.workdps(60):
        value = sp.lambdify(mu, formula, "mpmath")(mpmath.mpf(cosine))
        _holds(enclose(formula, {mu: cosine}), value)


def test_cancellation_raises_the_precision_and_the_digits_are_kept():
    found = enclose(sp.cosh(x) - 1 - x**2 / 2, {x: 1e-12}, digits=40)
    with mpmath.workdps(120):
        exact = mpmath.cosh(mpmath.mpf(1e-12)) - 1 - mpmath.mpf(1e-12) ** 2 / 2
        assert abs(mpmath.mpf(found.midpoint) - exact) <= found.radius
        assert abs(mpmath.mpf(found.text[1:42] + "e-50") / exact - 1) < 1e-35


def test_a_measurement_is_refuted_only_outside_the_ball_and_its_error():
    found = enclose(sp.sqrt(x), {x: 2})
    assert found.contains(2**0.5)
    assert found.contains(1.4143, error=1e-4)
    assert not found.contains(1.4143)


def test_what_cannot_be_certified_is_said():
    with pytest.raises(ParameterError, match="free symbols"):
        enclose(x * y, {x: 1})
    with pytest.raises(ParameterError, match="no ball arithmetic"):
        enclose(sp.besselj(0, x), {x: 1})
    with pytest.raises(PrecisionError, match="not known"):
        enclose(sp.log(x) - sp.log(x / 2) - sp.log(sp.Integer(2)) + 0 * y, {x: 3, y: 1}, digits=5)
    with pytest.raises(ParameterError, match="u_f < s"):
        enclose_passage(3, 1, 2, 3)


def test_a_missing_library_is_named_with_its_remedy(monkeypatch):
    certified.require_flint.cache_clear()
    monkeypatch.setitem(sys.modules, "flint", None)
    try:
        with pytest.raises(ParameterError, match=r"flowtheory\[certify\]"):
            enclose(sp.sqrt(x), {x: 2})
    finally:
        certified.require_flint.cache_clear()
