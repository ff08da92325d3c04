"""Contraction, normal form and differentiation against written-out scalar expressions."""

from fractions import Fraction

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from symbolic.brute_force import evaluate, symbols
from sympy import KroneckerDelta

from flowtheory.symbolic.activation import Ramp, Step, euler
from flowtheory.symbolic.contract import contract, replace_entries
from flowtheory.symbolic.differentiate import gradient
from flowtheory.symbolic.index import index, size, sum_over, tensor, tidy
from flowtheory.symbolic.normal import fold, is_zero, normal

h, D, n = size("h"), size("D"), size("n")
SIZES = {"h": 2, "D": 3, "n": 2}
j, k, p, q, i = map(index, "jkpqi")
W, x, v, c = tensor("W", h, D), tensor("x", n, D), tensor("v", h), tensor("c", n)
AT = {"j": 1, "k": 2, "p": 1, "q": 3, "i": 2}
NUMBERS = {
    "W": [[2, -3, 5], [7, 11, -13]],
    "x": [[1, 4, -2], [3, -5, 6]],
    "v": [17, -19],
    "c": [23, 29],
}
TENSORS = {name: sp.sympify(value) for name, value in NUMBERS.items()}
AXES = {j: h, k: h, p: D, q: D, i: n}

entries = st.sampled_from([W[j, p], W[k, q], W[j, q], x[i, p], x[i, q], v[j], v[k], c[i], n, D])
deltas = st.sampled_from([KroneckerDelta(j, k), KroneckerDelta(p, q)])
numbers = st.fractions(-3, 3, max_denominator=4).map(
    lambda f: sp.Rational(f.numerator, f.denominator)
)


def _extend(children):
    sums = st.tuples(children, st.sampled_from(list(AXES))).map(
        lambda pair: sum_over(pair[0], (pair[1], AXES[pair[1]]))
    )
    pairs = st.tuples(children, children)
    return st.one_of(
        sums,
        pairs.map(lambda ab: ab[0] + ab[1]),
        pairs.map(lambda ab: ab[0] * ab[1]),
        children.map(lambda a: a**2),
        children.map(lambda a: Ramp(a, 0, 0)),
    )


expressions = st.recursive(st.one_of(entries, deltas, numbers), _extend, max_leaves=6)


@given(expressions)
@settings(max_examples=150, deadline=None)
def test_rewriting_keeps_the_value(expr):
    value = evaluate(expr, TENSORS, SIZES, AT)
    assert evaluate(contract(expr), TENSORS, SIZES, AT) == value
    assert evaluate(tidy(contract(expr)), TENSORS, SIZES, AT) == value
    assert evaluate(normal(expr), TENSORS, SIZES, AT) == value
    assert evaluate(euler(expr), TENSORS, SIZES, AT) == value


@given(expressions, expressions)
@settings(max_examples=60, deadline=None)
def test_is_zero_sees_distributivity_and_renaming(a, b):
    assert is_zero((a + b) ** 2 - a**2 - 2 * b * a - b * b)
    assert is_zero(sum_over(a, (p, D)) * b - b * sum_over(a, (p, D)))


def test_is_zero_sees_any_renaming_of_bound_indices():
    M, G = tensor("M", D, D), tensor("G", h, h)
    axes = ((p, D), (q, D), (j, h), (k, h))
    one = sum_over(W[j, p] * W[k, q] * M[p, q] * G[j, k] * v[k], *axes)
    other = sum_over(W[k, q] * W[j, p] * M[q, p] * G[k, j] * v[j], *axes)
    assert is_zero(one - other)
    assert not is_zero(one - sum_over(W[j, p] * W[k, q] * M[p, q] * G[k, j] * v[k], *axes))


@pytest.mark.parametrize(
    "wrong",
    [
        sum_over(W[j, p] * W[k, p], (p, D)) - sum_over(W[j, p] ** 2, (p, D)),
        sum_over(v[j], (j, h)) ** 2 - sum_over(v[j] ** 2, (j, h)),
        sum_over(Step(W[j, p], 0, 0), (p, D)) - sum_over(Step(-W[j, p], 0, 0), (p, D)),
        sum_over(W[j, p] * W[k, p], (p, D), (j, h)) - sum_over(W[j, p] * W[k, p], (p, D), (k, h)),
    ],
)
def test_is_zero_does_not_confuse_different_sums(wrong):
    assert not is_zero(wrong)


def test_delta_contraction_including_products_and_nesting():
    expr = sum_over(
        KroneckerDelta(j, k) * v[j] * sum_over(KroneckerDelta(p, q) * x[i, p], (p, D)), (j, h)
    )
    assert contract(expr) == v[k] * x[i, q]
    hidden = sum_over((KroneckerDelta(j, k) + v[j]) * v[j], (j, h))
    assert is_zero(hidden - v[k] - sum_over(v[j] ** 2, (j, h)))
    assert contract(sum_over(sp.Integer(1), (i, n))) == n


polynomials = st.recursive(entries, lambda s: _extend(s), max_leaves=5)


@given(polynomials)
@settings(max_examples=60, deadline=None)
def test_gradient_is_the_scalar_derivative(expr):
    written = {
        name: symbols(name, *shape)
        for name, shape in {"W": (2, 3), "x": (2, 3), "v": (2,), "c": (2,)}.items()
    }
    r, s = index("r"), index("s")
    derived = evaluate(gradient(expr, W[r, s]), written, SIZES, AT | {"r": 1, "s": 3})
    expected = evaluate(expr, written, SIZES, AT).diff(written["W"][0][2])
    assert sp.expand(derived - expected) == 0


def test_gradient_with_clashing_names():
    """The target's indices are also bound in the expression."""
    expr = sum_over(W[j, p] * W[j, p], (p, D), (j, h))
    assert gradient(expr, W[j, p]) == 2 * W[j, p]


def test_fold_and_replace_entries():
    R, u = tensor("R", h, positive=True), tensor("u", h, D)
    norm = replace_entries(sp.sqrt(sum_over(W[j, q] ** 2, (q, D))), {W[j, p]: R[j] * u[j, p]})
    assert fold(contract(norm), {sum_over(u[j, p] ** 2, (p, D)): sp.Integer(1)}) == R[j]


def test_brute_force_evaluates_what_it_should():
    value = evaluate(sum_over(W[j, p] * x[i, p], (p, D)), TENSORS, SIZES, {"j": 2, "i": 1})
    assert value == Fraction(7 * 1 + 11 * 4 + 13 * 2)
