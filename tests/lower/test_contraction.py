"""Contractions and programs: values against NumPy, structure against the program by hand."""

from collections import Counter
from functools import cache
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import flowtheory as ft
from flowtheory.lower import lower, lower_all, lower_field
from flowtheory.lower.contraction import contract_arrays
from flowtheory.symbolic import find_network
from flowtheory.symbolic.field import gradient_flow
from flowtheory.symbolic.index import index, size, sum_over, tensor
from flowtheory.symbolic.loss import find_loss
from flowtheory.symbolic.network import mean_loss, total_loss

h, D, n = size("h"), size("D"), size("n")
j, k, p, q, i = map(index, "jkpqi")
W, x, v = tensor("W", h, D), tensor("x", n, D), tensor("v", h)
LENGTHS = (2, 3, 4, 5)


@st.composite
def contractions(draw):
    labels = st.lists(st.integers(0, 3), unique=True, min_size=1, max_size=3).map(tuple)
    operands = draw(st.lists(labels, min_size=1, max_size=5))
    present = sorted({i for own in operands for i in own})
    return operands, tuple(draw(st.lists(st.sampled_from(present), unique=True)))


@given(contractions())
@settings(max_examples=50, deadline=None)
def test_any_contraction_is_that_of_numpy(case):
    labels, out = case
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=[LENGTHS[i] for i in own]) for own in labels]
    with ft.float64():
        result = contract_arrays(list(zip(map(jnp.asarray, arrays), labels, strict=True)), out)
    expected = np.einsum(*(a for pair in zip(arrays, labels, strict=True) for a in pair), out)
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)


def _primitives(function, *shapes):
    """How often each primitive occurs, calls opened."""
    found = Counter()

    def visit(jaxpr):
        for equation in jaxpr.eqns:
            inner = [p for p in equation.params.values() if hasattr(p, "jaxpr")]
            for one in inner:
                visit(one.jaxpr)
            if not inner:
                found[equation.primitive.name] += 1

    with ft.float64():
        visit(jax.make_jaxpr(function)(*(np.ones(shape) for shape in shapes)).jaxpr)
    return found


def _largest(function, *shapes):
    """The number of entries of the largest intermediate array."""
    with ft.float64():
        jaxpr = jax.make_jaxpr(function)(*(np.ones(shape) for shape in shapes))
    return max(int(np.prod(v.aval.shape)) for e in jaxpr.jaxpr.eqns for v in e.outvars)


def test_sums_that_differ_in_the_names_of_their_indices_are_one_operation():
    first = sum_over(v[j] * sp.tanh(sum_over(W[j, p] * x[i, p], (p, D))), (j, h))
    second = sum_over(v[k] * sp.tanh(sum_over(W[k, q] * x[i, q], (q, D))), (k, h))
    free = sp.tanh(sum_over(W[k, q] * x[i, q], (q, D)))
    shapes = (5, 3), (5,), (7, 3)
    one = _primitives(lower(sp.sin(first), (W, v, x), (i,)), *shapes)
    assert one["dot_general"] == 2
    pair = lower_all([(sp.sin(first) * sp.cos(second), (i,)), (free, (k, i))], (W, v, x))
    both = _primitives(pair, *shapes)
    assert both["dot_general"] == 2
    assert both["tanh"] == 1


def test_a_product_of_many_tensors_forms_no_outer_product():
    """sum_ijkl a_ij b_jk c_kl u_l with long axes: vectors all the way."""
    axes = [size(name) for name in ("A", "B", "C", "E")]
    a, b, c = (tensor(name, *axes[m : m + 2]) for m, name in enumerate("abc"))
    u, w = tensor("u", axes[3]), tensor("w", axes[0])
    o, r, s, t = map(index, ("o", "r", "s", "t"))
    body = w[o] * a[o, r] * b[r, s] * c[s, t] * u[t]
    expr = sum_over(body, *zip((o, r, s, t), axes, strict=True))
    shapes = (40, 50), (50, 60), (60, 70), (70,), (40,)
    assert _largest(lower(expr, (a, b, c, u, w)), *shapes) <= 70


def _by_hand(layers):
    def loss(parameters, x, y):
        signal = x
        for weight in parameters[:-1]:
            signal = jnp.tanh(signal @ weight.T)
        return jnp.mean((y - signal @ parameters[-1]) ** 2) / 2

    return loss


def _shapes(layers):
    widths = [3, *(5 + layer for layer in range(layers - 1))]
    hidden = [(b, a) for a, b in pairwise(widths)]
    return [*hidden, (widths[-1],)], (7, 3), (7,)


@pytest.mark.parametrize("layers", [2, 3, 4])
def test_the_lowered_loss_is_the_program_by_hand(layers):
    """As many matrix products and activations, forward and backward, as the code by hand."""
    network = find_network("fully-connected", layers, "tanh")
    lowered = lower(mean_loss(network, find_loss("half_square")), (*network.bases, *network.data))
    parameters, *data = _shapes(layers)
    everything = *parameters, *data
    count = len(parameters)
    hand = _by_hand(layers)

    def flat(*arrays):
        return hand(arrays[:count], *arrays[count:])

    for ours, theirs in (
        (lowered, flat),
        (jax.value_and_grad(lowered, range(count)), jax.value_and_grad(flat, range(count))),
    ):
        a, b = _primitives(ours, *everything), _primitives(theirs, *everything)
        assert a["dot_general"] == b["dot_general"]
        assert a["tanh"] == b["tanh"] == layers - 1
        assert a.total() <= b.total()


@pytest.mark.parametrize("layers", [2, 3, 4, 5])
@pytest.mark.parametrize("activation", ["tanh", "gelu", "z**2*tanh(z)"])
def test_the_symbolic_gradient_costs_as_many_matrix_products_as_back_propagation(
    layers, activation
):
    """Forward L, backward L - 2 through the layers, and one for each of the L gradients."""
    network = find_network("fully-connected", layers, activation)
    field = gradient_flow(total_loss(network, find_loss("half_square")), network.parameters)
    function = lower_field(field, network.data)
    parameters, *data = _shapes(layers)
    names = tuple(map(str, network.bases))

    def flat(*arrays):
        return function(dict(zip(names, arrays, strict=False)), *arrays[len(names) :])

    found = _primitives(flat, *parameters, *data)
    assert found["dot_general"] <= 3 * layers - 2
    if activation == "tanh":
        assert found["tanh"] == layers - 1


def test_a_factor_of_a_matrix_product_meets_its_smaller_operand():
    """v_k sum_i s_ki a_qi: v multiplies s, and nothing but the product has the axes [k, q]."""
    first, second = tensor("s", h, n), tensor("a", D, n)
    expr = -2 * v[k] * sum_over(first[k, i] * second[q, i], (i, n))
    function = lower(expr, (first, second, v), (k, q))
    shapes = (60, 5), (50, 5), (60,)
    with ft.float64():
        equations = jax.make_jaxpr(function)(*map(np.ones, shapes)).jaxpr.eqns
        result = function(*map(np.ones, shapes))
    wide = [e.primitive.name for e in equations if e.outvars[0].aval.shape in {(60, 50), (50, 60)}]
    assert wide.count("dot_general") == 1
    assert set(wide) <= {"dot_general", "transpose"}
    assert np.all(np.asarray(result) == -10.0)


def test_a_contraction_with_another_use_is_not_computed_twice():
    z = sum_over(W[j, p] * x[i, p], (p, D))
    function = lower(v[j] * z + sp.tanh(z), (W, x, v), (j, i))
    found = _primitives(function, (5, 3), (7, 3), (5,))
    assert found["dot_general"] == 1


@given(
    st.integers(2, 4),
    st.lists(st.integers(1, 6), min_size=5, max_size=5),
    st.sampled_from(["tanh", "silu", "z*tanh(z)", "sin"]),
    st.sampled_from(["logistic", "half_square", "exponential"]),
)
@settings(max_examples=12, deadline=None)
def test_symbolic_gradients_of_random_sizes_are_the_automatic_ones(layers, lengths, act, loss):
    """Every order of the axes occurs: the layout follows the sizes."""
    function, energy, network = _network_functions(layers, act, loss)
    size_of = dict(zip(("n", "D", "h1", "h2", "h3"), lengths, strict=True)) | {"h": lengths[2]}
    rng = np.random.default_rng(0)
    bases = (*network.bases, *network.data)
    arrays = [rng.normal(size=[size_of[str(extent)] for extent in base.shape]) for base in bases]
    names = tuple(map(str, network.bases))
    with ft.float64():
        state = dict(zip(names, arrays, strict=False))
        rates = jax.jit(function)(state, *arrays[len(names) :])
        automatic = jax.jit(jax.grad(energy, range(len(names))))(*arrays)
    for name, expected in zip(names, automatic, strict=True):
        scale = float(np.max(np.abs(expected)))
        np.testing.assert_allclose(rates[name], -expected, rtol=0, atol=1e-12 * scale + 1e-300)


@cache
def _network_functions(layers, activation, loss):
    network = find_network("fully-connected", layers, activation)
    energy = total_loss(network, find_loss(loss))
    field = gradient_flow(energy, network.parameters)
    lowered = lower(energy, (*network.bases, *network.data))
    return lower_field(field, network.data), lowered, network
