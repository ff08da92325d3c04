import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy as sp
from symbolic.brute_force import evaluate

import flowtheory as ft
from flowtheory.errors import ParameterError, UnknownNameError
from flowtheory.symbolic.activation import (
    ARGUMENT,
    Ramp,
    Step,
    find_activation,
    leaky_relu,
    relu,
)
from flowtheory.symbolic.index import tensor
from flowtheory.symbolic.leading import leading_flow
from flowtheory.symbolic.loss import ANY_LOSS, LABEL, LOSSES, OUTPUT, AnyLoss, Loss, find_loss
from flowtheory.symbolic.network import CLASS, CLASSES
from flowtheory.symbolic.networks.fully_connected import fully_connected

z, a, k = sp.symbols("z a k", real=True)


def test_the_derivative_of_relu_has_the_stated_value_at_the_kink():
    assert relu()(z).diff(z) == Step(z, 0, 0)
    for at_kink in (0, sp.Rational(1, 2), 1):
        derivative = relu(at_kink)(z).diff(z)
        values = [derivative.subs(z, t) for t in (-2, 0, 3)]
        assert values == [0, at_kink, 1]


def test_leaky_relu_with_a_symbolic_slope():
    sigma = leaky_relu(a, k)
    assert [sigma(sp.Integer(t)) for t in (-2, 0, 3)] == [-2 * a, 0, 3]
    assert [sigma(z).diff(z).subs(z, t) for t in (-2, 0, 3)] == [a, k, 1]
    slope_derivative = sigma(z).diff(a)
    assert [slope_derivative.subs(z, t) for t in (-2, 0, 3)] == [-2, 0, 0]


def test_no_distribution_appears_in_any_derivative():
    first = (relu()(z) ** 2 * sp.exp(-relu()(z))).diff(z)
    for expr in (first, first.diff(z), first.diff(z).diff(z)):
        assert not expr.has(sp.Heaviside, sp.DiracDelta, sp.Derivative)


def test_chain_rule_through_the_kinked_function():
    assert Ramp(z**2 - 1, 0, 0).diff(z) == 2 * z * Step(z**2 - 1, 0, 0)


def test_equal_activations_are_equal_objects():
    assert relu() == relu()
    assert hash(leaky_relu(sp.Rational(1, 10))) == hash(leaky_relu(sp.Rational(1, 10)))
    assert relu() != relu(1)
    assert find_activation("tanh")(ARGUMENT) == sp.tanh(ARGUMENT)


def test_bad_activations_are_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'relu'"):
        find_activation("rellu")
    with pytest.raises(ParameterError, match="slope"):
        leaky_relu(sp.I)


@pytest.mark.parametrize("name", [name for name in LOSSES if not LOSSES[name].couples])
@pytest.mark.parametrize("y", [-1, 1])
def test_slope_and_curvature_against_numerical_differentiation(name, y):
    loss = find_loss(name)
    value = sp.lambdify(OUTPUT, loss.expression.subs(LABEL, y), "mpmath")
    with mpmath.workdps(40):
        slope = -mpmath.diff(value, 0)
        curvature = mpmath.diff(value, 0, 2)
        assert abs(slope - mpmath.mpf(sp.Rational(loss.slope.subs(LABEL, y)))) < 1e-15
        assert abs(curvature - mpmath.mpf(sp.Rational(loss.curvature.subs(LABEL, y)))) < 1e-15


def test_the_clock_of_each_loss():
    without = {"binary_cross_entropy", "softmax_cross_entropy"}
    slopes = {name: loss.reference_slope for name, loss in LOSSES.items() if name not in without}
    assert slopes == {
        "exponential": 1,
        "logistic": sp.Rational(1, 2),
        "two_logistic": 1,
        "half_square": 1,
        "square": 2,
        "half_mse": 1,
        "mse": 2,
    }
    assert find_loss("logistic").clock("mean").rate(4) == 0.125
    assert find_loss("mse").clock().rate(4) == 0.5
    with pytest.raises(ParameterError, match="slope of the loss"):
        find_loss("binary_cross_entropy").clock()


def test_the_loss_of_a_formula():
    y, f = sp.symbols("y f")
    loss = find_loss((y - f) ** 4 / 4)
    assert loss.slope == LABEL**3
    assert loss.curvature == 3 * LABEL**2
    with pytest.raises(ParameterError, match="contains a"):
        find_loss(sp.Symbol("a") * f)


def test_softmax_cross_entropy_against_automatic_differentiation():
    """Slope and curvature at a constant output, in three classes."""
    loss, sizes = find_loss("softmax_cross_entropy"), {"C": 3}
    y, s = tensor("y", CLASSES)[CLASS], tensor("s", CLASSES)[CLASS]
    labels, level = np.array([0.0, 1.0, 0.0]), np.array([0.3, -0.2, 0.9])
    tensors = {"y": [0, 1, 0], "s": [sp.Rational(3, 10), sp.Rational(-1, 5), sp.Rational(9, 10)]}

    def value(f):
        return jax.nn.logsumexp(f) - jnp.dot(labels, f)

    axes = ((CLASS, CLASSES),)
    with ft.float64():
        for level_expr, point in ((s, level), (sp.S.Zero, np.zeros(3))):
            slope, curvature = -jax.grad(value)(point), jax.hessian(value)(point)
            for o in (1, 2, 3):
                at = {"o": o}
                mine = evaluate(loss.slope_at(y, level_expr, axes), tensors, sizes, at)
                assert float(mine) == pytest.approx(float(slope[o - 1]), abs=1e-15)
                for a in (1, 2, 3):
                    both = {"o": o, "o'": a}
                    mine = evaluate(loss.curvature_at(y, level_expr, axes), tensors, sizes, both)
                    assert float(mine) == pytest.approx(float(curvature[o - 1, a - 1]), abs=1e-15)


def test_softmax_cross_entropy_needs_several_outputs():
    with pytest.raises(ParameterError, match="several outputs"):
        leading_flow(fully_connected(2), "softmax_cross_entropy")


def test_a_loss_that_has_no_reference_clock_says_so():
    with pytest.raises(ParameterError, match="slope of the loss"):
        _ = Loss("odd", (OUTPUT - LABEL**2) ** 2).reference_slope
    with pytest.raises(ParameterError, match="contains m"):
        Loss("hinge", sp.Symbol("m") - OUTPUT)
    with pytest.raises(UnknownNameError):
        find_loss("logistics")


def test_an_arbitrary_loss_differentiates_in_the_output_only():
    assert ANY_LOSS.derivative(2) == AnyLoss(LABEL, OUTPUT, 2)
    chain = ANY_LOSS(LABEL, sp.sin(z)).diff(z)
    assert chain == sp.cos(z) * AnyLoss(LABEL, sp.sin(z), 1)
