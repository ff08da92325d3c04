"""The lowered network, its loss and its gradients: symbolic, automatic, by hand, and at kinks."""

import jax
import numpy as np
import pytest
import sympy as sp

import flowtheory as ft
from flowtheory.lower import lower, lower_field, two_layer_functions
from flowtheory.symbolic import LOSSES, effective_flow, find_loss, leaky_relu, relu, two_layer
from flowtheory.symbolic.field import gradient_flow
from flowtheory.symbolic.network import labels, total_loss

HAND = {
    "exponential": lambda y, f: np.exp(-y * f),
    "logistic": lambda y, f: np.log1p(np.exp(-y * f)),
    "two_logistic": lambda y, f: 2 * np.log1p(np.exp(-y * f)),
    "half_square": lambda y, f: (y - f) ** 2 / 2,
    "half_mse": lambda y, f: (y - f) ** 2 / 2,
    "square": lambda y, f: (y - f) ** 2,
    "mse": lambda y, f: (y - f) ** 2,
    "binary_cross_entropy": lambda y, f: np.log1p(np.exp(f)) - y * f,
}
POINTWISE = [name for name in LOSSES if not LOSSES[name].couples]

SIGMA = {
    "relu": lambda z: np.maximum(z, 0),
    "identity": lambda z: z,
    "tanh": np.tanh,
    "leaky": lambda z: np.where(z > 0, z, 0.1 * z),
}
ACTIVATION = {"leaky": leaky_relu(sp.Rational(1, 10))}


def _random(h, D, n, seed=0):
    rng = np.random.default_rng(seed)
    params = {"W": rng.normal(size=(h, D)) / np.sqrt(D), "v": rng.normal(size=h) / np.sqrt(h)}
    return params, rng.normal(size=(n, D)), np.where(rng.random(n) < 0.5, 1.0, -1.0)


def _relative(a, b):
    return np.max(np.abs(np.asarray(a) - np.asarray(b))) / np.max(np.abs(np.asarray(b)))


@pytest.mark.parametrize("sigma", SIGMA)
@pytest.mark.parametrize("loss", POINTWISE)
def test_outputs_loss_and_the_three_gradients(sigma, loss):
    params, x, y = _random(*{"relu": (7, 5, 11), "identity": (1, 3, 2)}.get(sigma, (4, 6, 5)))
    network = two_layer(ACTIVATION.get(sigma, sigma))
    W, v = network.parameters
    energy = total_loss(network, find_loss(loss))
    field = gradient_flow(energy, network.parameters)
    data = (network.inputs.base, labels().base)
    with ft.float64():
        f = lower(network.output, (W.base, v.base, data[0]), (labels().indices[0],))
        total = lower(energy, (W.base, v.base, *data))
        expected = SIGMA[sigma](x @ params["W"].T) @ params["v"]
        assert _relative(f(params["W"], params["v"], x), expected) < 1e-13
        value = total(params["W"], params["v"], x, y)
        assert abs(value - HAND[loss](y, expected).sum()) < 1e-12
        derived = lower_field(field, data)(params, x, y)
        automatic = jax.grad(lambda prm: total(prm["W"], prm["v"], x, y))(params)
        for name in ("W", "v"):
            assert _relative(derived[name], -automatic[name]) < 1e-12


@pytest.mark.parametrize(("h", "D", "n"), [(1, 1, 1), (3, 2, 5), (64, 20, 30)])
def test_two_layer_functions_on_any_sizes(h, D, n):
    params, x, y = _random(h, D, n, seed=h)
    with ft.float64():
        both = {}
        for reduction in ("sum", "mean"):
            functions = two_layer_functions("relu", "exponential", reduction)
            z = x @ params["W"].T
            expected = np.maximum(z, 0) @ params["v"]
            np.testing.assert_allclose(
                functions.outputs(params, x), expected, rtol=1e-12, atol=1e-14
            )
            np.testing.assert_allclose(
                functions.preactivations(params, x), z.T, rtol=1e-12, atol=1e-14
            )
            both[reduction] = float(functions.loss(params, x, y))
        assert both["sum"] == pytest.approx(np.exp(-y * expected).sum(), rel=1e-13)
        assert both["mean"] == pytest.approx(both["sum"] / n, rel=1e-15)


def test_equal_arguments_give_the_same_functions():
    """Else every flow would compile anew."""
    assert two_layer_functions(relu(), "logistic") is two_layer_functions(relu(), "logistic")
    traces = []
    functions = two_layer_functions("relu", "logistic", "mean")

    @jax.jit
    def gradient(params, x, y):
        traces.append(1)
        return jax.grad(functions.loss)(params, x, y)

    with ft.float64():
        for seed in range(3):
            gradient(*_random(3, 2, 4, seed))
    assert len(traces) == 1


def test_the_effective_field_is_the_limit_of_the_full_field_with_order_two():
    params, x, y = _random(6, 4, 9, seed=3)
    with ft.float64():
        for loss in POINTWISE:
            flow = effective_flow(two_layer(), loss)
            inputs, outputs = flow.network.inputs.base, flow.network.labels.base
            effective = lower_field(flow.field, (flow.weight.base, inputs))
            weights = lower(flow.weight_value, (outputs,), flow.weight.indices)(y)
            leading = effective(params, weights, x)
            gradient = jax.grad(two_layer_functions("relu", loss).loss)
            errors = []
            for eps in (1e-2, 1e-3):
                scaled = jax.tree.map(lambda array, e=eps: e * array, params)
                full = jax.tree.map(lambda g, e=eps: -g / e, gradient(scaled, x, y))
                errors.append(max(_relative(full[k], leading[k]) for k in leading))
            order = np.log10(errors[0] / errors[1])
            assert order == pytest.approx(2.0, abs=0.02), loss
            assert errors[1] < 1e-4


@pytest.mark.parametrize("loss", POINTWISE)
def test_balance_along_the_full_field(loss):
    """v_j v_j' = <w_j, w_j'> at random points, far from small initialization."""
    params, x, y = _random(8, 5, 12, seed=5)
    with ft.float64():
        rate = jax.grad(two_layer_functions("relu", loss).loss)(params, x, y)
    left = params["v"] * np.asarray(rate["v"])
    right = np.sum(params["W"] * np.asarray(rate["W"]), axis=1)
    assert np.max(np.abs(left - right)) < 1e-14 * np.max(np.abs(left))


@pytest.mark.parametrize("at_kink", [0.0, 0.5, 1.0])
def test_autodiff_uses_the_stated_derivative_exactly_at_the_kink(at_kink):
    functions = two_layer_functions(relu(sp.Rational(at_kink)), "exponential")
    params = {"W": np.array([[0.0, 1.0]]), "v": np.array([1.0])}
    x, y = np.array([[1.0, 0.0]]), np.array([1.0])
    with ft.float64():
        gradient = jax.grad(functions.loss)(params, x, y)
        assert float(gradient["W"][0, 0]) == -at_kink
        assert float(gradient["v"][0]) == 0.0
        hessian = jax.hessian(functions.loss)(params, x, y)
        assert np.all(np.isfinite(jax.tree.leaves(hessian)[0]))


def test_the_gradient_in_the_slope_of_a_leaky_relu():
    a = sp.Symbol("a", real=True)
    network = two_layer(leaky_relu(a))
    params, x, _ = _random(3, 2, 4)
    W, v = network.parameters
    i = labels().indices[0]
    with ft.float64():
        f = lower(network.output, (W.base, v.base, network.inputs.base, a), (i,))
        derivative = jax.jacobian(f, argnums=3)(params["W"], params["v"], x, np.float64(0.1))
    expected = np.minimum(x @ params["W"].T, 0) @ params["v"]
    np.testing.assert_allclose(derivative, expected, rtol=1e-13, atol=1e-15)


def test_the_frozen_functions_agree_on_their_pattern_and_are_smooth_across_the_kink():
    params, x, y = _random(5, 3, 7, seed=2)
    functions = two_layer_functions("relu", "two_logistic")
    with ft.float64():
        z = np.asarray(functions.preactivations(params, x))
        pattern = (z > 0).astype(np.float64)
        same = functions.frozen_outputs(params, x, pattern)
        np.testing.assert_array_equal(same, functions.outputs(params, x))
        frozen = jax.grad(functions.frozen_loss)(params, x, y, pattern)
        exact = jax.grad(functions.loss)(params, x, y)
        for name in exact:
            assert _relative(frozen[name], exact[name]) < 1e-14
        moved = params | {"W": -params["W"]}
        z = np.asarray(functions.preactivations(moved, x))
        linear = params["v"] @ (pattern * z)
        continued = functions.frozen_outputs(moved, x, pattern)
        np.testing.assert_allclose(continued, linear, rtol=1e-13, atol=1e-15)
        assert np.max(np.abs(continued - functions.outputs(moved, x))) > 0.1


@pytest.mark.parametrize("loss", ["logistic", "two_logistic"])
def test_large_margins_neither_overflow_nor_lose_the_gradient(loss):
    functions = two_layer_functions("relu", loss)
    scale = 2.0 if loss == "two_logistic" else 1.0
    x = np.array([[1.0]])
    with ft.float64():
        for margin in (1e4, 50.0, -50.0, -1e4):
            params = {"W": np.array([[abs(margin)]]), "v": np.array([np.sign(margin)])}
            y = np.array([1.0])
            value = float(functions.loss(params, x, y))
            rate = float(jax.grad(functions.loss)(params, x, y)["v"][0])
            if margin > 0:
                assert value == pytest.approx(scale * np.exp(-margin), rel=1e-14)
                assert rate == pytest.approx(-scale * margin * np.exp(-margin), rel=1e-13)
            else:
                assert value == pytest.approx(-scale * margin, rel=1e-14)
                assert rate == pytest.approx(scale * margin, rel=1e-13)
