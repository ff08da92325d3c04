"""The common suite: every architecture x activation x depth x loss, derived and lowered.

Outputs are compared with NumPy code written here, symbolic gradients with
`jax.grad`, degrees with the formula. Losses take turns over the cases.
"""

from functools import cache

import jax
import numpy as np
import pytest
import scipy.special

import flowtheory as ft
from flowtheory.lower import lower
from flowtheory.symbolic import ACTIVATIONS, ARCHITECTURES, LOSSES, effective_flow, find_network
from flowtheory.symbolic.differentiate import gradient
from flowtheory.symbolic.loss import find_loss
from flowtheory.symbolic.network import total_loss

NUMPY = {
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, z / 100),
    "relu**2": lambda z: np.maximum(z, 0) ** 2,
    "abs": np.abs,
    "identity": lambda z: z,
    "tanh": np.tanh,
    "erf": scipy.special.erf,
    "sin": np.sin,
    "sigmoid": scipy.special.expit,
    "softplus": lambda z: np.logaddexp(0, z),
    "gelu": lambda z: z * scipy.special.ndtr(z),
    "silu": lambda z: z * scipy.special.expit(z),
    "z*tanh(z)": lambda z: z * np.tanh(z),
    "z**2*tanh(z)": lambda z: z**2 * np.tanh(z),
    "cos-1": lambda z: np.cos(z) - 1,
}
MULTIPLICITY = {"relu**2": 2, "z*tanh(z)": 2, "z**2*tanh(z)": 3, "cos-1": 2}
DEPTHS = (2, 3, 4)
LENGTHS = {"n": 7, "D": 3, "C": 2, "h": 5, "h1": 5, "h2": 4, "h3": 6, "h4": 3}
FEW = {"fully-connected-vector": ("tanh",)}  # the hidden layers are those of the scalar

# Their formula contains z several times, so the tree of a network doubles with every layer.
TWICE = ("gelu", "silu", "z*tanh(z)", "z**2*tanh(z)")


def _activations(name):
    return FEW.get(name, ACTIVATIONS) if ARCHITECTURES[name].takes_activation else [None]


CASES = [
    (name, layers, activation)
    for name in ARCHITECTURES
    for layers in DEPTHS
    for activation in _activations(name)
]


def _loss(*case):
    """Losses take turns, those that couple outputs where there are several."""
    several = "vector" in case[0] or case[0] == "deep-linear"
    losses = [loss for loss in LOSSES if several or not LOSSES[loss].couples]
    return losses[CASES.index(case) % len(losses)] if case in CASES else "logistic"


@cache
def _network(name, layers, activation):
    return find_network(name, layers, activation)


def _arrays(tensors, seed):
    rng = np.random.default_rng(seed)
    shapes = [tuple(LENGTHS[str(extent)] for extent in base.shape) for base in tensors]
    return [rng.normal(size=shape) / np.sqrt(shape[-1]) ** (len(shape) > 1) for shape in shapes]


def _by_hand(sigma, name, parameters, data):
    """The output, by matrix products."""
    if name == "diagonal-linear":
        return data[0] @ np.prod(parameters, axis=0)
    signal = np.eye(LENGTHS["D"]) if name == "matrix-factorization" else data[0]
    for weight in parameters[:-1]:
        signal = sigma(signal @ weight.T)
    output = signal @ parameters[-1].T
    return output.T if name == "matrix-factorization" else output


def _relative(a, b):
    scale = max(float(np.max(np.abs(b))), 1e-300)
    return float(np.max(np.abs(np.asarray(a) - np.asarray(b)))) / scale


@pytest.mark.parametrize(("name", "layers", "activation"), CASES)
def test_the_lowered_output_is_that_of_matrix_products(name, layers, activation):
    network = _network(name, layers, activation)
    function = lower(network.output, (*network.bases, *network.data), [i for i, _ in network.axes])
    parameters, data = _arrays(network.bases, 1), _arrays(network.data, 2)
    with ft.float64():
        values = function(*parameters, *data)
    expected = _by_hand(NUMPY[activation or "identity"], name, parameters, data)
    assert values.shape == expected.shape
    assert _relative(values, expected) < 1e-12


@pytest.mark.parametrize(
    ("name", "layers", "activation"),
    [*CASES, *(("fully-connected", 5, activation) for activation in TWICE)],
)
def test_the_symbolic_gradient_is_the_automatic_one(name, layers, activation):
    network = _network(name, layers, activation)
    energy = total_loss(network, find_loss(_loss(name, layers, activation)))
    arguments = (*network.bases, *network.data)
    arrays = (*_arrays(network.bases, 3), *_arrays(network.data, 4))
    with ft.float64():
        automatic = jax.grad(lower(energy, arguments), range(len(network.bases)))(*arrays)
        for entry, expected in zip(network.parameters, automatic, strict=True):
            symbolic = lower(gradient(energy, entry), arguments, entry.indices)(*arrays)
            assert _relative(symbolic, expected) < 1e-12, entry


@pytest.mark.parametrize("activation", ["tanh", *TWICE])
def test_the_distinct_subexpressions_of_a_gradient_grow_linearly_with_depth(activation):
    """By a constant number for two layers (letters of indices may alternate), depths 4 to 8."""
    counts = []
    for layers in range(4, 9):
        network = _network("fully-connected", layers, activation)
        energy = total_loss(network, find_loss("logistic"))
        counts.append(len(_distinct(gradient(energy, network.parameters[0]))))
    assert counts[4] - counts[2] == counts[2] - counts[0], counts


def _distinct(expr):
    found, pending = set(), [expr]
    while pending:
        node = pending.pop()
        if node not in found:
            found.add(node)
            pending += node.args
    return found


@pytest.mark.parametrize(("name", "layers", "activation"), CASES)
def test_degrees_follow_from_the_multiplicity(name, layers, activation):
    """k = (p^L - 1)/(p - 1), and p^(L - l) in layer l."""
    network = _network(name, layers, activation)
    p = MULTIPLICITY.get(activation, 1)
    flow = effective_flow(network, _loss(name, layers, activation))
    degrees = [p ** (layers - layer) for layer in range(1, layers + 1)]
    assert list(flow.layer_degrees.values()) == degrees
    assert flow.degree == sum(degrees)
    assert flow.time_exponent == flow.degree - 2
