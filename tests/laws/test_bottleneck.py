"""The bottleneck: the integral by mpmath, known digits, and its next terms."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

from flowtheory.laws.bottleneck import POWER, derive, eps, exact, r, s
from flowtheory.lower import numeric
from flowtheory.symbolic import aligned_layers


def time(layers, small, scale):
    strength = aligned_layers(layers).strength
    return float(numeric(exact(layers, small), (eps, strength))(scale, 1.0))


@pytest.mark.parametrize(("layers", "small"), [(3, 1), (4, 2), (5, 3), (6, 4), (6, 5)])
def test_the_integral(layers, small):
    scale = 1e-2

    def integrand(u):  # tau = u^2
        return u / ((scale**2 + u**2) ** (small / 2) * (1 + u**2) ** ((layers - small) / 2))

    expected: Any = mpmath.quad(integrand, [0, scale, 1, 100, mpmath.inf])
    assert time(layers, small, scale) == pytest.approx(float(expected), rel=1e-10)


def test_known_digits():
    assert time(5, 3, 1e-3) == pytest.approx(998.43, abs=5e-3)
    assert time(6, 4, 1e-3) == pytest.approx(499993.6, abs=0.05)
    assert time(3, 2, 1e-3) == pytest.approx(7.600906, abs=5e-7)
    assert time(3, 1, 1e-9) == pytest.approx(np.pi / 2, rel=1e-7)


def test_next_terms():
    """A constant for r = 3; -(L - r)/2 ln(1/eps) for r = 4."""
    rest = [time(5, 3, e) - 1 / e for e in (1e-3, 1e-4)]
    assert rest[1] == pytest.approx(rest[0], abs=1e-2)
    for layers in (5, 6):
        rest = [time(layers, 4, e) - 1 / (2 * e**2) for e in (1e-2, 1e-3)]
        assert rest[1] - rest[0] == pytest.approx((4 - layers) / 2 * np.log(10), abs=2e-3)


def test_the_power():
    for small in (3, 4, 5):
        expected = eps ** (2 - small) / ((small - 2) * s)
        assert sp.simplify(POWER.subs(r, small) - expected) == 0
    assert len(derive()) > 5
