"""Taylor coefficients against mpmath; activations at 0 against the published table."""

import time

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from flowtheory.errors import ParameterError, UnknownNameError
from flowtheory.symbolic.activation import (
    ACTIVATIONS,
    ARGUMENT,
    Activation,
    find_activation,
    leaky_relu,
    relu_power,
)
from flowtheory.symbolic.ramp import Ramp
from flowtheory.symbolic.taylor import taylor

z = ARGUMENT
R = sp.Rational

# constant, p, c_p, q, c_q
TABLE = {
    "tanh": (0, 1, 1, 3, R(-1, 3)),
    "erf": (0, 1, 2 / sp.sqrt(sp.pi), 3, -2 / (3 * sp.sqrt(sp.pi))),
    "sin": (0, 1, 1, 3, R(-1, 6)),
    "sigmoid": (R(1, 2), 1, R(1, 4), 3, R(-1, 48)),
    "softplus": (sp.log(2), 1, R(1, 2), 2, R(1, 8)),
    "gelu": (0, 1, R(1, 2), 2, 1 / sp.sqrt(2 * sp.pi)),
    "silu": (0, 1, R(1, 2), 2, R(1, 4)),
    "z*tanh(z)": (0, 2, 1, 4, R(-1, 3)),
    "z**2*tanh(z)": (0, 3, 1, 5, R(-1, 3)),
    "sin(z)**2": (0, 2, 1, 4, R(-1, 3)),
    "cos-1": (0, 2, R(-1, 2), 4, R(1, 24)),
    "tanh(z) - z": (0, 3, R(-1, 3), 5, R(2, 15)),
    "identity": (0, 1, 1, None, 0),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_published_table(name):
    form = find_activation(name).local
    found = (
        form.constant,
        form.multiplicity,
        form.leading,
        form.next_order,
        form.next_coefficient,
    )
    assert form.analytic
    assert form.left == form.leading
    for value, expected in zip(found, TABLE[name], strict=True):
        assert value == expected or sp.simplify(value - expected) == 0


ATOMS = st.sampled_from([z, z / 2, 1 + z, z**2, 2 - z])
TREES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds(lambda a, b: a * b, inner, inner),
        st.builds(lambda a, b: a - 2 * b, inner, inner),
        st.builds(lambda f, a: f(a), st.sampled_from([sp.exp, sp.sin, sp.tanh, sp.erf]), inner),
        st.builds(lambda f, a: f(a), st.sampled_from([sp.cos, sp.sinh, sp.atan, sp.asinh]), inner),
        st.builds(lambda a: 1 / (3 + a**2), inner),
        st.builds(lambda a: sp.log(2 + sp.cos(a)), inner),
        st.builds(lambda a: sp.sqrt(2 + a**2), inner),
    ),
    max_leaves=4,
)


@settings(max_examples=15, deadline=None)
@given(TREES)
def test_coefficients_of_random_functions_against_mpmath(expr):
    order = 5
    coefficients = taylor(expr, z, order)
    with mpmath.workdps(60):
        function = sp.lambdify(z, expr, "mpmath")
        expected = mpmath.taylor(lambda t: mpmath.mpc(function(t)), 0, order)
        size = max(1, max(map(abs, expected)))
        for exact, number in zip(coefficients, expected, strict=True):
            assert abs(mpmath.mpc(sp.N(exact, 50)) - number) < 1e-25 * size


def test_removable_singularities_and_composition_with_noncentral_points():
    assert taylor(sp.sin(z) / z, z, 4) == (1, 0, R(-1, 6), 0, R(1, 120))
    assert taylor((sp.exp(z) - 1 - z) / z**2, z, 2) == (R(1, 2), R(1, 6), R(1, 24))
    assert taylor(sp.besselj(0, z), z, 4) == (1, 0, R(-1, 4), 0, R(1, 64))
    b = sp.Symbol("b", positive=True)
    assert taylor(z / (1 + sp.exp(-b * z)), z, 2) == (0, R(1, 2), b / 4)


def test_many_coefficients_are_found_in_a_blink():
    start = time.process_time()
    found = taylor(sp.tanh(z), z, 41)
    assert time.process_time() - start < 1
    bernoulli = 4**21 * (4**21 - 1) * sp.bernoulli(42) / sp.factorial(42)
    assert found[41] == bernoulli


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1/z", "a pole of order 1"),
        ("cos(z)/z**3", "a pole of order 3"),
        ("exp(1/z)", "an essential singularity"),
        ("exp(-1/z**2)", "an essential singularity"),
        ("log(z)", "a logarithmic branch point"),
        ("z**1.5", "a branch point"),
        ("sign(z)", "a jump"),
        ("max(z, 0) + z**2", "a non-smooth, non-homogeneous point"),
        ("tanh(abs(z))", "a non-smooth, non-homogeneous point"),
        ("max(z, -1)", "one elsewhere"),
        ("3", "constant up to order"),
        ("z*", "not a formula"),
        ("z + b", "b is not"),
        ("foo(z)", "foo is not a known function"),
        ("().__class__", "not arithmetic"),
        ("tanh(z, z)", "does not take 2"),
        ("9**9**9", "larger than 64"),
    ],
)
def test_refusals_name_the_reason(text, reason):
    with pytest.raises(ParameterError, match="(?s)" + reason):
        _ = find_activation(text).local


def test_a_function_that_is_flat_beyond_the_limit_is_refused():
    with pytest.raises(ParameterError, match="constant up to order 64"):
        _ = Activation("flat", sp.sin(z) ** 70).local
    assert Activation("high", sp.sin(z) ** 40).local.multiplicity == 40
    assert Activation("polynomial", z**2 + z**70).local.next_order == 70


def test_homogeneous_activations_and_their_sides():
    a = sp.Symbol("a", real=True)
    for activation, p, right, left in (
        (ACTIVATIONS["relu"], 1, 1, 0),
        (leaky_relu(a), 1, 1, a),
        (ACTIVATIONS["abs"], 1, 1, -1),
        (relu_power(3), 3, 1, 0),
        (find_activation("z*abs(z)"), 2, 1, -1),
        (find_activation("max(z,0)**2 - 3*min(z,0)**2"), 2, 1, -3),
        (find_activation(sp.Piecewise((z, z > 0), (z / 5, True))), 1, 1, R(1, 5)),
    ):
        form = activation.local
        assert (form.multiplicity, form.leading, form.left) == (p, right, left)
        assert not form.analytic
        assert form.next_order is None
        assert not activation.expression.has(sp.Abs, sp.Max, sp.Heaviside, sp.Piecewise)
        for point in (R(2, 3), R(-5, 7)):
            side = right if point > 0 else left
            assert sp.expand(activation(point) - side * point**p) == 0


def test_strings_and_expressions_name_the_same_activation():
    y = sp.Symbol("z")
    assert find_activation("z*tanh(z)") is ACTIVATIONS["z*tanh(z)"]
    assert find_activation(y * sp.tanh(y)).expression == z * sp.tanh(z)
    assert find_activation("max(z, 0)").expression == Ramp(z, 0, 0)
    assert find_activation("silu(2*z)").expression == 2 * z / (1 + sp.exp(-2 * z))
    with pytest.raises(UnknownNameError, match="did you mean 'softplus'"):
        find_activation("softpluss")
    with pytest.raises(ParameterError, match="symbols called z"):
        find_activation(sp.tanh(sp.Symbol("t")))
    with pytest.raises(ParameterError, match="power"):
        relu_power(1)
    centred = ACTIVATIONS["softplus"].centred()
    assert centred.local.constant == 0
    assert centred.taylor(2) == (0, R(1, 2), R(1, 8))
