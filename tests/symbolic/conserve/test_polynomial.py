"""Sparse polynomials against SymPy."""

import pytest
import sympy as sp

from flowtheory.errors import ParameterError
from flowtheory.symbolic.conserve.polynomial import (
    along,
    gradient_field,
    partial,
    read,
    read_field,
    show,
    times,
)

X, Y, Z = THREE = sp.symbols("x y z", real=True)
F, G = 3 * X**3 * Y - Y**2 + 5, X * Y * Z - 2 * X**2 + 7 * Z


def integers(expr):
    return {m: int(c) for m, c in read(expr, THREE).items()}


def test_arithmetic_is_that_of_sympy():
    f, g = integers(F), integers(G)
    assert show(f, THREE) == F
    assert sp.expand(show(times(f, g), THREE) - F * G) == 0
    for i, symbol in enumerate(THREE):
        assert show(partial(f, i), THREE) == sp.diff(F, symbol)
    derivative = show(along(f, gradient_field(g)), THREE)
    by_hand = sum(sp.diff(F, s) * sp.diff(G, s) for s in THREE)
    assert sp.expand(derivative - by_hand) == 0


def test_fields_are_scaled_to_primitive_integers():
    field = read_field({0: X / 3 + Y / 2, 2: 4 * Z}, THREE)
    assert field == {0: {(0,): 2, (1,): 3}, 2: {(2,): 24}}


def test_a_common_irrational_factor_is_dropped():
    field = read_field({0: sp.sqrt(2) * X / 3, 2: sp.sqrt(8) * Z}, THREE)
    assert field == {0: {(0,): 1}, 2: {(2,): 6}}


@pytest.mark.parametrize(
    "bad", [sp.sqrt(2) * X + Y, 0.5 * X, sp.Symbol("forgotten") * X, sp.exp(X), sp.pi * X + Y]
)
def test_coefficients_must_be_rational(bad):
    with pytest.raises(ParameterError, match=r"rational|not a polynomial"):
        read_field({0: bad}, THREE)
