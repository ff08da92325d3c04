"""The linearized flow at numeric points: against dense Hessians, closed forms, and its own bars."""

import time

import jax
import numpy as np
import pytest

import flowtheory as ft
from flowtheory.errors import DataError, ParameterError, UnknownNameError
from flowtheory.lower import IndexStatus, linearize_at, numeric
from flowtheory.lower.lanczos import norm_bound, top
from flowtheory.symbolic import (
    deep_linear_saddle,
    effective_flow,
    fully_connected,
    linearize_origin,
    matrix_factorization,
    two_layer,
)

RNG = np.random.default_rng(0)
H, D, N = 7, 5, 6
X, Y = RNG.normal(size=(N, D)), RNG.normal(size=N)
POINT = {"W": RNG.normal(size=(H, D)), "v": RNG.normal(size=H)}
LANCZOS = 1  # as `dense_limit`: the iteration even for few parameters


def hand_written(activation, params, x, y):
    """Eigenvalues of minus the Hessian of half the sum of squares, by `jax.hessian`."""
    sigma = {"tanh": jax.numpy.tanh, "relu": jax.nn.relu}[activation]
    h, dim = params["W"].shape

    def loss(flat):
        W, v = flat[: h * dim].reshape(h, dim), flat[h * dim :]
        return 0.5 * jax.numpy.sum((y - sigma(x @ W.T) @ v) ** 2)

    with ft.float64():
        flat = np.concatenate([params["W"].ravel(), params["v"]])
        matrix = -np.asarray(jax.hessian(loss)(flat))
        gradient = np.linalg.norm(jax.grad(loss)(flat))
    return np.linalg.eigvalsh(matrix)[::-1], gradient


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_both_ways_give_the_eigenvalues_of_a_hand_written_hessian(activation):
    expected, gradient = hand_written(activation, POINT, X, Y)
    for limit in (2000, LANCZOS):
        found = linearize_at(two_layer(activation), "half_square", POINT, X, Y, dense_limit=limit)
        scale = max(abs(expected))
        np.testing.assert_allclose(
            found.rates, expected[: found.rates.size], rtol=0, atol=1e-10 * scale
        )
        assert found.stiffness == pytest.approx(expected[-1], rel=1e-10)
        assert found.gradient_norm == pytest.approx(gradient, rel=1e-12)
        assert found.index == np.sum(expected > 1e-8 * scale)
        assert found.is_certain
        assert max(*found.residuals, found.stiffness_residual) < 1e-7 * scale
        assert found.n_params == H * D + H
    counted = linearize_at(two_layer(activation), "half_square", POINT, X, Y)
    assert counted.status is IndexStatus.COUNTED
    assert sum(counted.inertia) == H * D + H
    mean = linearize_at(two_layer(activation), "half_square", POINT, X, Y, reduction="mean")
    np.testing.assert_allclose(mean.rates * N, counted.rates, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("limit", [2000, LANCZOS])
@pytest.mark.parametrize("loss", ["half_square", "logistic"])
def test_the_origin_has_the_symbolic_spectrum_with_its_multiplicities(limit, loss):
    y = np.sign(Y)
    flow = effective_flow(two_layer("tanh"), loss)
    symbolic = linearize_origin(flow)
    origin = {name: np.zeros_like(array) for name, array in POINT.items()}
    found = linearize_at(two_layer("tanh"), loss, origin, X, y, dense_limit=limit, leading=H + 3)
    z = np.linalg.norm(X.T @ y) * (0.5 if loss == "logistic" else 1.0)
    h, d = (flow.network.parameter("W").shape[k] for k in (0, 1))
    counts = [numeric(count, [h, d])(H, D) for _, count in symbolic.parts]
    assert found.index == counts[0] == H
    np.testing.assert_allclose(found.rates[:H], z, rtol=1e-11)
    np.testing.assert_allclose(found.rates[H:], 0, atol=1e-11 * z)
    assert found.stiffness == pytest.approx(-z, rel=1e-11)
    if limit > 1:
        assert list(found.inertia) == [counts[0], counts[2], counts[1]]
    # The directions that grow are a_j w_j with w_j along z, and of equal size.
    direction = found.escape_direction
    unit = X.T @ y / np.linalg.norm(X.T @ y)
    np.testing.assert_allclose(direction["W"], np.outer(direction["v"], unit), atol=1e-9)


def saddle(depth, values, kept, width=4):
    """W_L ... W_1 = the kept part of a matrix with the given singular values, balanced."""
    rng = np.random.default_rng(depth)
    u, v = (np.linalg.qr(rng.normal(size=(k, k)))[0] for k in (3, 4))
    gains = np.zeros(width)
    gains[: len(kept)] = [s ** (1 / depth) if s in kept else 0 for s in kept]
    frame = np.zeros((3, 4))
    np.fill_diagonal(frame[: len(values), : len(values)], values)
    order = [values.index(s) for s in kept] + [k for k in range(width) if k >= len(kept)]
    columns = [*order[: len(kept)], *[k for k in range(4) if k not in order[: len(kept)]]]
    first = np.diag(gains) @ v.T[columns]
    last = u[:, [*order[: len(kept)], *[k for k in range(3) if k not in order[: len(kept)]]]]
    last = last @ np.diag(gains)[:3]
    middle = {f"W{layer}": np.diag(gains) for layer in range(2, depth)}
    names = ("W", "V") if depth == 2 else ("W1", "V")
    params = {names[0]: first, **middle, names[1]: last}
    return params, u @ frame @ v.T, u, v


@pytest.mark.parametrize("limit", [2000, LANCZOS])
@pytest.mark.parametrize(
    ("depth", "values", "kept"),
    [
        (2, [2.0, 1.5], [2.0]),
        (2, [2.0, 1.5], [1.5]),
        (3, [2.0, 1.5], [2.0]),
        (3, [2.0, 1.5], [1.5]),
        (4, [2.0, 1.5], [1.5]),
        (2, [2.0, 1.0, 0.4], [2.0, 1.0]),
    ],
)
def test_saddles_of_deep_linear_networks(depth, values, kept, limit):
    params, target, _, _ = saddle(depth, values, kept)
    dropped = [s for s in values if s not in kept]
    symbolic = deep_linear_saddle(depth, kept, dropped, width=4, inputs=4, outputs=3)
    rates = [float(r) for r, count in symbolic.parts for _ in range(int(count))]
    net = matrix_factorization(depth)
    found = linearize_at(net, "half_square", params, None, target, dense_limit=limit)
    assert found.gradient_norm < 1e-12
    assert found.n_params == len(rates)
    expected = sorted(rates, reverse=True)
    np.testing.assert_allclose(found.rates, expected[: found.rates.size], atol=1e-9)
    assert found.stiffness == pytest.approx(expected[-1], rel=1e-9)
    assert found.index == sum(rate > 1e-6 for rate in rates)
    if depth == 2:
        assert found.rates[0] == pytest.approx(dropped[0])
    elif kept == [2.0]:
        # No direction grows, although the point is a saddle.
        assert (found.index, found.escape_direction) == (0, None)
        assert abs(found.rates[0]) < 1e-9
    else:
        published = {3: 0.572357, 4: 0.612372}[depth]
        assert found.rates[0] == pytest.approx(published, abs=1e-6)


@pytest.mark.parametrize("limit", [2000, LANCZOS])
def test_the_escape_direction_is_the_top_singular_pair_that_is_left(limit):
    params, target, u, v = saddle(2, [2.0, 1.5], [2.0])
    net = matrix_factorization(2)
    found = linearize_at(net, "half_square", params, None, target, dense_limit=limit)
    first, last = (found.escape_direction[name] for name in ("W", "V"))
    hidden = first @ v[:, 1]  # which idle unit moves is free
    np.testing.assert_allclose(first, np.outer(hidden, v[:, 1]), atol=1e-9)
    np.testing.assert_allclose(last, np.outer(u[:, 1], hidden), atol=1e-9)
    assert np.linalg.norm(hidden) == pytest.approx(np.sqrt(0.5))
    assert abs(hidden[0]) < 1e-9  # the unit that carries the kept pair does not


def test_a_hundred_thousand_parameters_at_a_known_spectrum():
    width, dim, n = 1000, 99, 20
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(n, dim)), rng.normal(size=n)
    origin = {"W": np.zeros((width, dim)), "v": np.zeros(width)}
    began = time.process_time()
    found = linearize_at(two_layer("tanh"), "half_square", origin, x, y, max_index=6)
    assert time.process_time() - began < 30  # of the processor, whoever else is busy
    z = np.linalg.norm(x.T @ y)
    assert found.n_params == 100_000
    np.testing.assert_allclose(found.rates, z, rtol=1e-9)
    assert found.stiffness == pytest.approx(-z, rel=1e-9)
    assert found.status is IndexStatus.LOWER_BOUND
    assert 6 <= found.index <= width
    assert not found.is_certain
    assert ">= " in repr(found)


def test_a_vanishing_hessian_and_a_spent_budget_are_named():
    origin = {"W1": np.zeros((6, D)), "W2": np.zeros((6, 6)), "v": np.zeros(6)}
    net = fully_connected(3, "tanh")
    for limit in (2000, LANCZOS):
        flat = linearize_at(net, "half_square", origin, X, Y, dense_limit=limit)
        assert (flat.index, flat.stiffness, flat.escape_direction) == (0, 0.0, None)
    # A spectrum without gaps, far more of it than the budget reaches.
    spectrum = np.linspace(-1, 1, 3000)
    rng = np.random.default_rng(0)
    given = top(
        lambda v: spectrum * v, 3000, 1.0, rng, least=6, level=0.0, limit=50, max_products=150
    )
    assert not given.converged
    assert not given.exhausted


def test_the_iteration_finds_every_copy_of_a_multiple_eigenvalue():
    rng = np.random.default_rng(3)
    frame, _ = np.linalg.qr(rng.normal(size=(300, 300)))
    values = np.repeat([2.0, 1.0, 0.0, -3.0], [23, 40, 137, 100])
    matrix = frame @ np.diag(values) @ frame.T
    norm = norm_bound(lambda v: matrix @ v, 300, rng, 1000)
    assert 3.0 <= norm <= 3.1
    found = top(
        lambda v: matrix @ v, 300, norm, rng, least=4, level=1e-6, limit=200, max_products=5000
    )
    assert found.exhausted
    np.testing.assert_allclose(found.values[:63], values[:63], atol=1e-9)
    assert (found.values[63:] < 1e-6).all()


def test_a_point_on_a_kink_is_refused_and_one_beside_it_is_not():
    net = two_layer("relu")
    on = {"W": POINT["W"].copy(), "v": POINT["v"]}
    on["W"][2] = 0.0
    with pytest.raises(DataError, match="6 preactivation"):
        linearize_at(net, "half_square", on, X, Y)
    on["W"][2] = 1e-9
    assert linearize_at(net, "half_square", on, X, Y).n_params == H * D + H


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"params": {"W": POINT["W"]}}, DataError, "parameters are called W"),
        ({"params": POINT | {"v": np.full(H, np.nan)}}, DataError, "non-finite"),
        ({"params": POINT | {"v": np.ones(H + 1)}}, DataError, "h is"),
        ({"x": X[:-1]}, DataError, "n is"),
        ({"x": None}, DataError, "x is not given"),
        ({"loss": "hinge"}, UnknownNameError, "hinge"),
        ({"leading": 0}, ParameterError, "leading is 0"),
        ({"tolerance": -1.0}, ParameterError, "tolerance"),
        ({"reduction": "max"}, ParameterError, "reduction"),
        ({"params": POINT | {"v": np.full(H, 1e200)}}, DataError, "not finite"),
    ],
)
def test_bad_input_is_refused_by_name(change, error, message):
    given = {"network": two_layer("tanh"), "loss": "half_square", "params": POINT, "x": X, "y": Y}
    if "1e+200" in str(change):
        given["loss"] = "exponential"
    given |= change
    with pytest.raises(error, match=message):
        linearize_at(**given)
