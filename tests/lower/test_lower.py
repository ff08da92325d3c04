"""Lowered functions against NumPy, mpmath and loops; refusals by name."""

import jax
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from symbolic.brute_force import evaluate

import flowtheory as ft
from flowtheory.errors import DataError, ParameterError, PrecisionError
from flowtheory.lower import lower
from flowtheory.symbolic.activation import Ramp, Step
from flowtheory.symbolic.index import index, size, sum_over, tensor

h, D, n = size("h"), size("D"), size("n")
j, k, p, q, i = map(index, "jkpqi")
W, x, v, c = tensor("W", h, D), tensor("x", n, D), tensor("v", h), tensor("c", n)
AXES = {j: h, k: h, p: D, q: D, i: n}
SIZES = {"h": 2, "D": 3, "n": 4}
RNG = np.random.default_rng(7)
ARRAYS = {
    "W": RNG.normal(size=(2, 3)),
    "x": RNG.normal(size=(4, 3)),
    "v": RNG.normal(size=2),
    "c": RNG.normal(size=4),
}

entries = st.sampled_from([W[j, p], W[k, q], x[i, p], x[i, q], v[j], v[k], c[i], n])
constants = st.sampled_from([sp.Rational(1, 3), sp.Integer(-2), sp.pi])


def _extend(children):
    sums = st.tuples(children, st.sampled_from(list(AXES))).map(
        lambda pair: sum_over(pair[0], (pair[1], AXES[pair[1]]))
    )
    pairs = st.tuples(children, children)
    heads = [sp.tanh, sp.sin, lambda e: Ramp(e, sp.Rational(1, 5), 0), lambda e: Step(e, 0, 0)]
    return st.one_of(
        sums,
        pairs.map(lambda ab: ab[0] + ab[1]),
        pairs.map(lambda ab: ab[0] * ab[1]),
        children.map(lambda a: a**2),
        st.tuples(children, st.sampled_from(heads)).map(lambda pair: pair[1](pair[0])),
    )


@given(st.recursive(st.one_of(entries, constants), _extend, max_leaves=5))
@settings(max_examples=80, deadline=None)
def test_any_expression_has_the_value_of_its_written_out_loops(expr):
    from flowtheory.symbolic.index import free_axes

    free = sorted(free_axes(expr), key=str)
    with ft.float64():
        result = np.asarray(lower(expr, (W, x, v, c), free)(*ARRAYS.values()))
    tensors = {name: sp.sympify(array.tolist()) for name, array in ARRAYS.items()}
    shape = tuple(SIZES[str(AXES[index_])] for index_ in free)
    assert result.shape == shape
    for position in np.ndindex(shape):
        at = {str(name): one + 1 for name, one in zip(free, position, strict=True)}
        expected = float(sp.N(evaluate(expr, tensors, SIZES, at), 30))
        assert result[position] == pytest.approx(expected, rel=1e-11, abs=1e-11)


def test_one_einsum_for_each_sum_and_nothing_is_scalarised():
    """The size of the program does not depend on the sizes of the arrays."""
    expr = sum_over(v[j] * Ramp(sum_over(W[j, p] * x[i, p], (p, D)), 0, 0), (j, h))
    function = lower(expr, (W, v, x), (i,))
    with ft.float64():
        texts = {
            str(jax.make_jaxpr(function)(np.ones((a, b)), np.ones(a), np.ones((m, b)))).count("\n")
            for a, b, m in [(2, 3, 4), (50, 60, 70)]
        }
        program = str(jax.make_jaxpr(function)(np.ones((2, 3)), np.ones(2), np.ones((4, 3))))
    assert len(texts) == 1
    assert program.count("dot_general") == 2


def test_numbers_are_rounded_once():
    a = sp.Symbol("a", real=True)
    with ft.float64():
        third = lower(sp.Rational(1, 3) + 0 * a, ())()
        assert float(third) == 1 / 3
        big = sp.Rational(10**40 + 1, 3 * 10**40)
        assert float(lower(big, ())()) == float(big.evalf(40))
        assert float(lower(sp.pi * a, (a,))(np.float64(1.0))) == np.pi
        assert float(lower(sp.sqrt(a), (a,))(np.float64(2.0))) == np.sqrt(2.0)


def test_a_repeated_index_is_a_diagonal_and_a_size_is_a_number():
    square = tensor("M", D, D)
    values = np.arange(9.0).reshape(3, 3)
    with ft.float64():
        assert float(lower(sum_over(square[p, p], (p, D)) / D, (square,))(values)) == 4.0
        assert np.array_equal(lower(square[q, p], (square,), (p, q))(values), values.T)


x_, f_ = sp.Symbol("x", real=True), sp.Function("g")
REFUSED = {
    "gamma": (sp.gamma(v[j]), (j,), r"cannot lower gamma\(v\[j\]\).*head gamma"),
    "heaviside": (sp.Heaviside(v[j]), (j,), "head Heaviside"),
    "undefined function": (f_(v[j]) + 1, (j,), r"cannot lower g\(v\[j\]\)"),
    "not an argument": (tensor("u", h)[j], (j,), "uses u, which is not an argument"),
    "unknown symbol": (x_ * v[j], (j,), "x: it is neither an argument nor a size"),
    "free index": (W[j, p], (j,), "has the free index p"),
    "index shift": (v[j + 1], (j,), r"has the index j \+ 1"),
    "output not there": (v[j], (j, p), "does not contain the output index p"),
    "two sizes": (sum_over(x[i, p], (i, D)), (p,), "sums i to D over an axis of size n"),
    "partial sum": (sp.Sum(v[j], (j, 2, h)), (), "does not run over a whole axis"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_lowered_is_refused_by_name(case):
    expr, outputs, message = REFUSED[case]
    with pytest.raises(ParameterError, match=message):
        lower(expr, (W, v, x), outputs)


def test_clashing_shapes_and_missing_arrays_are_refused():
    function = lower(sum_over(W[j, p] * x[i, p], (p, D)), (W, x), (j, i))
    with ft.float64():
        with pytest.raises(DataError, match="D is 3 in axis 1 of W but 4 in axis 1 of x"):
            function(np.ones((2, 3)), np.ones((5, 4)))
        with pytest.raises(DataError, match="W has shape"):
            function(np.ones(3), np.ones((5, 4)))
        with pytest.raises(DataError, match="1 arrays were given"):
            function(np.ones((2, 3)))


def test_float32_is_refused_and_not_silently_used():
    function = lower(v[j], (v,), (j,))
    with pytest.raises(PrecisionError):
        function(np.ones(3))
    with ft.float64(), pytest.raises(PrecisionError):
        function(np.ones(3, dtype=np.float32))
    assert not jax.config.jax_enable_x64
