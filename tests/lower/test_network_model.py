"""Functions of networks of any depth for steps through kinks."""

from __future__ import annotations

import jax
import jax.flatten_util
import numpy as np
import pytest

import flowtheory as ft
from flowtheory.errors import ParameterError
from flowtheory.flow.field import Samples, energy, live
from flowtheory.flow.rates import rate_along
from flowtheory.lower.network_model import network_model
from flowtheory.precision import float64
from flowtheory.symbolic.index import tensor
from flowtheory.symbolic.kinks import freeze

RNG = np.random.default_rng(5)
X, Y = RNG.standard_normal((4, 3)), RNG.standard_normal(4)
SAMPLES = Samples(X, Y, np.float64(0.25))
WEIGHTS = {
    "W1": RNG.standard_normal((6, 3)),
    "W2": RNG.standard_normal((5, 6)),
    "W3": RNG.standard_normal((7, 5)),
    "v": RNG.standard_normal(7),
}


def by_hand(params, x):
    levels, signal = [], x.T
    for name in ("W1", "W2", "W3"):
        levels.append(params[name] @ signal)
        signal = np.maximum(levels[-1], 0)
    return params["v"] @ signal, levels


def test_outputs_preactivations_and_frozen_outputs():
    model = network_model(ft.fully_connected(4, "relu"), "half_mse")
    outputs, levels = by_hand(WEIGHTS, X)
    with float64():
        found = model.preactivations(WEIGHTS, X)
        pattern = tuple((np.asarray(q) > 0).astype(float) for q in found)
        np.testing.assert_allclose(model.outputs(WEIGHTS, X), outputs, rtol=1e-12)
        np.testing.assert_allclose(model.frozen_outputs(WEIGHTS, X, pattern), outputs, rtol=1e-12)
        half = tuple(0.5 * np.ones_like(p) for p in pattern)
        linear = np.linalg.multi_dot([WEIGHTS[n] for n in ("v", "W3", "W2", "W1")]) @ X.T / 8
        np.testing.assert_allclose(model.frozen_outputs(WEIGHTS, X, half), linear, rtol=1e-12)
    by_shape = {q.shape: q for q in levels}
    assert len(found) == 3
    for q in found:
        np.testing.assert_allclose(q, by_shape[q.shape], rtol=1e-12)


def test_a_smooth_network_has_an_empty_pattern():
    model = network_model(ft.fully_connected(3, "tanh"), "half_mse")
    params = {name: WEIGHTS[name] for name in ("W1", "W2")} | {"v": WEIGHTS["v"][:5]}
    with float64():
        assert model.preactivations(params, X) == ()
        frozen = model.frozen_outputs(params, X, ())
        np.testing.assert_array_equal(frozen, model.outputs(params, X))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_rate_bounds_the_flow(activation):
    """Against the dense Hessian: its curvature from the fit, and its action on the velocity."""
    model = network_model(ft.fully_connected(3, activation), "half_mse")
    params = {name: WEIGHTS[name] for name in ("W1", "W2")} | {"v": WEIGHTS["v"][:5]}
    with float64():
        flat, back = jax.flatten_util.ravel_pytree(params)

        def loss(theta):
            return energy(model, SAMPLES, live(model, SAMPLES), back(theta))

        gradient, hessian = jax.grad(loss)(flat), np.asarray(jax.hessian(loss)(flat))
        slopes = np.asarray(jax.jacrev(lambda theta: model.outputs(back(theta), X))(flat))
        rate = float(rate_along(model, SAMPLES, params))
    fit = 0.25 * slopes.T @ slopes
    bend = (hessian - fit) @ np.asarray(gradient)
    growth = np.linalg.norm(bend) / np.linalg.norm(gradient)
    assert rate == pytest.approx(np.trace(fit) + growth, rel=1e-9)
    assert rate >= np.linalg.eigvalsh(fit)[-1] + growth


def test_layers_that_cannot_be_told_apart_are_refused():
    net = ft.fully_connected(3, "relu")
    h1, h2 = (entry.base.shape[0] for entry in net.parameters[:2])
    n = net.axes[0][1]
    with pytest.raises(ParameterError, match="several kinked layers"):
        freeze(net.output, tensor("P", h1, n))
    with pytest.raises(ParameterError, match="P has shape"):
        freeze(net.output, tensor("P", h1, n), tensor("Q", h1, h2))
