"""The lazy side with its constants: kernels, both orders, and networks of finite width."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import dblquad, quad, solve_ivp
from scipy.special import expit

from flowtheory.errors import DataError, ParameterError
from flowtheory.phase import samples
from flowtheory.phase.lazy import (
    lazy_changes,
    lazy_kernels,
    network_constants,
    network_kernels,
    second_order_constant,
)
from flowtheory.phase.probe import PROBE, run_cell

X, Y = samples("three-points")


def correlation(angle, sigma):
    """E sigma(u) sigma(v) of degree 1, on the circle: the radius has the mean square 2."""
    points = (0.5 * np.pi, 1.5 * np.pi, angle + 0.5 * np.pi, angle - 0.5 * np.pi)
    return quad(
        lambda t: sigma(np.cos(t)) * sigma(np.cos(t - angle)) / np.pi,
        -np.pi, 2 * np.pi - np.pi, points=[p for p in points if abs(p) < np.pi], limit=200,
    )[0]  # fmt: skip


@pytest.mark.parametrize(("name", "left"), [("relu", 0.0), ("leaky_relu", 0.01), ("abs", -1.0)])
def test_kernels_of_kinked_activations(name, left):
    kernels = lazy_kernels(X, name)
    for i, j in ((0, 1), (0, 2), (1, 1)):
        norms = np.linalg.norm(X[i]) * np.linalg.norm(X[j])
        angle = np.arccos(np.clip(X[i] @ X[j] / norms, -1, 1))
        of_sigma = correlation(angle, lambda z: np.where(z > 0, z, left * z))
        assert kernels.output[i, j] == pytest.approx(norms * of_sigma, abs=1e-9)
        # Both derivatives are 1 on the right; the share of w on both right sides is
        # (pi - angle)/(2 pi), on one right side angle/pi.
        share = (np.pi - angle) / (2 * np.pi)
        mean = share * (1 + left**2) + left * angle / np.pi
        assert kernels.hidden[i, j] == pytest.approx(X[i] @ X[j] * mean, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "sigma", "slope", "order"),
    [
        ("tanh", np.tanh, lambda z: 1 / np.cosh(z) ** 2, 1),
        ("silu", lambda z: 2 * z * expit(z), lambda z: 2 * expit(z) * (1 + z * expit(-z)), 1),
        (
            "z*tanh(z)", lambda z: z * np.tanh(z),
            lambda z: np.tanh(z) + z / np.cosh(z) ** 2, 2,
        ),
    ],
)  # fmt: skip
def test_kernels_of_smooth_activations(name, sigma, slope, order):
    """Against an adaptive integral over the two coordinates of w."""
    eps = 0.6
    kernels = lazy_kernels(X, name, eps)

    def mean(f):
        def integrand(a, b):
            u, v = (eps * (a * x[0] + b * x[1]) for x in (X[0], X[1]))
            return f(u) * f(v) * np.exp(-(a**2 + b**2) / 2) / (2 * np.pi)

        return dblquad(integrand, -9, 9, -9, 9, epsabs=1e-9)[0] / eps ** (2 * order)

    assert kernels.output[0, 1] == pytest.approx(mean(sigma), abs=1e-7)
    assert kernels.hidden[0, 1] == pytest.approx(eps**2 * X[0] @ X[1] * mean(slope), abs=1e-7)
    line = lazy_kernels(np.array([[1.0], [-2.0]]), name, eps)
    assert np.all(np.isfinite(line.output))


def test_kernels_of_the_linear_network_are_the_gram_matrix():
    for kernel in lazy_kernels(X, "identity"):
        np.testing.assert_allclose(kernel, X @ X.T, atol=1e-12)


def test_the_constant_of_second_order_from_its_own_flow():
    """The path of the kernel flow integrated, and |dw|^2 averaged over the circle."""
    kernel = lazy_kernels(X).output

    def field(_, state):
        force = state[:3]
        left = Y - kernel @ force
        return np.concatenate([left, np.outer(force, left).ravel()])

    run = solve_ivp(field, (0, 600), np.zeros(12), rtol=1e-11, atol=1e-13)
    path = run.y[3:, -1].reshape(3, 3)
    theta = (np.arange(400_000) + 0.5) * 2 * np.pi / 400_000
    w = np.sqrt(2) * np.stack([np.cos(theta), np.sin(theta)], axis=1)
    h = w @ X.T
    step = ((np.maximum(h, 0) @ path) * (h > 0)) @ X
    found = second_order_constant(X, Y)
    assert found.value == pytest.approx(np.sqrt(np.mean(np.sum(step**2, axis=1)) / 2), rel=1e-5)
    assert found.value == pytest.approx(15.57, rel=2e-3)
    # One more dimension that no input has: |w|^2 grows from 2 to 3, and nothing else changes.
    wider = second_order_constant(np.column_stack([X, np.zeros(3)]), Y)
    assert wider.value == pytest.approx(np.sqrt(2 / 3) * found.value, rel=1e-9)


def test_the_constant_of_second_order_over_random_points():
    x, y = X @ np.array([[1.0, 0.2, 0.3], [0.0, 1.0, -0.4]]) + 0.3 * np.eye(3), Y
    found = second_order_constant(x, y)
    values, vectors = np.linalg.eigh(lazy_kernels(x).output)
    part = vectors.T @ y
    inner = np.outer(part, part) / (values[None, :] * (values[:, None] + values[None, :]))
    w = np.random.default_rng(0).standard_normal((400_000, 3))
    h = w @ x.T
    step = ((np.maximum(h, 0) @ (vectors @ inner @ vectors.T)) * (h > 0)) @ x
    mean = np.sqrt(np.mean(np.sum(step**2, axis=1)) / 3)
    assert found.value == pytest.approx(mean, rel=5e-3)
    assert 0 < found.error < 0.01 * found.value


def test_constants_of_a_network_by_hand():
    """Tangent kernels and the displacement with plain arrays."""
    rng = np.random.default_rng(5)
    W, a, ratio = rng.standard_normal((40, 2)), rng.standard_normal(40), 0.3
    h = W @ X.T
    active = (h > 0).astype(float)
    K_a = np.maximum(h, 0).T @ np.maximum(h, 0) / 40
    K_w = (X @ X.T) * (active.T @ (a[:, None] ** 2 * active)) / 40
    dual = np.linalg.solve(K_a / ratio + ratio * K_w, Y)
    values, vectors = np.linalg.eigh(K_a)
    part = vectors.T @ Y
    inner = np.outer(part, part) / (values[None, :] * (values[:, None] + values[None, :]))
    step = ((np.maximum(h, 0) @ (vectors @ inner @ vectors.T)) * active) @ X
    second = np.sqrt(np.mean(np.sum(step**2, axis=1)) / 2)
    found = network_constants(W, a, X, Y, ratio)
    np.testing.assert_allclose(found, [dual @ K_a @ dual, dual @ K_w @ dual, second], rtol=1e-10)


@pytest.mark.parametrize(("gamma", "other"), [(0.2, 0.0), (0.2, -0.3), (0.3, 0.3), (1.5, 1.3)])
def test_networks_move_by_the_formula(gamma, other):
    """Measured changes with the kernels of the very neurons; far from the boundary."""
    width = 16384
    cell = {p.name: p.default for p in PROBE.parameters}
    cell |= {"gamma": gamma, "gamma_prime": other, "width": width, "loss": 1e-8, "seed": 1}
    start, end, _, _ = run_cell(cell, 1.0)
    kappa, ratio = width**-gamma, width**-other
    form_a, form_w, second = network_constants(
        np.asarray(start.W), np.asarray(start.v) / ratio, X, Y, ratio
    )
    hidden = ratio / (width * kappa) * np.sqrt(form_w / 2)
    if gamma > 1:
        hidden = np.hypot(hidden, (ratio / (width * kappa)) ** 2 * second)
    # In units of the mean of |W(0)| and |v(0)|, as the formulas are.
    moved_w = np.linalg.norm(end.params.W - start.W) / np.sqrt(2 * width)
    moved_a = np.linalg.norm(end.params.v - start.v) / (ratio * np.sqrt(width))
    assert moved_w == pytest.approx(hidden, rel=2e-3)
    assert moved_a == pytest.approx(np.sqrt(form_a) / (ratio * width * kappa), rel=2e-3)


@pytest.mark.parametrize(("other", "hidden"), [(0.0, 0.004899), (-0.3, 0.006693), (0.3, 2.646e-5)])
def test_numbers_at_large_width(other, hidden):
    """gamma = 1/2, 65,536 neurons, as computed elsewhere with sampled kernels."""
    far = lazy_changes(np.array([0.5]), np.array([other]), np.array([65536.0]), X, Y)
    assert far.hidden.item() == pytest.approx(hidden, rel=1e-3)
    if other == 0:
        assert far.output.item() == pytest.approx(0.0041, rel=1e-3)


def test_only_the_lazy_side_has_values():
    gamma, other = np.array([0.7, 1.3]), np.array([-0.2, 0.1, 0.5])
    found = lazy_changes(gamma, other, np.array([1e3, 1e4, 1e5]), X, Y)
    lazy = np.array([[True, False], [True, False], [True, True]])
    for change in found:
        assert np.array_equal(np.isfinite(change), np.broadcast_to(lazy, change.shape))
    slopes = np.diff(np.log(found.hidden[:, 2]), axis=0) / np.log(10)
    np.testing.assert_allclose(slopes[-1], [-0.3 - 2 * 0.5, 2 * (0.3 - 0.5)], atol=1e-2)


def test_data_without_a_lazy_side_are_refused():
    with pytest.raises(DataError, match="an input is 0"):
        lazy_kernels(np.zeros((2, 2)))
    with pytest.raises(DataError, match="singular"):
        second_order_constant(np.array([[1.0, 1.0], [2.0, 2.0], [0.0, 1.0]]), Y)
    with pytest.raises(ParameterError, match="not positively homogeneous of degree 1"):
        second_order_constant(X, Y, "tanh")
    with pytest.raises(ParameterError, match="not positively homogeneous of degree 1"):
        lazy_kernels(X, "relu**2")


def test_kernels_of_a_smooth_network_by_hand():
    """sigma(eps z)/eps and its slope, over the neurons of one network; many are the limit."""
    rng = np.random.default_rng(6)
    W, a, eps = rng.standard_normal((200_000, 2)), rng.standard_normal(200_000), 0.4
    found = network_kernels(W[:50], a[:50], X, "tanh", eps)
    h = eps * W[:50] @ X.T
    slopes = a[:50, None] / np.cosh(h) ** 2
    np.testing.assert_allclose(found.output, np.tanh(h).T @ np.tanh(h) / 50 / eps**2, rtol=1e-12)
    np.testing.assert_allclose(found.hidden, X @ X.T * (slopes.T @ slopes) / 50, atol=1e-14)
    many, limit = network_kernels(W, a, X, "tanh", eps), lazy_kernels(X, "tanh", eps)
    for one, other in zip(many, limit, strict=True):
        np.testing.assert_allclose(one, other, atol=0.03)
