"""Data moments: exact coefficients, and the form with its derivatives, against dense tensors."""

from itertools import product

import numpy as np
import pytest
import sympy as sp
from symbolic.brute_force import evaluate
from symbolic.forms import contracted, dense, random_data

from flowtheory.symbolic import data_moment, moment_definition, tensor_moment


@pytest.mark.parametrize(("p", "name"), [(1, "z"), (2, "M"), (3, "T_3"), (4, "T_4")])
def test_the_named_moment_is_the_tensor(p, name):
    entry, value = moment_definition(p)
    assert str(entry.base) == name
    X, c = [[2, sp.Rational(-1, 3)], [1, 4], [-3, 1]], [1, sp.Rational(-2, 5), 3]
    moment = data_moment(X, c, p)
    for at in product((1, 2), repeat=p):
        free = {str(q): k for q, k in zip(entry.indices, at, strict=True)}
        written = evaluate(value, {"x": X, "c": c}, {"n": 3, "D": 2}, free)
        assert moment.coefficient((at.count(1), at.count(2))) == written


@pytest.mark.parametrize("p", [1, 2, 3, 4])
def test_both_kinds_of_moments_give_value_gradient_and_hessian(p):
    X, c = random_data(p, 3, 0)
    T = dense(X, c, p)
    U = np.random.default_rng(p).normal(size=(5, 3))
    for moment in (data_moment(X, c, p), tensor_moment(T)):
        for u, value, gradient, hessian in zip(
            U, moment.value(U), moment.gradient(U), moment.hessian(U), strict=True
        ):
            assert value == pytest.approx(contracted(T, u, p), rel=1e-12)
            np.testing.assert_allclose(gradient, p * contracted(T, u, p - 1), rtol=1e-11)
            if p > 1:
                expected = p * (p - 1) * contracted(T, u, p - 2)
                np.testing.assert_allclose(hessian, expected, rtol=1e-11)
        at = dict(zip(moment.polynomial.gens, U[0], strict=True))
        assert float(moment.polynomial.as_expr().subs(at)) == pytest.approx(moment.value(U)[0])


def test_floats_are_taken_as_the_dyadic_numbers_that_they_are():
    assert data_moment([[0.1]], [1.0], 3).coefficient((3,)) == sp.Rational(0.1) ** 3
    big = data_moment([[10**12, 1]], [1], 2)
    assert big.exact
    assert big.coefficient((2, 0)) == 10**24
    assert not data_moment([[sp.sqrt(2)]], [1], 2).exact
