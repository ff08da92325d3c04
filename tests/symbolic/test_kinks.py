import pytest
import sympy as sp

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import Ramp, Step
from flowtheory.symbolic.index import index, size, sum_over, tensor
from flowtheory.symbolic.kinks import freeze, switching_surfaces
from flowtheory.symbolic.loss import find_loss
from flowtheory.symbolic.network import (
    COORDINATE,
    INPUT_DIMENSION,
    NEURON,
    SAMPLE,
    SAMPLES,
    WIDTH,
    total_loss,
)
from flowtheory.symbolic.networks.fully_connected import two_layer
from flowtheory.symbolic.normal import is_zero

P = tensor("P", WIDTH, SAMPLES)


def test_the_surfaces_of_the_two_layer_network():
    network = two_layer()
    W, x = network.parameter("W"), network.inputs
    inner = sum_over(W * x, (COORDINATE, INPUT_DIMENSION))
    (surface,) = network.surfaces
    assert surface.equation == sp.Eq(inner, 0)
    (of_loss,) = switching_surfaces(total_loss(network, find_loss("logistic")))
    assert of_loss == surface
    assert two_layer("tanh").surfaces == ()


def test_distinct_arguments_are_distinct_surfaces():
    w = tensor("w", WIDTH)
    expr = Ramp(w[NEURON], 0, 0) + Step(w[NEURON], 0, 0) * Ramp(w[NEURON] - 1, 0, 0)
    assert len(switching_surfaces(expr)) == 2
    with pytest.raises(ParameterError, match="several kinked layers"):
        freeze(expr, tensor("P", WIDTH))


def test_freezing_makes_the_network_linear_in_each_layer():
    network = two_layer()
    W, v = network.parameters
    frozen = freeze(network.output, P)
    expected = sum_over(
        v * P[NEURON, SAMPLE] * W * network.inputs,
        (COORDINATE, INPUT_DIMENSION),
        (NEURON, WIDTH),
    )
    assert is_zero(frozen - expected)
    assert not frozen.has(Ramp, Step)


def test_a_pattern_of_the_wrong_shape_is_refused():
    other = size("m")
    for shape in ((WIDTH,), (WIDTH, other), (SAMPLES, other)):
        with pytest.raises(ParameterError, match="the pattern P has shape"):
            freeze(two_layer().output, tensor("P", *shape))


def test_the_axes_of_the_pattern_may_come_in_any_order():
    flipped = freeze(two_layer().output, tensor("P", SAMPLES, WIDTH))
    (entry,) = (e for e in flipped.atoms(sp.Indexed) if str(e.base) == "P")
    assert entry.indices[0] == index("i")
