"""Thresholds of every degree: degrees, exponents, and the cost of a fit in the lazy regime."""

import numpy as np
import pytest
import sympy as sp

from flowtheory.errors import ParameterError
from flowtheory.phase.lazy import lazy_kernels
from flowtheory.symbolic.exponent import width_exponent
from flowtheory.symbolic.phase import ALPHA, DIAGRAM, EPSILON, GAMMA, GAMMA_PRIME, KAPPA, NU, WIDTH
from flowtheory.symbolic.thresholds import GAMMA_A, GAMMA_ALPHA, GAMMA_W, degree_thresholds

D = sp.Rational
DEGREES = {
    "tanh": [1, 3, 5, 7], "sigmoid": [1, 3, 5, 7], "softplus": [1, 2, 4, 6], "gelu": [1, 2, 4, 6],
    "z*tanh(z)": [2, 4, 6], "z**2*tanh(z)": [3, 5, 7], "cos-1": [2, 4, 6], "relu": [1],
    "identity": [1], "relu**2": [2],
}  # fmt: skip


@pytest.mark.parametrize("name", DEGREES)
def test_degrees_are_those_of_the_series(name):
    found = degree_thresholds(name)
    assert [one.degree for one in found] == DEGREES[name]
    assert found[0].gamma_in_diagram.expression == GAMMA


def test_coefficients_and_boundaries():
    first, third, *_ = degree_thresholds("sigmoid")
    assert (first.coefficient, third.coefficient) == (D(1, 4), D(-1, 48))
    at = {GAMMA: D("0.8"), GAMMA_PRIME: 0, GAMMA_ALPHA: 0}
    assert third.gamma_in_diagram.expression.subs(at) == D("1.6")
    assert third.gamma_in_diagram.expression.subs(at | {GAMMA: D("0.6")}) == D("1.2")
    # At gamma' = 0 and without a divisor the boundary of degree k is at gamma = 2/(k + 1).
    for one in degree_thresholds("tanh", 9):
        edge = sp.solve(one.boundary.subs({GAMMA_PRIME: 0, GAMMA_ALPHA: 0}), GAMMA)
        assert edge == [D(2, one.degree + 1)]


@pytest.mark.parametrize("name", ["tanh", "gelu", "z*tanh(z)"])
def test_the_conversion_from_the_diagram(name):
    """gamma_k of given scales, directly and by way of (gamma, gamma')."""
    scales = {GAMMA_A: D(2, 7), GAMMA_W: D(3, 5), GAMMA_ALPHA: D(1, 3)}
    found = degree_thresholds(name)
    p = found[0].degree
    place = {
        GAMMA: scales[GAMMA_A] + p * scales[GAMMA_W] + scales[GAMMA_ALPHA],
        GAMMA_PRIME: scales[GAMMA_A] - scales[GAMMA_W],
        GAMMA_ALPHA: scales[GAMMA_ALPHA],
    }
    m = sp.Integer(10) ** 6
    sizes = {NU: m ** -D(2, 7), EPSILON: m ** -D(3, 5), ALPHA: m ** D(1, 3)}
    for one in found:
        direct = one.gamma.expression.subs(scales)
        assert one.gamma_in_diagram.expression.subs(place) == direct
        measured = -sp.log(one.kappa.expression.subs(sizes)) / sp.log(m)
        assert float(measured) == pytest.approx(float(direct), rel=1e-12)


@pytest.mark.parametrize(("name", "count"), [("tanh", 3), ("z*tanh(z)", 4)])
def test_the_change_that_fits_what_is_left_has_the_second_degree(name, count):
    """One sample more than the lowest degree spans; equal scales, nothing divides the output.

    The lazy change that fits all labels, from the kernels, has the slope gamma_q - 1.
    """
    points = np.linspace(-1, 1, count)
    x, y = np.column_stack([points, np.ones(count)]), np.array([0.7, -0.4, 0.9, 0.3])[:count]
    p, q, *_ = degree_thresholds(name)
    widths, gamma_w = np.array([1e8, 1e10]), 0.2
    gamma = (p.degree + 1) * gamma_w
    logs = []
    for m in widths:
        kernels = lazy_kernels(x, name, m**-gamma_w)
        dual = np.linalg.solve(kernels.output + kernels.hidden, y)
        logs.append(np.log(np.sqrt(dual @ kernels.hidden @ dual / 2) * m ** (gamma - 1)))
    measured = (logs[1] - logs[0]) / np.log(100)
    at = {GAMMA: gamma, GAMMA_PRIME: 0, GAMMA_ALPHA: 0}
    second = float(q.gamma_in_diagram.expression.subs(at))
    assert measured == pytest.approx(second - 1, abs=5e-3)
    assert abs(gamma - second) > 0.1


def test_exponents_of_sizes():
    m = WIDTH
    assert width_exponent(sp.log(m) / (m * KAPPA), DIAGRAM) == GAMMA - 1
    assert width_exponent(3 * sp.sqrt(m + 1) / (m**2 + m), DIAGRAM) == D(-3, 2)
    least = width_exponent(sp.sqrt(sp.Min(1, KAPPA)), DIAGRAM)
    assert [least.subs(GAMMA, g) for g in (2, -2)] == [-1, 0]
    with pytest.raises(ParameterError, match="no power of the width"):
        width_exponent(sp.exp(m), DIAGRAM)


def test_what_has_no_threshold_is_refused():
    with pytest.raises(ParameterError, match="highest degree is 1"):
        degree_thresholds("z*tanh(z)", 1)
