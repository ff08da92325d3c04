"""Laws of leading flows, of one given flow, of momentum and metrics: counts and derivatives."""

from itertools import pairwise

import numpy as np
import pytest
import sympy as sp

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import ARGUMENT, Activation
from flowtheory.symbolic.conserve.architectures import linear
from flowtheory.symbolic.conserve.count import count_laws
from flowtheory.symbolic.conserve.family import (
    LEADING_ORDER,
    ONE_FLOW,
    all_data,
    gradients,
    leading_order,
    one_flow,
    vector_fields,
)
from flowtheory.symbolic.conserve.lie_rank import lie_rank
from flowtheory.symbolic.conserve.polynomial import show
from flowtheory.symbolic.conserve.search import is_law, polynomial_laws
from flowtheory.symbolic.effective import effective_flow
from flowtheory.symbolic.networks.fully_connected import two_layer


def matrix(name, rows, columns):
    return sp.Matrix(rows, columns, lambda i, j: sp.Symbol(f"{name}_{i + 1}_{j + 1}", real=True))


def power(p):
    return two_layer(Activation(f"z^{p}", ARGUMENT**p))


def neuron_laws(p, d, m):
    """p v_j^2 - |w_j|^2 of all neurons, up to sign."""
    W, v = matrix("W", m, d), [sp.Symbol(f"v_{j + 1}", real=True) for j in range(m)]
    return {sp.expand(sum(W[j, q] ** 2 for q in range(d)) - p * v[j] ** 2) for j in range(m)}


@pytest.mark.parametrize(
    ("d", "m", "p"),
    [
        *((2, m, 2) for m in (2, 3, 4, 5)),
        *((3, m, 2) for m in (2, 3, 4)),
        *((2, 2, 3), (2, 3, 3), (3, 3, 3)),
    ],
)
def test_one_law_a_neuron_for_multiplicity_two_and_more(d, m, p):
    count = count_laws(leading_order(effective_flow(power(p), "half_square"), {"D": d, "h": m}))
    assert (count.lower, count.upper, count.question) == (m, m, LEADING_ORDER)
    assert set(count.laws) == neuron_laws(p, d, m)


@pytest.mark.parametrize(("d", "m", "laws"), [(2, 2, 3), (3, 2, 3), (2, 4, 9)])
@pytest.mark.parametrize("sigma", ["tanh", "identity"])
def test_all_gram_differences_for_multiplicity_one(d, m, laws, sigma):
    count = count_laws(
        leading_order(effective_flow(two_layer(sigma), "half_square"), {"D": d, "h": m})
    )
    assert (count.lower, count.upper) == (laws, laws)


@pytest.mark.parametrize(("m", "p", "laws"), [(2, 2, 3), (3, 2, 5), (2, 3, 3)])
def test_one_dimensional_data_leave_one_direction_of_motion(m, p, laws):
    count = count_laws(leading_order(effective_flow(power(p), "half_square"), {"D": 1, "h": m}))
    assert (count.lower, count.upper, len(count.laws)) == (laws, laws, m)


def deep_power(widths, powers):
    """Fields of a^T (W_2 (W_1 z)^p1)^p2 ... over all data z."""
    layers = [matrix(f"W{k}", m, n) for k, (n, m) in enumerate(pairwise(widths), 1)]
    hidden = sp.Matrix(sp.symbols(f"z:{widths[0]}"))
    for layer, p in zip(layers, [*powers, 1], strict=True):
        hidden = (layer * hidden).applyfunc(lambda z, p=p: z**p)
    return gradients(map(sp.expand, hidden), [w for layer in layers for w in layer], LEADING_ORDER)


@pytest.mark.parametrize(
    ("widths", "powers", "laws"),
    [
        ((2, 2, 2, 1), (1, 1), 6),
        ((2, 3, 3, 1), (1, 1), 12),
        ((2, 2, 2, 1), (2, 1), 5),
        ((2, 2, 2, 1), (1, 2), 5),
        ((2, 2, 2, 1), (2, 2), 4),
        ((2, 3, 2, 1), (2, 2), 5),
        ((3, 3, 3, 1), (2, 2), 6),
        ((2, 2, 2, 2, 1), (2, 1, 1), 8),
        ((2, 2, 3, 1), (1, 2), 6),
        ((2, 3, 2), (2,), 3),
        ((2, 3, 2), (3,), 3),
        ((3, 2, 2), (2,), 2),
        ((2, 3, 3), (1,), 6),
    ],
)
def test_a_layer_keeps_its_gram_matrix_only_if_its_multiplicity_is_one(widths, powers, laws):
    count = count_laws(deep_power(widths, powers))
    assert (count.lower, count.upper) == (laws, laws)


def flow_of(potential):
    parameters = sorted(potential.free_symbols, key=str)
    return one_flow({s: sp.expand(potential.diff(s)) for s in parameters})


def test_one_given_linear_flow_has_more_laws():
    W, a = matrix("W", 2, 2), matrix("a", 1, 2)
    family = flow_of((a * W * sp.Matrix([1, 2]))[0])
    found = polynomial_laws(family)
    assert (len(found.span), len(found.independent), found.complete) == (9, 5, True)
    count = count_laws(family)
    assert (count.question, count.lower, count.upper) == (ONE_FLOW, 5, 5)


def test_one_given_three_layer_flow():
    W1, W2, a = matrix("W1", 2, 2), matrix("W2", 2, 2), matrix("a", 1, 2)
    found = polynomial_laws(flow_of((a * W2 * W1 * sp.Matrix([1, 2]))[0]))
    assert (len(found.span), len(found.independent), found.complete) == (11, 8, True)


@pytest.mark.parametrize(
    ("T", "laws"),
    [
        ([[1, 2], [2, 3]], 2),
        ([[1, 2], [2, -1]], 4),  # traceless: the product of the eigencoordinates
        ([[1, 2], [2, 4]], 4),  # rank one: a frozen direction
        ([[1, 0], [0, 2]], 2),  # w_1^2 / w_2 is a law, but no polynomial
    ],
)
def test_resonant_data_leave_more_laws_of_one_flow(T, laws):
    W, a = matrix("W", 2, 2), matrix("a", 1, 2)
    potential = sum(a[j] * (W[j, :] * sp.Matrix(T) * W[j, :].T)[0] for j in range(2))
    found = polynomial_laws(flow_of(sp.expand(potential)))
    assert (len(found.independent), found.complete) == (laws, True)


def two_factors(n, m, r):
    U, V = matrix("u", n, r), matrix("v", m, r)
    return [*U, *V], list((U * V.T).applyfunc(sp.expand))


@pytest.mark.parametrize(
    ("n", "m", "r", "laws"),
    [
        *((2, 2, 1, 0), (2, 2, 2, 1), (2, 2, 3, 3), (2, 2, 5, 10), (2, 2, 8, 28), (2, 2, 9, 36)),
        *((3, 2, 2, 1), (3, 3, 3, 3), (2, 1, 5, 10)),
        *((1, 1, 2, 2), (1, 1, 3, 6), (1, 1, 5, 14)),
    ],
)
@pytest.mark.parametrize("friction", [0, 3])
def test_momentum(n, m, r, laws, friction):
    place, phi = two_factors(n, m, r)
    velocity, t = [sp.Symbol(f"dot_{s}") for s in place], sp.Symbol("t")
    drift = {t: sp.S.One, **dict(zip(place, velocity, strict=True))}
    drift |= {v: -friction * v for v in velocity if friction}
    pushes = [{v: f.diff(s) for s, v in zip(place, velocity, strict=True)} for f in phi]
    family = vector_fields([drift, *pushes], [t, *place, *velocity], "momentum")
    assert family.dimension - lie_rank(family).rank == laws


@pytest.mark.parametrize(
    ("n", "m", "r", "laws"),
    [(2, 2, 1, 1), (2, 2, 2, 2), (3, 2, 2, 2), (3, 3, 3, 3), (2, 1, 3, 3), (1, 1, 2, 3)],
)
def test_multiplicative_metric_keeps_column_sums(n, m, r, laws):
    place, phi = two_factors(n, m, r)
    fields = [{s: s * f.diff(s) for s in place if f.has(s)} for f in phi]
    count = count_laws(vector_fields(fields, place, "multiplicative"), degree=1)
    assert (count.lower, count.upper) == (laws, laws)
    U, V = matrix("u", n, r), matrix("v", m, r)
    assert set(count.laws) == {sum(U[:, k]) - sum(V[:, k]) for k in range(r)}


def rationals(symbols, seed):
    rng = np.random.default_rng(seed)
    return {s: sp.Rational(int(rng.integers(-99, 100)), int(rng.integers(1, 30))) for s in symbols}


@pytest.mark.parametrize("widths", [(2, 3, 2), (3, 2, 2, 1), (2, 2, 1, 2)], ids=str)
def test_laws_along_the_gradient_of_the_loss_of_the_network_itself(widths):
    layers = [matrix(f"W{k}", m, n) for k, (n, m) in enumerate(pairwise(widths), 1)]
    parameters = [w for layer in layers for w in layer]
    rng = np.random.default_rng(5)
    loss = sp.S.Zero
    for _ in range(3):  # exact quartic loss on three random samples
        out = sp.Matrix(rng.integers(-9, 10, widths[0]))
        for layer in layers:
            out = layer * out
        loss += sum((f - int(rng.integers(-9, 10))) ** 4 / 7 for f in out)
    at = rationals(parameters, 6)
    velocity = {s: loss.diff(s).xreplace(at) for s in parameters}
    laws = count_laws(linear(widths)).laws
    assert laws
    for law in laws:
        assert sum(law.diff(s).xreplace(at) * velocity[s] for s in law.free_symbols) == 0
    wrong = laws[0] + parameters[0] ** 2
    assert sum(wrong.diff(s).xreplace(at) * velocity[s] for s in wrong.free_symbols) != 0


def test_laws_of_a_relu_network_along_its_own_gradient():
    count = count_laws(all_data(two_layer("relu"), {"D": 3, "h": 4}))
    assert (count.lower, count.upper) == (4, 4)
    W, v = matrix("W", 4, 3), [sp.Symbol(f"v_{j}", real=True) for j in range(1, 5)]
    at = rationals([*W, *v], 1)
    rng = np.random.default_rng(2)
    output = sp.S.Zero  # sum of slopes times outputs, with the patterns at this point
    for _ in range(5):
        z = W * sp.Matrix(rng.integers(-9, 10, 3))
        active = [j for j in range(4) if z[j].xreplace(at) > 0]
        output += int(rng.integers(1, 9)) * sum(v[j] * z[j] for j in active)
    velocity = {s: output.diff(s).xreplace(at) for s in (*W, *v)}
    assert all(velocity.values())
    for law in count.laws:
        assert sum(law.diff(s).xreplace(at) * velocity[s] for s in law.free_symbols) == 0


@pytest.mark.parametrize("extra", [(1, 2), (0, 1, 3)])
def test_a_perturbed_architecture_loses_laws(extra):
    plain = linear([2, 2, 2])
    W = plain.parameters
    phi = [
        sp.expand(sum(W[4 + 2 * i + k] * W[2 * k + j] for k in (0, 1))) for i, j in np.ndindex(2, 2)
    ]
    assert gradients(phi, W).fields == plain.fields
    # One entry of the map gets another term, as by a nonlinearity or a shared weight.
    phi[0] += sp.Mul(*(W[i] for i in extra))
    perturbed = gradients(phi, W)
    kept = count_laws(perturbed)
    assert kept.upper < count_laws(plain).lower
    laws = polynomial_laws(plain).span
    assert all(is_law(law, plain.fields) for law in laws)
    assert not all(is_law(law, perturbed.fields) for law in laws)


def test_balance_is_lost_beyond_leading_order():
    mixed = two_layer(Activation("z + z^2", ARGUMENT + ARGUMENT**2))
    count = count_laws(all_data(mixed, {"D": 2, "h": 2}), degree=3)
    assert (count.upper, count.laws) == (0, ())
    leading = count_laws(leading_order(effective_flow(mixed, "half_square"), {"D": 2, "h": 2}))
    assert leading.lower == 3


def bracket(X, Y, symbols):
    return Y.jacobian(symbols) * X - X.jacobian(symbols) * Y


def closure_rank(fields, symbols, seed):
    """The rank of the Lie algebra by symbolic brackets, at a random rational point."""
    at = rationals(symbols, seed)
    span, values, new = [], sp.zeros(0, len(symbols)), list(fields)
    while new:
        grown = []
        for field in new:
            rows = values.col_join(field.xreplace(at).T)
            if rows.rank() > values.rows:
                values, grown = rows, [*grown, field]
        span += grown
        new = [bracket(X, Y, symbols).applyfunc(sp.expand) for X in fields for Y in grown]
    return values.rows


def as_matrices(family):
    return [
        sp.Matrix([show(field.get(i, {}), family.parameters) for i in range(family.dimension)])
        for field in family.fields
    ]


@pytest.mark.parametrize(
    "family",
    [
        linear([2, 2, 2]),
        linear([2, 3, 1]),
        linear([1, 2, 2, 2]),
        linear([1, 2, 1, 2]),
        deep_power((2, 2, 1), (2,)),
        deep_power((2, 2, 2), (2,)),
    ],
    ids=["222", "231", "1222", "1212", "power", "vector-power"],
)
def test_the_transported_rank_is_that_of_symbolic_brackets(family):
    expected = closure_rank(as_matrices(family), family.parameters, seed=7)
    ranks = [lie_rank(family, seed=seed) for seed in range(3)]
    assert {found.rank for found in ranks} == {expected}
    assert all(list(r.history) == sorted(r.history) for r in ranks)


def test_a_small_characteristic_only_lowers_the_rank():
    family = linear([2, 3, 3, 2])
    ranks = {lie_rank(family, prime=101, seed=seed).rank for seed in range(10)}
    assert max(ranks) == lie_rank(family).rank == 9


def test_products_of_laws_are_in_the_span_and_no_new_law():
    found = polynomial_laws(linear([2, 2, 2]), degree=4)
    assert (len(found.span), len(found.independent), found.complete) == (9, 3, True)
    more = polynomial_laws(linear([2, 3, 2]), degree=4)
    assert (len(more.span), len(more.independent)) == (27, 6)


def test_laws_do_not_depend_on_seed_nor_on_the_order_of_parameters():
    x = sp.symbols("x1:7", real=True)
    phi = [x[0] * x[1] + x[2] * x[3], x[0] * x[4] + x[2] * x[5]]
    first = {sp.expand(law) for law in count_laws(gradients(phi, x)).laws}
    again = {sp.expand(law) for law in count_laws(gradients(phi, x), seed=9).laws}
    assert first == again
    turned = count_laws(gradients(phi[::-1], x[::-1]))
    assert (turned.lower, turned.upper) == (len(first), len(first)) == (3, 3)


def test_tanh_is_refused_with_the_way_out():
    with pytest.raises(ParameterError, match="leading flow"):
        all_data(two_layer("tanh"), {"D": 2, "h": 2})


def without_parity(dimension):
    """One flow whose terms of degrees 0 and 1 in every variable leave no grading."""
    x = sp.symbols(f"x1:{dimension + 1}", real=True)
    return one_flow({s: sum(x) + 1 for s in x})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: all_data(two_layer("relu"), {"D": 2}), "the size h is h"),
        (lambda: all_data(two_layer("relu"), {"D": 2, "h": 0}), "the size h is 0"),
        (lambda: gradients([sp.Symbol("x")], sp.symbols("y z")), "every field is zero"),
        (lambda: linear([2, 0]), "positive whole numbers"),
        (lambda: polynomial_laws(linear([2, 2, 2]), 0), "the degree is 0"),
        (lambda: polynomial_laws(linear([9, 9, 9]), 4), "monomials of degree 4"),
        (lambda: polynomial_laws(without_parity(30), 3), "no symmetry separates"),
        (lambda: lie_rank(linear([2, 2, 2]), patience=0), "patience is 0"),
    ],
)
def test_bad_input_gets_one_clear_error(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
