"""The expansion in the scale against the written-out loss: each truncation has its stated order."""

from itertools import pairwise

import mpmath
import pytest
import sympy as sp
from symbolic.brute_force import evaluate

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import Ramp, leaky_relu
from flowtheory.symbolic.expand import BIG_O, SCALE, expand_in_scale
from flowtheory.symbolic.index import index, size, sum_over, tensor
from flowtheory.symbolic.loss import ANY_LOSS, LOSSES, AnyLoss, find_loss
from flowtheory.symbolic.network import labels, total_loss
from flowtheory.symbolic.networks.fully_connected import two_layer

SIZES = {"h": 2, "D": 2, "n": 3}
R = sp.Rational
TENSORS = {
    "W": sp.Array([[R(2, 3), R(-3, 5)], [R(1, 7), R(4, 3)]]),
    "x": sp.Array([[R(1), R(-1, 2)], [R(3, 4), R(2)], [R(-1), R(1, 3)]]),
    "v": sp.Array([R(5, 4), R(-7, 6)]),
    "y": sp.Array([1, -1, 1]),
}


def _number(expr, scale=1):
    tensors = {
        name: (array * scale if name in "Wv" else array).tolist() for name, array in TENSORS.items()
    }
    return mpmath.mpf(sp.N(evaluate(sp.sympify(expr), tensors, SIZES), 80))


@pytest.mark.parametrize("sigma", ["relu", "tanh", leaky_relu(R(1, 10))], ids=str)
@pytest.mark.parametrize("name", [name for name in LOSSES if not LOSSES[name].couples])
def test_each_truncation_has_the_order_of_the_next_term(name, sigma):
    network = two_layer(sigma)
    energy = total_loss(network, find_loss(name))
    expansion = expand_in_scale(energy, dict.fromkeys(network.bases, 1), 8)
    powers = [*expansion.powers]
    assert powers[:3] == [0, 2, 4]
    with mpmath.workdps(80):
        coefficients = {power: _number(expansion[power]) for power in powers}
        for kept, following in pairwise(powers):
            errors = []
            for scale in (R(1, 10**6), R(1, 10**7)):
                series = sum(
                    c * mpmath.mpf(sp.N(scale, 80)) ** m
                    for m, c in coefficients.items()
                    if m <= kept
                )
                errors.append(abs(_number(energy, scale) - series))
            assert mpmath.log10(errors[0] / errors[1]) == pytest.approx(following, abs=1e-5)


def test_the_structure_for_an_arbitrary_loss():
    network = two_layer()
    y, f = labels(), network.output
    expansion = expand_in_scale(total_loss(network, ANY_LOSS), dict.fromkeys(network.bases, 1), 4)
    (i,) = y.indices
    n = y.shape[0]
    assert expansion[2] == sum_over(AnyLoss(y, 0, 1) * f, (i, n))
    assert expansion[4] == sum_over(AnyLoss(y, 0, 2) * f**2, (i, n)) / 2
    assert (expansion.degree, expansion.gap, expansion.exact) == (2, 2, False)


def test_a_homogeneous_output_is_exact_and_has_no_remainder():
    network = two_layer()
    expansion = expand_in_scale(network.output, dict.fromkeys(network.bases, 1), 5)
    assert expansion.up_to(5) == SCALE**2 * network.output
    assert expansion.exact
    layerwise = dict(zip(network.bases, (1, 3), strict=True))
    assert expand_in_scale(network.output, layerwise, 5).powers == (4,)


def test_the_remainder_names_the_first_term_left_out():
    network = two_layer()
    energy = total_loss(network, find_loss("half_square"))
    expansion = expand_in_scale(energy, dict.fromkeys(network.bases, 1), 8)
    assert expansion.up_to(2).has(BIG_O(SCALE**4))
    assert not expansion.up_to(4).has(BIG_O)


def test_a_kink_between_two_powers_is_refused():
    w, b = tensor("w", size("h")), tensor("b", size("h"))
    j = index("j")
    with pytest.raises(ParameterError, match="powers"):
        expand_in_scale(Ramp(w[j] + b[j], 0, 0), {w: 1, b: 2}, 4)
    assert expand_in_scale(Ramp(w[j] + b[j], 0, 0), {w: 1, b: 1}, 4).powers == (1,)
