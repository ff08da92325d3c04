"""The leading flow of deep networks against the full loss at several scales, in mpmath."""

import time
from itertools import product
from random import Random

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from symbolic.brute_force import evaluate

from flowtheory.errors import ParameterError, UnknownNameError
from flowtheory.symbolic.effective import effective_flow
from flowtheory.symbolic.loss import LABEL, find_loss
from flowtheory.symbolic.network import mean_loss, total_loss
from flowtheory.symbolic.networks.fully_connected import fully_connected
from flowtheory.symbolic.networks.registry import find_network

SIZES = {"n": 3, "D": 2, "C": 2, "h": 2, "h1": 2, "h2": 3, "h3": 2}
FUNCTIONS = {
    "tanh": mpmath.tanh,
    "z*tanh(z)": lambda z: z * mpmath.tanh(z),
    "gelu": lambda z: z * mpmath.ncdf(z),
}
LOSSES = {
    "half_square": lambda y, f: (y - f) ** 2 / 2,
    "logistic": lambda y, f: mpmath.log1p(mpmath.exp(-y * f)),
}


def _values(bases):
    """Nested lists of fixed rational numbers of both signs."""

    def fill(shape, seed):
        if not shape:
            return sp.Rational((7 * seed * seed + 3) % 23 - 11, 9)
        return [fill(shape[1:], 5 * seed + k + 2) for k in range(shape[0])]

    return {
        str(base): fill([SIZES[str(extent)] for extent in base.shape], position + 1)
        for position, base in enumerate(bases)
    }


def _full_loss(network, sigma, loss, tensors, scale):
    """The loss at scaled parameters, by loops over numbers."""
    *hidden, last = [_numbers(tensors[str(base)], scale) for base in network.bases]
    total = mpmath.mpf(0)
    for x, y in zip(_numbers(tensors["x"]), _numbers(tensors["y"]), strict=True):
        signal = x
        for weight in hidden:
            signal = [sigma(mpmath.fdot(row, signal)) for row in weight]
        total += loss(y, mpmath.fdot(last, signal))
    return total


def _numbers(array, scale=1):
    if isinstance(array, list):
        return [_numbers(part, scale) for part in array]
    return mpmath.mpf(array.p) / array.q * scale


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("activation", "layers", "degree", "gap"),
    [
        ("tanh", 2, 2, 2),
        ("tanh", 3, 3, 2),
        ("tanh", 4, 4, 2),
        ("z*tanh(z)", 2, 3, 2),
        ("z*tanh(z)", 3, 7, 2),
        ("gelu", 2, 2, 1),
        ("gelu", 3, 3, 1),
    ],
)
def test_degree_gap_and_coefficients_extracted_from_the_full_loss(
    activation, layers, degree, gap, loss
):
    network = fully_connected(layers, activation)
    flow = effective_flow(network, loss)
    assert (flow.degree, flow.gap) == (degree, gap)
    tensors = _values((*network.bases, *network.data))
    with mpmath.workdps(120):
        args = network, FUNCTIONS[activation], LOSSES[loss], tensors
        start = _full_loss(*args, 0)
        scales = [mpmath.mpf(10) ** -m for m in (8, 9)]
        drops = [_full_loss(*args, scale) - start for scale in scales]
        slope = mpmath.log10(abs(drops[0] / drops[1]))
        assert slope == pytest.approx(degree, abs=1e-6)
        coefficient, following = (
            mpmath.mpmathify(sp.N(evaluate(flow.expansion[m], tensors, SIZES), 100))
            for m in (degree, degree + gap)
        )
        rest = [d - coefficient * s**degree for d, s in zip(drops, scales, strict=True)]
        assert mpmath.log10(abs(rest[0] / rest[1])) == pytest.approx(degree + gap, abs=1e-6)
        assert abs(rest[1] / scales[1] ** (degree + gap) / following - 1) < 1e-6
        weights = {"c": [flow.loss.slope.subs(LABEL, value) for value in tensors["y"]]}
        potential = sp.N(evaluate(flow.potential, tensors | weights, SIZES), 100)
        assert abs(mpmath.mpmathify(potential) / coefficient + 1) < 1e-90


def test_the_field_is_the_gradient_of_the_potential_in_scalar_calculus():
    flow = effective_flow(fully_connected(3, "z*tanh(z)"), "exponential")
    network = flow.network
    numbers = _values((*network.bases, network.inputs.base, flow.weight.base))
    t = sp.Symbol("t", real=True)
    for entry in network.parameters:
        name = str(entry.base)
        at = {str(i): 2 for i in entry.indices}
        moved = {**numbers, name: [_copy(row) for row in numbers[name]]}
        row = moved[name]
        for i in entry.indices[:-1]:
            row = row[at[str(i)] - 1]
        row[1] += t
        potential = evaluate(flow.potential, moved, SIZES)
        rate = evaluate(flow.field[entry], numbers, SIZES, at)
        assert rate == sp.expand(potential).coeff(t, 1)


def _copy(row):
    return list(row) if isinstance(row, list) else row


def test_a_gap_between_loss_and_activation():
    """Linear and ReLU: the next term is the square of the output; odd smooth: the activation."""
    for activation, layers, gap in (("identity", 3, 3), ("relu", 4, 4), ("cos-1", 2, 2)):
        assert effective_flow(fully_connected(layers, activation), "half_square").gap == gap
    flow = effective_flow(find_network("deep-linear", 3), "half_square")
    assert flow.expansion.exact
    assert flow.expansion.powers == (0, 3, 6)


def test_multiplicity_three_and_four_layers():
    flow = effective_flow(fully_connected(4, "z**2*tanh(z)"), "logistic")
    assert (flow.degree, flow.gap, flow.time_exponent) == (40, 2, 38)
    assert flow.layer_degrees == {"W1": 27, "W2": 9, "W3": 3, "v": 1}


def test_the_derivation_for_four_layers_takes_less_than_a_second():
    effective_flow(fully_connected(3, "tanh"), "half_square")
    start = time.process_time()
    flow = effective_flow(fully_connected(4, "tanh"), "half_square")
    assert len(flow.equations) == 4
    assert time.process_time() - start < 1


def test_the_equations_of_three_layers_are_those_of_the_literature():
    """a' = W c, b_i' = c_i a, c_i' = <a, b_i> for the projections c on the data moment."""
    flow = effective_flow(fully_connected(3, "tanh"), "half_square")
    numbers = _values((*flow.network.bases, flow.network.inputs.base, flow.weight.base))
    W1, W2, v = (sp.Matrix(numbers[name]) for name in ("W1", "W2", "v"))
    moment = sp.Matrix(numbers["x"]).T * sp.Matrix(numbers["c"])
    expected = {"W1": W2.T * v * moment.T, "W2": v * (W1 * moment).T, "v": W2 * W1 * moment}
    for entry in flow.network.parameters:
        matrix = expected[str(entry.base)]
        for row, column in product(range(matrix.rows), range(matrix.cols)):
            at = {str(i): k for i, k in zip(entry.indices, (row + 1, column + 1), strict=False)}
            assert evaluate(flow.field[entry], numbers, SIZES, at) == matrix[row, column]


def test_a_linear_model_has_no_saddle():
    flow = effective_flow(fully_connected(1), "half_square")  # a linear model: no hidden layer
    assert (flow.degree, flow.time_exponent, flow.is_saddle) == (1, -1, False)


def test_bad_networks_are_refused():
    for layers in (0, -1, 2.0, True):
        with pytest.raises(ParameterError, match="layers"):
            fully_connected(layers)
        with pytest.raises(ParameterError, match="layers"):
            find_network("diagonal-linear", layers)
    with pytest.raises(ParameterError, match="output"):
        fully_connected(2, output="matrix")
    with pytest.raises(ParameterError, match="linear"):
        find_network("deep-linear", 2, "tanh")
    with pytest.raises(UnknownNameError, match="fully-connected"):
        find_network("fully_connected")


def test_a_mean_loss_divides_by_the_samples():
    network = fully_connected(2, "tanh", output="vector")
    tensors = _values((*network.bases, *network.data))
    total, mean = (
        evaluate(energy(network, find_loss("half_square")), tensors, SIZES)
        for energy in (total_loss, mean_loss)
    )
    assert abs(sp.N(total - 3 * mean, 30)) < 1e-25


@given(
    coefficients=st.lists(st.fractions(-3, 3, max_denominator=7), min_size=1, max_size=5).filter(
        lambda found: any(found)
    ),
    layers=st.integers(2, 3),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=10, deadline=None)
def test_random_power_series_at_random_points(coefficients, layers, seed):
    """Degree, gap and leading part of any polynomial activation with the value 0 at 0."""
    z = sp.Symbol("z", real=True)
    terms = [sp.Rational(c.numerator, c.denominator) for c in coefficients]
    formula = sp.Add(*(c * z**m for m, c in enumerate(terms, 1)))
    network = fully_connected(layers, formula)
    flow = effective_flow(network, "half_square")
    orders = [m for m, c in enumerate(terms, 1) if c != 0]
    degree = sum(orders[0] ** layer for layer in range(layers))
    assert flow.degree == degree
    assert flow.gap == min([degree] + [m - orders[0] for m in orders[1:]])
    random = Random(seed)
    shapes = {str(b): [SIZES[str(s)] for s in b.shape] for b in (*network.bases, *network.data)}
    tensors = {name: _random(shape, random) for name, shape in shapes.items()}

    def sigma(value):
        return mpmath.polyval([*(mpmath.mpf(c.p) / c.q for c in reversed(terms)), 0], value)

    with mpmath.workdps(60 + 64 * degree):
        scale = mpmath.mpf(10) ** -30
        losses = [_full_loss(network, sigma, LOSSES["half_square"], tensors, s) for s in (scale, 0)]
        potential = evaluate(flow.potential, tensors | {"c": tensors["y"]}, SIZES)
        leading = mpmath.mpf(potential.p) / potential.q * scale**degree
        difference = losses[1] - losses[0] - leading
        # The next term is `gap` powers smaller, whatever its coefficient.
        assert abs(difference) < 1e20 * scale ** (degree + flow.gap)


def _random(shape, random):
    if not shape:
        return sp.Rational(random.randint(-9, 9), random.randint(1, 5))
    return [_random(shape[1:], random) for _ in range(shape[0])]
