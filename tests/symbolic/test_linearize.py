"""Spectra at saddles against dense Hessians of random instances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from symbolic.brute_force import evaluate

import flowtheory as ft
from flowtheory.errors import ParameterError
from flowtheory.lower import lower
from flowtheory.symbolic.activation import ARGUMENT, Activation
from flowtheory.symbolic.effective import effective_flow
from flowtheory.symbolic.index import free_axes
from flowtheory.symbolic.linearize import Spectrum, deep_linear_saddle
from flowtheory.symbolic.loss import find_loss
from flowtheory.symbolic.network import INPUT_DIMENSION, WIDTH, reduced_loss
from flowtheory.symbolic.networks.fully_connected import fully_connected, two_layer
from flowtheory.symbolic.networks.registry import find_network
from flowtheory.symbolic.origin import linearize_origin

R = sp.Rational


def listed(spectrum):
    """All rates with their multiplicities, in increasing order."""
    pairs = [(float(rate), int(count)) for rate, count in spectrum.parts]
    return np.sort(np.concatenate([np.full(count, rate) for rate, count in pairs]))


def orthogonal(rng, n):
    return np.linalg.qr(rng.normal(size=(n, n)))[0]


def growth_rates(gradient, flat):
    """Eigenvalues of minus the dense Hessian, whose columns are complex steps: no differences."""
    steps = 1e-30j * np.eye(flat.size)
    hessian = np.array([gradient(flat + step).imag / 1e-30 for step in steps])
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)
    return np.sort(-np.linalg.eigvalsh(hessian))


def dense_rates(depth, kept, dropped, width, inputs, outputs, seed=0):
    """Eigenvalues of minus the Hessian at the saddle, in random frames of every layer."""
    rng = np.random.default_rng(seed)
    dims = [inputs, *[width] * (depth - 1), outputs]
    frames = [orthogonal(rng, n) for n in dims]
    moment = np.zeros((outputs, inputs))
    for position, s in enumerate([*kept, *dropped]):
        moment[position, position] = s
    layers = []
    for m in range(depth):
        W = np.zeros((dims[m + 1], dims[m]))
        for i, s in enumerate(kept):
            W[i, i] = float(s) ** (1 / depth)
        layers.append(frames[m + 1] @ W @ frames[m].T)
    moment = frames[-1] @ moment @ frames[0].T
    shapes = [W.shape for W in layers]

    def gradient(flat):
        matrices, at = [], 0
        for a, b in shapes:
            matrices.append(flat[at : at + a * b].reshape(a, b))
            at += a * b
        right = [np.eye(inputs)]
        for W in matrices:
            right.append(W @ right[-1])
        left, parts = right[-1] - moment, []
        for W, below in zip(reversed(matrices), reversed(right[:-1]), strict=True):
            parts.append((left @ below.T).ravel())
            left = W.T @ left
        return np.concatenate(parts[::-1])

    flat = np.concatenate([W.ravel() for W in layers])
    assert np.abs(gradient(flat)).max() < 1e-13
    return growth_rates(gradient, flat)


SADDLES = [
    (2, (), (2.0, 0.7), 3, 3, 2),
    (3, (), (2.0, 0.7), 3, 3, 2),
    (2, (2.0,), (1.0, 0.4), 3, 4, 3),
    (2, (1.0,), (2.0, 0.4), 3, 3, 4),
    (3, (1.5,), (2.0,), 2, 2, 2),
    (3, (2.0, 1.0), (0.4,), 3, 4, 5),
    (4, (1.5, 0.3), (2.0, 0.7), 3, 4, 4),
    (5, (0.8,), (1.1, 0.2), 2, 3, 3),
]


@pytest.mark.parametrize("saddle", SADDLES, ids=str)
def test_spectra_equal_those_of_the_dense_hessian(saddle):
    depth, kept, dropped, width, inputs, outputs = saddle
    spectrum = deep_linear_saddle(depth, kept, dropped, width=width, inputs=inputs, outputs=outputs)
    assert spectrum.dimension == width * (inputs + outputs + (depth - 2) * width)
    np.testing.assert_allclose(listed(spectrum), dense_rates(*saddle), atol=2e-12)


def largest(depth, kept, dropped):
    return listed(deep_linear_saddle(depth, kept, dropped, width=3, inputs=3, outputs=3))[-1]


def test_published_rates():
    """The moment diag(2, 1, 0.4): two layers are strict saddles, three or more hide the escape."""
    assert largest(2, [2], [1, 0.4]) == pytest.approx(1, abs=1e-15)
    assert largest(2, [1], [2, 0.4]) == pytest.approx(2, abs=1e-15)
    assert largest(2, [2, 1], [0.4]) == pytest.approx(0.4, abs=1e-15)
    for depth in (3, 4):
        assert largest(depth, [2], [1, 0.4]) == largest(depth, [2, 1], [0.4]) == 0
        assert largest(depth, [1], [2, 0.4]) == pytest.approx(1, abs=1e-14)
    assert largest(3, [1.5], [2]) == pytest.approx(0.572357, abs=5e-7)
    assert largest(4, [1.5], [2]) == pytest.approx(0.612372, abs=5e-7)


def test_symbolic_rates():
    s, t = sp.symbols("s t", positive=True)
    spectrum = deep_linear_saddle(3, [s], [t])
    rates = [sp.expand(sp.powsimp(rate)) for rate, _ in spectrum.parts]
    w = sp.cbrt(s)
    assert sp.expand(w * (t - s)) in rates
    assert sp.expand(-w * (t + s)) in rates
    h, D, C = sp.symbols("h D C", integer=True, positive=True)
    assert sp.expand(spectrum.dimension - h * (D + C + h)) == 0
    origin = deep_linear_saddle(2, [], [s])
    assert origin.parts == ((s, h), (-s, h), (0, h * D + h * C - 2 * h))
    # The top value is kept: no rate is positive, though the point is a saddle.
    trap = deep_linear_saddle(3, [2], [1])
    assert trap.count(1) == 0
    assert not trap.is_strict_saddle
    assert deep_linear_saddle(3, [1], [2]).is_strict_saddle
    with pytest.raises(ParameterError, match="sign"):
        spectrum.count(1)


def test_the_dropped_block_grows_at_order_of_the_depth():
    """What the Hessian does not see: L falls along the dropped direction as its L-th power."""
    for depth in (3, 4):
        steps = np.array([1e-2, 2e-2])
        # W_l = diag(2^(1/L), e): the loss of the second mode is (e^L - 1)^2/2.
        gain = 0.5 - 0.5 * (steps**depth - 1) ** 2
        assert np.log2(gain[1] / gain[0]) == pytest.approx(depth, abs=1e-4)


@pytest.mark.parametrize("loss", ["exponential", "logistic"])
def test_the_origin_of_a_smooth_network(loss):
    spectrum = linearize_origin(effective_flow(two_layer("tanh"), loss))
    rng = np.random.default_rng(3)
    h, D, n = 3, 2, 4
    x, y = rng.normal(size=(n, D)), np.array([1.0, -1.0, 1.0, 1.0])
    slope = 0.5 if loss == "logistic" else 1.0
    sizes, tensors = {"h": h, "D": D, "n": n}, {"z": (slope * y @ x).tolist()}
    (rate, count), (negative, same), (zero, idle) = spectrum.parts
    value = float(evaluate(rate, tensors, sizes, {}))
    assert value == pytest.approx(np.linalg.norm(slope * y @ x), rel=1e-14)
    assert (negative, zero) == (-rate, 0)

    def gradient(flat):
        W, v = flat[: h * D].reshape(h, D), flat[h * D :]
        hidden = np.tanh(x @ W.T)
        margin = y * (hidden @ v)
        decay = np.exp(-margin)
        push = -y * (decay / (1 + decay) if loss == "logistic" else decay)
        inner = push[:, None] * (1 - hidden**2) * v
        return np.concatenate([(inner.T @ x).ravel(), push @ hidden])

    dense = growth_rates(gradient, np.zeros(h * (D + 1)))
    at = {"h": h, "D": D}
    counts = [int(c.subs({s: at[str(s)] for s in c.free_symbols})) for c in (count, same, idle)]
    expected = np.sort(np.repeat([value, -value, 0.0], counts))
    np.testing.assert_allclose(dense, expected, atol=1e-13)


def _numbers(expr, tensors, sizes):
    return float(evaluate(expr, tensors, sizes, {}))


CASES = {
    "two outputs": (fully_connected(2, "tanh", output="vector"), "mse"),
    "hidden biases": (fully_connected(2, "gelu", biases=(True, False)), "half_square"),
    "biases of three layers": (fully_connected(3, "tanh", biases=(True, True, False)), "mse"),
    "output bias": (fully_connected(3, "tanh", biases=True), "half_square"),
    "sigmoid, its constant driven": (fully_connected(2, "sigmoid"), "half_square"),
    "diagonal": (find_network("diagonal-linear", 2), "half_mse"),
    "factorization": (find_network("matrix-factorization", 2), "half_square"),
}


@pytest.mark.parametrize("case", CASES)
def test_spectra_at_the_origin_against_dense_hessians(case):
    """Eigenvalues with multiplicities, and their number, of `jax.hessian` of the lowered loss."""
    network, loss = CASES[case]
    flow = effective_flow(network, loss)
    sizes = {"n": 5, "D": 3, "C": 2, "h": 4, "h1": 3, "h2": 4}
    rng = np.random.default_rng(5)
    shapes = [tuple(sizes[str(s)] for s in base.shape) for base in network.bases]
    data = {
        str(base): rng.normal(size=tuple(sizes[str(s)] for s in base.shape))
        for base in network.data
    }
    if flow.fit is not None:
        data["y"] -= data["y"].mean(axis=0)  # then the level is 0, at the origin
    energy = lower(reduced_loss(network, find_loss(loss)), (*network.bases, *network.data))
    lengths = [int(np.prod(shape)) for shape in shapes]

    def value(flat):
        parts = jnp.split(flat, np.cumsum(lengths)[:-1])
        arrays = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
        return energy(*arrays, *data.values())

    with ft.float64():
        dense = np.linalg.eigvalsh(-jax.hessian(value)(np.zeros(sum(lengths))))
    np.testing.assert_allclose(_listed(flow, sizes, data), dense, atol=1e-12)


def _listed(flow, sizes, data):
    """The symbolic spectrum as a sorted list of numbers."""
    square = 2.0 if flow.loss.name in ("mse", "square") else 1.0
    y = data["y"]
    c = square * y
    tensors = {"c": c, "h": np.full(y.shape, square), **data}
    if flow.network.inputs is not None:
        x = data["x"]
        moments = {"z": np.tensordot(c, x, (0, 0)), "cbar": c.sum(axis=0)}
        tensors |= moments
    matrix = tensors["z"] if y.ndim == 1 else (c if flow.network.inputs is None else c.T @ x)
    tensors["sigma"] = np.linalg.svd(np.atleast_2d(matrix), compute_uv=False)
    nested = {name: np.asarray(value).tolist() for name, value in tensors.items()}
    found = []
    for rate, count in linearize_origin(flow).parts:
        number = int(count.subs({s: sizes[str(s)] for s in count.free_symbols}))
        free = free_axes(rate)
        if not free:
            found += [_numbers(rate, nested, sizes)] * number
            continue
        ((i, extent),) = free.items()
        length = int(sp.sympify(extent).subs({s: sizes[str(s)] for s in extent.free_symbols}))
        values = [float(evaluate(rate, nested, sizes, {str(i): k + 1})) for k in range(length)]
        found += values * (number // length)
    return np.sort(found)


def test_refusals():
    with pytest.raises(ParameterError, match="kink"):
        linearize_origin(effective_flow(two_layer("relu"), "logistic"))
    square = Activation("square", ARGUMENT**2)
    ((rate, count),) = linearize_origin(effective_flow(two_layer(square), "logistic")).parts
    assert (rate, count) == (0, sp.expand(WIDTH * (INPUT_DIMENSION + 1)))
    with pytest.raises(ParameterError, match="first order"):
        linearize_origin(effective_flow(fully_connected(1), "half_square"))
    with pytest.raises(ParameterError, match="scales"):
        linearize_origin(effective_flow(two_layer("tanh"), "logistic", scales={"v": 2}))
    with pytest.raises(ParameterError, match="driven by the leading part"):
        linearize_origin(effective_flow(fully_connected(2, "sigmoid", output="vector"), "mse"))
    for wrong, message in (
        ({"depth": 1}, "depth"),
        ({"kept": [-1]}, "positive"),
        ({"width": 0}, "width is 0"),
        ({"inputs": 1}, "inputs is 1"),
    ):
        given = {"depth": 3, "kept": [2], "dropped": [1]} | wrong
        with pytest.raises(ParameterError, match=message):
            deep_linear_saddle(given.pop("depth"), given.pop("kept"), given.pop("dropped"), **given)
    assert Spectrum(((sp.Integer(1), sp.Integer(2)),)).subs({}).dimension == 2
