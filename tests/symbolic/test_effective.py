"""Effective flow and conserved quantities against written-out scalar calculus."""

from dataclasses import replace

import pytest
import sympy as sp
from symbolic.brute_force import evaluate

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import ARGUMENT, Activation, leaky_relu
from flowtheory.symbolic.conserve import imbalance, is_conserved, residual
from flowtheory.symbolic.direction import neuron_flow
from flowtheory.symbolic.effective import effective_flow
from flowtheory.symbolic.field import gradient_flow
from flowtheory.symbolic.index import sum_over
from flowtheory.symbolic.loss import ANY_LOSS, LOSSES
from flowtheory.symbolic.network import INPUT_DIMENSION, SAMPLES, WIDTH, total_loss
from flowtheory.symbolic.networks.fully_connected import two_layer

R = sp.Rational
SIZES = {"h": 2, "D": 2, "n": 3}
TENSORS = {
    "W": [[R(2, 3), R(-3, 5)], [R(1, 7), R(4, 3)]],
    "x": [[R(1), R(-1, 2)], [R(3, 4), R(2)], [R(-1), R(1, 3)]],
    "v": [R(5, 4), R(-7, 6)],
    "c": [R(3, 2), R(-5, 3), R(1, 9)],
}


@pytest.mark.parametrize("slope", [0, R(1, 10), 1])
def test_the_field_equals_the_one_written_by_hand(slope):
    sigma = leaky_relu(slope)
    flow = effective_flow(two_layer(sigma), "exponential")
    W, v = flow.network.parameters
    for j in (1, 2):
        w, out = TENSORS["W"][j - 1], TENSORS["v"][j - 1]
        margins = [sum(a * b for a, b in zip(w, x, strict=True)) for x in TENSORS["x"]]
        gates = [1 if z > 0 else slope for z in margins]
        attraction = [
            sum(c * g * x[p] for c, g, x in zip(TENSORS["c"], gates, TENSORS["x"], strict=True))
            for p in (0, 1)
        ]
        for p in (1, 2):
            at = {"j": j, "p": p}
            assert evaluate(flow.field[W], TENSORS, SIZES, at) == out * attraction[p - 1]
        inner = sum(a * b for a, b in zip(w, attraction, strict=True))
        assert evaluate(flow.field[v], TENSORS, SIZES, {"j": j}) == inner


@pytest.mark.parametrize("name", [name for name in LOSSES if not LOSSES[name].couples])
def test_degree_gap_and_weights(name):
    flow = effective_flow(two_layer(), name)
    y = sp.Symbol("y")
    slopes = {"logistic": y / 2, "square": 2 * y, "mse": 2 * y, "binary_cross_entropy": y - R(1, 2)}
    assert (flow.degree, flow.gap, flow.time_exponent) == (2, 2, 0)
    (label,) = flow.weight_value.atoms(sp.Indexed)
    assert sp.expand(flow.weight_value.xreplace({label: y}) - slopes.get(name, y)) == 0
    assert flow.reduction == ("mean" if "mse" in name else "sum")
    assert flow.field.decoupled()


def test_sizes_stay_symbols():
    flow = effective_flow(two_layer(), "logistic")
    extents = {limit[2] for node in flow.potential.atoms(sp.Sum) for limit in node.limits}
    assert extents == {WIDTH, INPUT_DIMENSION, SAMPLES}


@pytest.mark.parametrize(
    "sigma", ["relu", "identity", leaky_relu(sp.Symbol("a", real=True))], ids=str
)
def test_balance_holds_for_every_loss_and_every_homogeneous_activation(sigma):
    network = two_layer(sigma)
    full = gradient_flow(total_loss(network, ANY_LOSS), network.parameters)
    assert is_conserved(imbalance(network), full)
    assert is_conserved(imbalance(network), effective_flow(network, "exponential").field)


def test_what_is_not_conserved_is_not_called_conserved():
    network = two_layer()
    W, v = network.parameters
    full = gradient_flow(total_loss(network, ANY_LOSS), network.parameters)
    norm2 = sum_over(W**2, (W.indices[1], INPUT_DIMENSION))
    for wrong in (v**2 + norm2, v**2 - 2 * norm2, v - norm2, imbalance(network) ** 2 * v):
        assert not is_conserved(wrong, full)
    # It is a genuinely non-zero rate, and not one that the normal form fails to reduce.
    at = {"j": 1}
    effective = effective_flow(network, "exponential").field
    assert evaluate(residual(v**2 + norm2, effective), TENSORS, SIZES, at) != 0


def test_balance_fails_for_tanh_in_the_full_flow():
    network = two_layer("tanh")
    full = gradient_flow(total_loss(network, ANY_LOSS), network.parameters)
    assert not is_conserved(imbalance(network), full)


def test_the_leading_flow_of_tanh_is_that_of_the_linear_network():
    tanh, linear = (effective_flow(two_layer(s), "exponential") for s in ("tanh", "identity"))
    assert tanh.field == linear.field
    assert neuron_flow(tanh).attraction == neuron_flow(linear).attraction


def test_a_network_that_does_not_split_into_neurons_is_refused():
    squared = two_layer(Activation("square", ARGUMENT**2))
    flow = effective_flow(squared, "exponential")
    assert (flow.degree, flow.gap) == (3, 3)
    with pytest.raises(ParameterError, match="is not w' = v a"):
        neuron_flow(flow)


def test_a_force_beside_the_attraction_is_refused():
    """A skip connection from the hidden weights: decoupled, but w' is not v a(w)."""
    network = two_layer()
    W, x = network.parameter("W"), network.inputs
    (j, p) = W.indices
    skip = sum_over(W * x, (p, INPUT_DIMENSION), (j, WIDTH))
    flow = effective_flow(replace(network, output=network.output + skip), "exponential")
    assert flow.degree == 1
    with pytest.raises(ParameterError, match="is not w' = v a"):
        neuron_flow(flow)
    squared = replace(network, output=network.output + skip**2)
    with pytest.raises(ParameterError, match="is not w' = v a"):
        neuron_flow(effective_flow(squared, "exponential"))
