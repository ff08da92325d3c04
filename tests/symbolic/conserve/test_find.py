"""Closed forms found at symbolic sizes, against automatic derivatives of the lowered loss."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import sympy as sp

import flowtheory as ft
from flowtheory.lower import lower
from flowtheory.symbolic import (
    ARCHITECTURES,
    Validity,
    effective_flow,
    find_loss,
    find_network,
    fully_connected,
    gram_difference,
    imbalance,
    leaky_relu,
    norm_difference,
    two_layer,
    validity,
)
from flowtheory.symbolic.conserve.closed_form import gram, square_norm
from flowtheory.symbolic.conserve.find import Scope, closed_laws
from flowtheory.symbolic.index import free_axes, index, size, sum_over, tensor
from flowtheory.symbolic.network import mean_loss
from flowtheory.symbolic.normal import is_zero
from flowtheory.symbolic.ramp import Ramp

LENGTHS = {"n": 7, "D": 3, "C": 2, "h": 4, "h1": 4, "h2": 3, "h3": 2, "r": 2, "T": 3, "S": 2}
LENGTHS |= {"R": 2, "R1": 2, "R2": 3, "D_A": 3, "D_B": 2}
LENGTHS |= {"h_A1": 2, "h_A2": 3, "h_B1": 3, "h_B2": 2}
FULL, LEADING = Validity.FULL_FLOW, Validity.LEADING_FLOW


def arrays(tensors, seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=[LENGTHS[str(extent)] for extent in base.shape]) for base in tensors]


def moved(quantity, network, energy, given, seed=0):
    """The rate of `quantity` along -grad `energy`, relative to the size of its terms."""
    free = list(free_axes(quantity))
    with ft.float64():
        theta, data = arrays(network.bases, seed), arrays(given, seed + 1)
        loss = lower(energy, (*network.bases, *given))
        force = jax.grad(loss, range(len(theta)))(*theta, *data)
        h = lower(quantity, network.bases, free)
        rate = jax.jvp(h, tuple(theta), tuple(-f for f in force))[1]
        parts = [
            jax.jvp(lower(term, network.bases, free), tuple(theta), tuple(force))[1]
            for term in sp.Add.make_args(quantity)
        ]
    off = ~np.eye(*rate.shape, dtype=bool) if len(free) == 2 else np.s_[...]
    scale = max(float(np.max(np.abs(np.asarray(part)))) for part in parts)
    return float(np.max(np.abs(np.asarray(rate)[off]))) / (scale or 1.0)  # 0: all stands still


def along_full(quantity, network, loss="logistic"):
    return moved(quantity, network, mean_loss(network, find_loss(loss)), network.data)


def along_leading(quantity, flow):
    given = [*network_inputs(flow.network), flow.weight.base]
    return moved(quantity, flow.network, -flow.potential, given)


def network_inputs(network):
    return [base for base in network.data if base != network.labels.base]


def check(law, flow):
    for quantity in (law.quantity, *law.implies):
        assert along_leading(quantity, flow) < 1e-12
        full = along_full(quantity, flow.network)
        assert full < 1e-12 if law.validity is FULL else full > 1e-5, quantity


EXPECTED = {  # of (activation), the validity, the scope, and the multiplicity p
    "relu": (FULL, Scope.UNITS, 1),
    "identity": (FULL, Scope.PAIRS, 1),
    "abs": (FULL, Scope.UNITS, 1),
    "relu**2": (FULL, Scope.UNITS, 2),
    "tanh": (LEADING, Scope.PAIRS, 1),
    "gelu": (LEADING, Scope.PAIRS, 1),
    "z*tanh(z)": (LEADING, Scope.UNITS, 2),
    "cos-1": (LEADING, Scope.UNITS, 2),
    "z**2*tanh(z)": (LEADING, Scope.UNITS, 3),
}
CASES = [
    *((activation, 2) for activation in EXPECTED),
    *((activation, 3) for activation in ("relu", "identity", "tanh", "cos-1", "z*tanh(z)")),
    ("tanh", 4),
]


@pytest.mark.parametrize(("activation", "layers"), CASES)
def test_fully_connected(activation, layers):
    flow = effective_flow(fully_connected(layers, activation), "logistic")
    held, scope, p = EXPECTED[activation]
    laws = closed_laws(flow)
    assert [(law.validity, law.scope) for law in laws] == [(held, scope)] * (layers - 1)
    degrees = flow.layer_degrees
    for law, inner, outer in zip(
        laws, flow.network.parameters, flow.network.parameters[1:], strict=False
    ):
        a = inner.indices[0]
        b = next(iter(free_axes(law.quantity).keys() - {a}), a)
        expected = gram(inner, 0, a, b) - p * gram(outer, len(outer.shape) - 1, a, b)
        assert is_zero(law.quantity - expected)
        d, e = degrees[str(inner.base)], degrees[str(outer.base)]
        assert is_zero(law.implies[-1] - d * norm_difference(inner, d, outer, e))
        assert d == p * e
        check(law, flow)


def test_the_forms_known_before_are_found():
    linear = two_layer("identity")
    W, v = linear.parameters
    (law,) = closed_laws(linear)
    assert is_zero(law.quantity + gram_difference(v, W))
    (law,) = closed_laws(two_layer("relu**2"))
    assert is_zero(law.quantity + imbalance(two_layer("relu**2"), 2))


def test_the_older_proof_agrees():
    """`validity` differentiates along the field of an arbitrary loss and multiplies all out."""
    for activation in ("relu", "tanh", "z*tanh(z)"):
        flow = effective_flow(fully_connected(2, activation), "half_square")
        for law in closed_laws(flow):
            assert validity(law.quantity, flow) is law.validity


@pytest.mark.parametrize("activation", ["relu", "z*tanh(z)", "relu**2"])
def test_off_diagonals_are_refused_without_linear_layers(activation):
    flow = effective_flow(two_layer(activation), "half_square")
    (law,) = closed_laws(flow)
    W, v = flow.network.parameters
    j, k = index("j"), index("k")
    p = EXPECTED[activation][2]
    pair = gram(W, 0, j, k) - p * gram(v, 0, j, k)
    assert law.scope is Scope.UNITS
    assert along_leading(pair, flow) > 1e-3
    assert along_leading(law.quantity, flow) < 1e-12


# Two pairs of consecutive layers, and: biases that stand still at leading order, a second branch,
# blocks that do so beside a readout.
COUNTS = {
    "fully-connected-biases": 5,
    "fully-connected-vector-biases": 5,
    "late-fusion": 4,
    "residual": 6,
}


@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - {"fully-connected"}))
def test_every_architecture_has_laws_that_hold(name):
    flow = effective_flow(find_network(name, 3), "half_square")
    laws = closed_laws(flow)
    assert len(laws) == COUNTS.get(name, 2)
    for law in laws:
        check(law, flow)


def test_diagonal_networks_have_one_law_a_coordinate():
    laws = closed_laws(find_network("diagonal-linear", 3))
    u1, u2, u3 = find_network("diagonal-linear", 3).parameters
    assert [law.quantity for law in laws] == [u1**2 - u2**2, u2**2 - u3**2]
    assert {law.scope for law in laws} == {Scope.UNITS}


def test_a_leaky_slope_may_stay_a_symbol():
    (law,) = closed_laws(two_layer(leaky_relu(sp.Symbol("a", real=True))))
    assert is_zero(law.quantity + imbalance(two_layer("relu")))


# Networks of no registry: tensors are known by their shapes alone.
X = tensor("x", size("n"), size("D"))
I, J, P, O = index("i"), index("j"), index("p"), index("o")  # noqa: E741
H, D, C, R = size("h"), size("D"), size("C"), size("r")
W, V, B = tensor("W", H, D)[J, P], tensor("v", H)[J], tensor("b", H)[J]
Z = sum_over(W * X[I, P], (P, D))


def relu(z):
    return Ramp(z, 0, 0)


def network(name, output, *parameters, **changes):
    return replace(two_layer("relu"), name=name, output=output, parameters=parameters, **changes)


def biased(sigma):
    return network("with biases", sum_over(V * sigma(Z + B), (J, H)), W, B, V)


def test_biases_count_with_the_weights_of_their_layer():
    (law,) = closed_laws(biased(relu))
    assert (law.scope, law.validity) == (Scope.UNITS, FULL)
    assert is_zero(law.quantity - (gram(W, 0, J, J) + B**2 - V**2))
    assert along_full(law.quantity, biased(relu)) < 1e-12
    flow = effective_flow(biased(sp.tanh), "half_square")
    (law,) = closed_laws(flow)
    assert (law.scope, law.validity) == (Scope.PAIRS, LEADING)
    check(law, flow)


def lora():
    rows, A = tensor("B", C, R)[O, index("r")], tensor("A", R, D)[index("r"), P]
    frozen = tensor("W0", C, D)[O, P]
    output = sum_over((frozen + sum_over(rows * A, (index("r"), R))) * X[I, P], (P, D))
    return network("low rank", output, A, rows, axes=((I, size("n")), (O, C)))


def late_fusion():
    other = {t: tensor(f"{t}2", *s) for t, s in (("W", (H, D)), ("v", (H,)))}
    second = sum_over(other["v"][J] * sum_over(other["W"][J, P] * X[I, P], (P, D)), (J, H))
    output = sum_over(V * Z, (J, H)) + second
    return network("fusion", output, W, V, other["W"][J, P], other["v"][J])


def residual():
    U = tensor("U", D, H)
    q = index("q")
    block = X[I, q] + sum_over(U[q, J] * relu(Z), (J, H))
    last = tensor("a", D)
    return network("residual", sum_over(last[q] * block, (q, D)), W, U[q, J], last[q])


def convolution():
    T, S, t, s = size("T"), size("S"), index("t"), index("s")
    patches = tensor("x", size("n"), T, S)[I, t, s]
    K, A = tensor("K", H, S)[J, s], tensor("A", H, T)[J, t]
    output = sum_over(A * relu(sum_over(K * patches, (s, S))), (J, H), (t, T))
    return network("convolution", output, K, A, inputs=patches)


@pytest.mark.parametrize(
    ("make", "scope", "count"),
    [
        (lora, Scope.PAIRS, 1),
        (late_fusion, Scope.PAIRS, 2),
        (residual, Scope.UNITS, 1),
        (convolution, Scope.UNITS, 1),
    ],
)
def test_architectures_that_the_search_has_never_seen(make, scope, count):
    built = make()
    laws = closed_laws(built)
    assert [law.scope for law in laws] == [scope] * count
    given = {t.base for t in built.output.atoms(sp.Indexed)} - set(built.bases)
    data = [*sorted(given, key=str), built.labels.base]
    energy = mean_loss(built, find_loss("half_square"))
    for law in laws:
        for quantity in (law.quantity, *law.implies):
            assert moved(quantity, built, energy, data) < 1e-12


def test_a_law_of_whole_tensors_is_found_where_units_have_none():
    a, b = tensor("a", D)[P], tensor("b", D)[P]
    output = sum_over(a * X[I, P], (P, D)) ** 2 * sum_over(b * X[I, P], (P, D))
    (law,) = closed_laws(network("product", output, a, b))
    assert law.scope is Scope.TENSORS
    assert is_zero(law.quantity - (square_norm(a) - 2 * square_norm(b)))


def test_a_tensor_of_higher_order_stands_still_at_leading_order():
    U = tensor("U", H, D)[J, P]
    late = sum_over(sum_over(U * X[I, P], (P, D)) ** 5, (J, H))
    built = network("late", sum_over(V * sp.tanh(Z), (J, H)) + late, W, V, U)
    laws = closed_laws(effective_flow(built, "half_square"))
    assert [(law.scope, law.validity) for law in laws] == [
        (Scope.ENTRIES, LEADING),
        (Scope.PAIRS, LEADING),
    ]
    assert laws[0].quantity == U


def test_a_law_of_the_full_flow_stands_beside_a_stronger_one_of_the_leading_flow():
    output = sum_over(V * Z + (V * Z) ** 3, (J, H))
    flow = effective_flow(network("mixed", output, W, V), "half_square")
    laws = closed_laws(flow)
    assert [(law.scope, law.validity) for law in laws] == [
        (Scope.UNITS, FULL),
        (Scope.PAIRS, LEADING),
    ]
    assert along_full(laws[0].quantity, flow.network) < 1e-12
    assert along_full(laws[1].quantity, flow.network) > 1e-3


def test_a_network_without_laws_has_none():
    assert closed_laws(two_layer("tanh")) == ()
    assert closed_laws(fully_connected(3, "sigmoid")) == ()
    assert closed_laws(find_network("deep-linear", 1)) == ()


def test_a_law_prints_itself():
    (law,) = closed_laws(two_layer("relu"))
    assert str(law) == "d/dt (Σ_p W_jp² - v_j²) = 0 for every unit"
    assert law._repr_latex_().startswith(r"$\frac{d}{dt}")
    assert law.statement.rhs == 0
