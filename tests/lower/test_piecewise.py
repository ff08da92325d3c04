"""Case distinctions in array code: values, and derivatives where `where` alone gives nan."""

import jax
import numpy as np
import pytest
import sympy as sp

import flowtheory as ft
from flowtheory.errors import ParameterError
from flowtheory.lower import lower
from flowtheory.symbolic.index import index, size, sum_over, tensor
from flowtheory.symbolic.loss import find_loss
from flowtheory.symbolic.network import reduced_loss

N, SAMPLE = size("n"), index("i")
X = tensor("x", N)


def test_the_derivative_of_a_branch_that_is_not_taken_does_not_count():
    """sqrt at and below 0, to second order."""
    root = sp.Piecewise((sp.sqrt(X[SAMPLE]), X[SAMPLE] > 0), (0, True))
    total = lower(sum_over(root, (SAMPLE, N)), (X,))
    x = np.array([-1.0, 0.0, 4.0])
    with ft.float64():
        assert float(total(x)) == 2.0
        np.testing.assert_array_equal(jax.grad(total)(x), [0.0, 0.0, 0.25])
        np.testing.assert_array_equal(np.diag(jax.hessian(total)(x)), [0.0, 0.0, -1 / 32])
        naive = jax.grad(lambda z: jax.numpy.where(z > 0, jax.numpy.sqrt(z), 0.0).sum())(x)
    assert np.isnan(naive[0])  # what is avoided


def test_the_huber_loss_of_a_network():
    y, f = sp.symbols("y f", real=True)
    distance = sp.Abs(y - f)
    loss = find_loss(
        sp.Piecewise(((y - f) ** 2 / 2, distance < 1), (distance - sp.Rational(1, 2), True))
    )
    network = ft.fully_connected(2, "tanh")
    rng = np.random.default_rng(0)
    W, v, x = rng.normal(size=(3, 2)), rng.normal(size=3), rng.normal(size=(9, 2))
    labels = 2 * rng.normal(size=9)
    energy = lower(reduced_loss(network, loss), (*network.bases, *network.data))

    def by_hand(W, v):
        error = labels - np.tanh(x @ W.T) @ v
        return np.where(abs(error) < 1, error**2 / 2, abs(error) - 0.5).sum()

    with ft.float64():
        assert float(energy(W, v, x, labels)) == pytest.approx(by_hand(W, v), rel=1e-14)
        gradient = jax.grad(energy, 1)(W, v, x, labels)
        step = 1e-6 * np.eye(3)
        slopes = [(by_hand(W, v + e) - by_hand(W, v - e)) / 2e-6 for e in step]
        np.testing.assert_allclose(gradient, slopes, rtol=1e-6)
        given = ft.vector_field(ft.effective_flow(network, loss)).prepare(x=x, y=labels)
    weights = np.where(abs(labels) < 1, labels, np.sign(labels))
    np.testing.assert_allclose(given["z"], weights @ x, rtol=1e-13)


def test_no_case_is_nan_and_an_unknown_head_is_still_refused():
    gap = lower(sp.Piecewise((X[SAMPLE], X[SAMPLE] > 0)), (X,), (SAMPLE,))
    with ft.float64():
        np.testing.assert_array_equal(gap(np.array([2.0, -1.0])), [2.0, np.nan])
    with pytest.raises(ParameterError, match="gamma"):
        lower(sp.Piecewise((sp.gamma(X[SAMPLE]), X[SAMPLE] > 0), (0, True)), (X,), (SAMPLE,))
    with pytest.raises(ParameterError, match="neither an argument"):
        lower(sp.Piecewise((X[SAMPLE], X[SAMPLE] > sp.Symbol("a")), (0, True)), (X,), (SAMPLE,))
