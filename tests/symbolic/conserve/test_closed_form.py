"""Laws in index notation, for every size: proved, and lost where they should be."""

import pytest
import sympy as sp

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import ARGUMENT, Activation, find_activation, leaky_relu
from flowtheory.symbolic.conserve.architectures import linear, relu_paths
from flowtheory.symbolic.conserve.closed_form import (
    Validity,
    gram_difference,
    imbalance,
    is_conserved,
    norm_difference,
    residual,
    validity,
)
from flowtheory.symbolic.conserve.count import count_laws
from flowtheory.symbolic.conserve.family import all_data
from flowtheory.symbolic.effective import effective_flow
from flowtheory.symbolic.field import gradient_flow
from flowtheory.symbolic.index import index, size, sum_over, tensor
from flowtheory.symbolic.loss import ANY_LOSS, AnyLoss
from flowtheory.symbolic.network import (
    COORDINATE,
    INPUT_DIMENSION,
    NEURON,
    SAMPLE,
    SAMPLES,
    WIDTH,
    Network,
    labels,
    total_loss,
)
from flowtheory.symbolic.networks.fully_connected import two_layer
from flowtheory.symbolic.normal import is_zero, normal


def deep(layers, activation="identity"):
    """Any number of layers with scalar output and symbolic widths m1, m2, ..."""
    sigma = find_activation(activation)
    sizes = [INPUT_DIMENSION, *(size(f"m{k}") for k in range(1, layers))]
    units = [COORDINATE, *(index(f"k_{k}") for k in range(1, layers))]
    hidden = x = tensor("x", SAMPLES, INPUT_DIMENSION)[SAMPLE, COORDINATE]
    parameters = []
    for k in range(1, layers):
        W = tensor(f"W{k}", sizes[k], sizes[k - 1])[units[k], units[k - 1]]
        hidden = sigma(sum_over(W * hidden, (units[k - 1], sizes[k - 1])))
        parameters.append(W)
    v = tensor("v", sizes[-1])[units[-1]]
    output = sum_over(v * hidden, (units[-1], sizes[-1]))
    return Network(f"{layers}-layer network", output, (*parameters, v), x)


def full_flow(network):
    return gradient_flow(total_loss(network, ANY_LOSS), network.parameters)


@pytest.mark.parametrize("layers", [2, 3, 4])
def test_gram_differences_of_deep_linear_networks(layers):
    network = deep(layers)
    flow = full_flow(network)
    for inner, outer in zip(network.parameters, network.parameters[1:], strict=False):
        law = gram_difference(outer, inner)
        assert len({s for s in law.free_symbols if str(s).startswith(str(inner.shape[0]))}) >= 2
        assert is_conserved(law, flow)
        a_gram = next(term for term in sp.Add.make_args(law) if term.has(inner.base))
        assert not is_conserved(law + a_gram, flow)
        assert not is_conserved(a_gram, flow)


def test_a_nonlinearity_leaves_only_the_diagonal():
    relu, linear_network = two_layer("relu"), two_layer("identity")
    law = gram_difference(linear_network.parameter("v"), linear_network.parameter("W"))
    assert is_conserved(law, full_flow(linear_network))
    assert not is_conserved(law, full_flow(relu))
    a, b = index("j"), index("k")
    assert {a, b} <= law.free_symbols
    diagonal = normal(law.subs(b, a) - imbalance(relu))
    assert diagonal == 0


def test_closed_form_is_what_the_search_finds():
    # The entries (1, 1), (1, 2), (2, 2) of the Gram difference at d = 3, m = 2.
    found = set(count_laws(all_data(two_layer("identity"), {"D": 3, "h": 2})).laws)
    W = [[sp.Symbol(f"W_{j}_{p}", real=True) for p in (1, 2, 3)] for j in (1, 2)]
    v = [sp.Symbol(f"v_{j}", real=True) for j in (1, 2)]
    expected = {
        sum(x * y for x, y in zip(W[a], W[b], strict=True)) - v[a] * v[b]
        for a, b in ((0, 0), (0, 1), (1, 1))
    }
    assert found == expected
    assert len(count_laws(linear([3, 2, 1])).laws) == 3


@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize(
    ("activation", "factorization"),
    [
        ("identity", linear),
        ("relu", relu_paths),
        (leaky_relu(sp.Symbol("a", real=True)), relu_paths),
    ],
    ids=["identity", "relu", "leaky"],
)
def test_a_network_in_index_notation_counts_as_its_factorization(layers, activation, factorization):
    widths = [2, 3, 2, 1] if layers == 3 else [2, 3, 1]
    sizes = {"D": 2, "m1": 3, "m2": 2}
    written = count_laws(all_data(deep(layers, activation), sizes))
    direct = count_laws(factorization(widths))
    assert written.proved
    assert (written.parameters, written.upper) == (direct.parameters, direct.upper)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_validity_for_powers_and_what_has_them_as_leading_order(p):
    power = effective_flow(two_layer(Activation("power", ARGUMENT**p)), "half_square")
    assert validity(imbalance(power.network, p), power) is Validity.FULL_FLOW
    assert validity(imbalance(power.network, p + 1), power) is Validity.NOT_PROVED
    tanh = Activation("z^(p-1) tanh z", ARGUMENT ** (p - 1) * sp.tanh(ARGUMENT))
    flow = effective_flow(two_layer(tanh), "logistic")
    assert flow.degree == p + 1
    assert validity(imbalance(flow.network, p), flow) is Validity.LEADING_FLOW


def test_norm_differences_of_layers():
    # a (W z)^2: degree 1 in a, 2 in W; every layer moves its |.|^2 at the rate 2 d_l k H.
    flow = effective_flow(two_layer(Activation("square", ARGUMENT**2)), "half_square")
    W, v = flow.network.parameters
    assert validity(norm_difference(v, 1, W, 2), flow) is Validity.FULL_FLOW
    assert validity(norm_difference(v, 1, W, 1), flow) is Validity.NOT_PROVED
    W1, W2, out = deep(3).parameters
    three = full_flow(deep(3))
    assert is_conserved(norm_difference(W1, 1, W2, 1), three)
    assert is_conserved(norm_difference(W2, 1, out, 1), three)


@pytest.mark.parametrize("sigma", [sp.tanh(ARGUMENT), sp.exp(ARGUMENT), ARGUMENT**2 + ARGUMENT])
def test_imbalance_moves_by_the_defect_of_eulers_identity(sigma):
    r"""d/dt (v_j^2 - |w_j|^2) = -2 v_j sum_i l'(f_i) (sigma(z_ji) - sigma'(z_ji) z_ji)."""
    network = two_layer(Activation("smooth", sigma))
    W, v = network.parameters
    z = sum_over(W * network.inputs, (COORDINATE, INPUT_DIMENSION))
    slope = AnyLoss(labels(), network.output, sp.Integer(1))
    defect = (sigma - sigma.diff(ARGUMENT) * ARGUMENT).xreplace({ARGUMENT: z})
    expected = -2 * v * sum_over(slope * defect, (SAMPLE, SAMPLES))
    rate = residual(imbalance(network), full_flow(network))
    assert rate != 0
    assert is_zero(rate - expected)
    assert NEURON in rate.free_symbols
    assert WIDTH in rate.free_symbols


def test_layers_that_do_not_follow_each_other_are_refused():
    W1, W2, v = deep(3).parameters
    with pytest.raises(ParameterError, match="last size of the outer"):
        gram_difference(v, W1)
    with pytest.raises(ParameterError, match="last size of the outer"):
        gram_difference(W1, W2)
