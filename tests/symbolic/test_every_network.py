"""The common suite: every architecture x activation x depth x loss, derived and lowered.

Outputs are compared with NumPy code written by hand, symbolic gradients with `jax.grad`, degrees
with the formulas of the literature, and the leading flow with the full one at two scales.

What is walked, with 15 activations, the depths 2 to 5 and 9 losses:

- the scalar fully connected network: for every activation the four depths, with four of the losses
  of one output in turn, and the others at depth 2. Every pair (activation, loss), every pair
  (activation, depth) and every pair (depth, loss) occurs;
- the one with several outputs: every activation with softmax cross-entropy, three of them at depth
  3, 4 and 5, so that every pair with this loss occurs as well;
- every other row of the registry with the activations of `FEW` if it takes one, at another depth
  with the first two, and every option of `VARIANTS`; losses take turns.
"""

from functools import cache
from itertools import cycle
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from symbolic import by_hand

import flowtheory as ft
from flowtheory.errors import ParameterError
from flowtheory.lower import lower
from flowtheory.symbolic import ACTIVATIONS, ARCHITECTURES, LOSSES, effective_flow, find_network
from flowtheory.symbolic.differentiate import gradient
from flowtheory.symbolic.expression import Indexed
from flowtheory.symbolic.leading import leading_flow
from flowtheory.symbolic.loss import find_loss
from flowtheory.symbolic.network import reduced_loss, total_loss

DEPTHS = (2, 3, 4, 5)
FEW = ("tanh", "sigmoid", "z*tanh(z)", "relu", "gelu")
COUPLED = [name for name, loss in LOSSES.items() if loss.couples]
SINGLE = [name for name, loss in LOSSES.items() if not loss.couples]
VARIANTS = [
    ("convolutional", 2, "z*tanh(z)", {"readout": "mean"}),
    ("residual", 1, "z*tanh(z)", {"readout": "fixed"}),
    ("residual", 2, "tanh", {"readout": "fixed"}),
    ("late-fusion", 3, None, {"fusion": 1}),
    ("late-fusion", 4, None, {"fusion": 2}),
    ("fully-connected-biases", 3, "z*tanh(z)", {}),
    ("prelu", 2, None, {"power": 1}),
    ("prelu", 2, None, {"power": 3}),
    ("lora", 2, None, {"output": "scalar"}),
    ("fully-connected", 3, "tanh", {"biases": (True, False, False)}),
]
DEEP = ("tanh", "relu", "gelu", None)  # whose limit is also measured at depths 4 and 5
MULTIPLICITY = {"relu**2": 2, "z*tanh(z)": 2, "z**2*tanh(z)": 3, "cos-1": 2}
LENGTHS = {"n": 7, "D": 3, "C": 2, "h": 5, "h1": 5, "h2": 4, "h3": 6, "h4": 3, "S": 4, "R": 2}

# Their formula contains z several times, so the tree of a network doubles with every layer.
TWICE = ("gelu", "silu", "z*tanh(z)", "z**2*tanh(z)")


class Case(NamedTuple):
    name: str
    layers: int
    activation: str | None
    options: tuple
    loss: str

    @property
    def several(self):
        return len(_network(*self[:4]).axes) > 1


def _walk():
    for k, activation in enumerate(ACTIVATIONS):
        for m in range(len(SINGLE)):
            layers = DEPTHS[m] if m < len(DEPTHS) else 2
            loss = SINGLE[(k + m) % len(SINGLE)]
            yield Case("fully-connected", layers, activation, (), loss)
        layers = {"sin": 3, "tanh": 4, "identity": 5}.get(activation, 2)
        yield Case("fully-connected-vector", layers, activation, (), COUPLED[0])
    turns = cycle(SINGLE)
    for name, row in ARCHITECTURES.items():
        if name not in ("fully-connected", "fully-connected-vector"):
            for activation in FEW if row.takes_activation else (None,):
                layers = 1 if name == "residual" else 2
                yield Case(name, layers, activation, (), next(turns))
                if activation in (None, *FEW[:2]):
                    yield Case(name, layers + 1, activation, (), next(turns))
    for name, layers, activation, options in VARIANTS:
        yield Case(name, layers, activation, tuple(options.items()), next(turns))
    for name, row in ARCHITECTURES.items():
        if name in ("fully-connected-vector-biases", "deep-linear", "lora"):
            yield Case(name, 2, "tanh" if row.takes_activation else None, (), COUPLED[0])


@cache
def _network(name, layers, activation, options):
    return find_network(name, layers, activation, **dict(options))


CASES = tuple(_walk())
# One case for every network, whatever the loss.
NETWORKS = tuple({case[:4]: case for case in reversed(CASES)}.values())


def _id(case):
    return "-".join(str(part) for part in case if part not in (None, ()))


@cache
def _flow(case):
    return effective_flow(_network(*case[:4]), case.loss)


@cache
def _energy(case, reduced):
    """The lowered loss of (parameters, data)."""
    network, loss = _network(*case[:4]), find_loss(case.loss)
    energy = (reduced_loss if reduced else total_loss)(network, loss)
    return energy, lower(energy, (*network.bases, *network.data))


def _arrays(tensors, seed):
    rng = np.random.default_rng(seed)
    lengths = [[_length(extent) for extent in base.shape] for base in tensors]
    return [rng.normal(size=shape) / np.sqrt((shape or [1])[-1]) for shape in lengths]


def _length(extent):
    name = str(extent)
    return LENGTHS[name] if name in LENGTHS else 2 + sum(map(ord, name)) % 3


def _relative(a, b):
    scale = max(float(np.max(np.abs(b))), 1e-300)
    return float(np.max(np.abs(np.asarray(a) - np.asarray(b)))) / scale


def test_every_pair_of_activation_depth_and_loss_is_walked():
    walked = [case for case in CASES if case.name.startswith("fully-connected")]
    assert len(ACTIVATIONS) >= 12
    for losses, depths in ((SINGLE, DEPTHS), (COUPLED, DEPTHS)):
        assert {(c.activation, c.loss) for c in walked} >= _pairs(ACTIVATIONS, losses)
        assert {(c.layers, c.loss) for c in walked} >= _pairs(depths, losses)
    assert {(c.activation, c.layers) for c in walked} >= _pairs(ACTIVATIONS, DEPTHS)
    assert {case.name for case in CASES} == set(ARCHITECTURES)


def _pairs(first, second):
    return {(a, b) for a in first for b in second}


@pytest.mark.parametrize("case", NETWORKS, ids=_id)
def test_the_lowered_output_is_that_of_matrix_products(case):
    network = _network(*case[:4])
    tensors = (*network.bases, *network.data)
    function = lower(network.output, tensors, [i for i, _ in network.axes])
    arrays = _arrays(tensors, 1)
    with ft.float64():
        values = function(*arrays)
    named = dict(zip(map(str, tensors), arrays, strict=True))
    expected = by_hand.output(case.name, case.layers, case.activation, dict(case.options), named)
    assert values.shape == expected.shape
    assert _relative(values, expected) < 1e-12


@pytest.mark.parametrize(
    "case", [case for case in CASES if not (case[1] > 3 and case[2] in TWICE)], ids=_id
)
def test_the_symbolic_gradient_is_the_automatic_one(case):
    network = _network(*case[:4])
    energy, function = _energy(case, False)
    arguments = (*network.bases, *network.data)
    arrays = (*_arrays(network.bases, 3), *_arrays(network.data, 4))
    with ft.float64():
        automatic = jax.grad(function, range(len(network.bases)))(*arrays)
        for entry, expected in zip(network.parameters, automatic, strict=True):
            symbolic = lower(gradient(energy, entry), arguments, entry.indices)(*arrays)
            assert _relative(symbolic, expected) < 1e-12, entry


def _degrees(case):
    """The degrees of the layers, from the input to the output."""
    p, layers = MULTIPLICITY.get(case.activation, 1), case.layers
    if case.name == "residual":  # a linear model
        return [0] * layers + [1]
    if case.name == "prelu":  # degree 1 in the weights, p in the layer before
        p = dict(case.options).get("power", 2)
        return [p ** (layers - 1 - layer) for layer in range(1, layers)] + [1]
    if case.name.endswith("biases"):  # biases stand in for all but one of the p factors
        return [p] * (layers - 1) + [1]
    return [p ** (layers - layer) for layer in range(1, layers + 1)]


@pytest.mark.parametrize("case", NETWORKS, ids=_id)
def test_degrees_follow_from_the_multiplicity(case):
    """k = (p^L - 1)/(p - 1), and p^(L - l) in layer l, for networks without biases."""
    flow = _flow(case)
    if dict(case.options).get("readout") == "fixed":  # the sum of the blocks
        assert flow.degree == 1 + MULTIPLICITY.get(case.activation, 1)
        if case.layers > 1:
            with pytest.raises(ParameterError, match="homogeneous"):
                _ = flow.layer_degrees
        return
    degrees = _degrees(case)
    assert list(flow.layer_degrees.values()) == degrees
    assert flow.degree == sum(degrees)
    assert flow.time_exponent == flow.degree - 2


@pytest.mark.parametrize("case", [case for case in NETWORKS if sum(_degrees(case)) <= 40], ids=_id)
def test_the_full_flow_tends_to_the_leading_one_with_the_order_of_the_gap(case):
    r"""$|\varepsilon^{1-k}\dot\theta - \nabla H| = O(\varepsilon^q)$, on the fit if any."""
    flow = _flow(case)
    first, last = _exponents(flow)
    with ft.float64():
        errors = [_error_of_rates(case, flow, 10.0**-power) for power in (first, last)]
    order = np.log10(errors[0] / errors[1]) / (last - first)
    assert order == pytest.approx(flow.gap, rel=0.1), errors


def _exponents(flow):
    """Small scales whose error is well above the rounding errors.

    On a fit the slopes cancel to rounding errors, beside which rates are of order k - 1.
    """
    if flow.gap > 2:
        return 4 / flow.gap, 6 / flow.gap
    last = min(3.5, 9 / max(flow.degree - 1, 1)) if flow.fit else 3.0
    return last - 1, last


def _error_of_rates(case, flow, scale):
    network = flow.network
    theta, data = _arrays(network.bases, 5), _centred(flow, _arrays(network.data, 6))
    _, energy = _energy(case, True)
    state = [scale * array for array in theta]
    if flow.fit is not None:
        state = _fitted(flow, energy, state, data)
        theta = [array / scale for array in state]
    rates = jax.grad(energy, range(len(state)))(*state, *data)
    field, names = _field(case), [str(base) for base in network.bases]
    given = field.prepare(**dict(zip(map(str, network.data), data, strict=True)))
    leading = field(dict(zip(names, theta, strict=True)), given)
    wrong = largest = 0.0
    for name, rate in zip(names, rates, strict=True):
        full = -np.asarray(rate) / scale ** (flow.power - 1)
        wrong = max(wrong, float(np.max(np.abs(full - leading[name]))))
        largest = max(largest, float(np.max(np.abs(leading[name]))))
    return wrong / largest


@cache
def _field(case):
    return ft.vector_field(_flow(case))


def _centred(flow, data):
    """Labels whose slopes sum to zero, so that the fitted level is zero."""
    *given, y = data
    if flow.fit is None:
        return data
    if flow.loss.couples:  # the labels of a sample sum to one
        y = y - y.mean(axis=1, keepdims=True) + 1 / LENGTHS["C"]
    level = {"binary_cross_entropy": 0.5, "softmax_cross_entropy": 1 / LENGTHS["C"]}
    return [*given, y - y.mean(axis=0) + level.get(flow.loss.name, 0.0)]


def _fitted(flow, energy, state, data):
    """The point next to `state`, along the gradient of the constant, where the loss is least."""
    outputs = [i for i, _ in flow.network.axes[1:]]
    constant = lower(flow.fit.direction, flow.network.bases, outputs)
    steps = jax.jacobian(constant, range(len(state)))(*state)

    def along(u):
        moved = [a + jnp.tensordot(u, step, u.ndim) for a, step in zip(state, steps, strict=True)]
        return energy(*moved, *data)

    u = np.zeros([_length(extent) for _, extent in flow.network.axes[1:]])
    for _ in range(3):
        slope, curvature = jax.grad(along)(u), jax.hessian(along)(u)
        u = u - np.linalg.pinv(curvature, rcond=1e-9) @ slope if u.ndim else u - slope / curvature
    return [a + jnp.tensordot(u, step, u.ndim) for a, step in zip(state, steps, strict=True)]


SLOPES = {
    "exponential": lambda y: y,
    "logistic": lambda y: y / 2,
    "half_square": lambda y: y,
    "mse": lambda y: 2 * y,
    "binary_cross_entropy": lambda y: y - sp.Rational(1, 2),
}
SMOOTH_AT_ZERO = [name for name in ACTIVATIONS if ACTIVATIONS[name].local.constant == 0]


@pytest.mark.parametrize("layers", DEPTHS)
@pytest.mark.parametrize("activation", SMOOTH_AT_ZERO)
def test_every_activation_at_every_depth_under_every_loss(activation, layers):
    """Degree, gap and weights; the leading part is the same for all losses, in terms of c."""
    network = find_network("fully-connected", layers, activation)
    local, y = ACTIVATIONS[activation].local, sp.Symbol("y")
    p = local.multiplicity
    degree = sum(p**layer for layer in range(layers))
    gap = degree if local.next_order is None else min(degree, local.next_order - p)
    parts = set()
    for name, slope in SLOPES.items():
        flow = leading_flow(network, name)
        assert (flow.degree, flow.gap, flow.time_exponent) == (degree, gap, degree - 2)
        (label,) = flow.weight_value.atoms(Indexed)
        assert sp.expand(flow.weight_value.xreplace({label: y}) - slope(y)) == 0
        assert flow.expansion.degree + flow.expansion.gap == degree + gap
        parts.add(flow.leading_part / flow.share)
    assert len(parts) == 1
    assert len(SMOOTH_AT_ZERO) >= 12
