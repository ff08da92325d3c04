import mpmath
import numpy as np
import pytest
import sympy as sp

import flowtheory as ft
from flowtheory.errors import ParameterError
from flowtheory.lower import lower, numeric
from flowtheory.lower.stable import Sigmoid, Softplus, stabilise
from flowtheory.symbolic.activation import Ramp, Step
from flowtheory.symbolic.loss import LABEL, OUTPUT, find_loss

z, y, f, mu = sp.symbols("z y f mu", real=True)


def test_softplus_and_sigmoid_are_recognised():
    assert stabilise(sp.log(1 + sp.exp(-y * f))) == Softplus(-y * f)
    assert stabilise(3 * sp.exp(z) / (1 + sp.exp(z))) == 3 * Sigmoid(z)
    assert stabilise(1 / (1 + sp.exp(z))) == Sigmoid(-z)
    assert stabilise(sp.exp(2 * z) / (1 + sp.exp(z)) ** 3) == Sigmoid(z) ** 2 * Sigmoid(-z)
    assert stabilise(sp.log(2 + sp.exp(z))) == sp.log(2 + sp.exp(z))


def test_a_cosine_minus_one_keeps_its_digits():
    assert stabilise(sp.cos(z) - 2) == sp.cos(z) - 2
    with ft.float64():
        function = lower(3 * mu + 2 * sp.cos(z) - 2, (z, mu))
        for angle in (1e-9, 1e-3, 2.0, 7.0):
            with mpmath.workdps(40):
                exact = float(2 * mpmath.cos(mpmath.mpf(angle)) - 2)
            assert float(function(angle, 0.0)) == pytest.approx(exact, rel=1e-14)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_derivatives_of_the_logistic_loss_are_accurate_at_every_margin(order):
    loss = find_loss("logistic")
    one = (loss.derivative(order) if order else loss.expression).subs(LABEL, -1)
    # From the second derivative on, sigmoids are subtracted: accurate relative to 1.
    tolerance = {"rel": 1e-14, "abs": 0} if order < 2 else {"rel": 1e-14, "abs": 1e-15}
    with ft.float64():
        function = lower(one, (OUTPUT,))
        for margin in (-2000.0, -300.0, -30.0, -1.0, 0.25, 20.0, 300.0, 2000.0):
            with mpmath.workdps(1000):
                exact = float(sp.lambdify(OUTPUT, one, "mpmath")(mpmath.mpf(margin)))
            assert float(function(np.float64(margin))) == pytest.approx(exact, **tolerance), margin


def test_numeric_agrees_with_mpmath_at_high_precision():
    bound = 2 * sp.acosh(sp.sqrt((1 + mu) / 2) / mu)
    fast, exact = numeric(bound, (mu,)), numeric(bound, (mu,), "mpmath")
    grid = np.array([1e-8, 1e-3, 0.1, 0.2303, 0.9, 1.0])
    values = fast(grid)
    assert values.dtype == np.float64
    with mpmath.workdps(40):
        for m, value in zip(grid, values, strict=True):
            assert value == pytest.approx(float(exact(mpmath.mpf(m))), rel=1e-14, abs=1e-15)
    assert fast(0.01) == pytest.approx(9.913339, abs=5e-7)
    assert isinstance(fast(0.01), float)


def test_numeric_broadcasts_and_knows_our_heads():
    table = numeric(Ramp(z, sp.Rational(1, 4), 0) + 10 * Step(z, 0, 1) * mu, (z, mu))
    result = table(np.array([[-2.0], [0.0], [3.0]]), np.array([1.0, 2.0]))
    np.testing.assert_array_equal(result, [[-0.5, -0.5], [10.0, 20.0], [13.0, 23.0]])
    constant = numeric(sp.Rational(1, 3), (z,))
    np.testing.assert_array_equal(constant(np.zeros(2)), [1 / 3, 1 / 3])
    slow = numeric(Ramp(z, 0, 0) + Step(z, 0, 0), (z,), "mpmath")
    assert [slow(t) for t in (-1, 0, 2)] == [0, 0, 3]


def test_numeric_refuses_what_has_no_value():
    bound = numeric(sp.acosh(1 / mu), (mu,))
    with pytest.raises(ParameterError, match=r"acosh\(1/mu\) has no real value at mu = 2.0"):
        bound(np.array([0.5, 2.0]))
    assert bound(0.0) == np.inf
    with pytest.raises(ParameterError, match="contains f"):
        numeric(f * z, (z,))
