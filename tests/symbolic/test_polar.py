"""Norm and direction forms against hand-written flows, and blow-up times read off them."""

import jax
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from flowtheory.errors import ParameterError
from flowtheory.lower import lower_field
from flowtheory.precision import float64
from flowtheory.symbolic.contract import replace_entries
from flowtheory.symbolic.direction import (
    KAPPA,
    PHI,
    A,
    R,
    direction_form,
    in_direction,
    neuron_flow,
)
from flowtheory.symbolic.expression import Indexed
from flowtheory.symbolic.homogeneity import degree_in, gradient_degree
from flowtheory.symbolic.leading import leading_flow
from flowtheory.symbolic.networks.fully_connected import fully_connected, two_layer
from flowtheory.symbolic.normal import is_zero
from flowtheory.symbolic.polar import ELAPSED, RHO, neuron_polar, polar_flow

RANDOM = np.random.default_rng(3)
X, Y = RANDOM.normal(size=(7, 3)), RANDOM.normal(size=7)
TWO_LAYER = {"identity": 1, "relu": 1, "z*tanh(z)": 2, "z**2*tanh(z)": 3, "relu**2": 2}


def two_layer_gradient(W, v, p, rectified):
    """Value and gradient of H = mean_i y_i sum_j v_j s(w_j.x_i), s = z^p or max(z, 0)^p."""
    z = W @ X.T
    gate = (z > 0) * 1.0 if rectified else 1.0
    power, slope = gate * z**p, gate * p * z ** (p - 1)
    n = len(Y)
    inner = power @ Y / n
    return v @ inner, v[:, None] * ((slope * Y) @ X) / n, inner


def chain(W1, W2, v):
    """The same for H = mean_i y_i v W2 W1 x_i."""
    z = X.T @ Y / len(Y)
    return v @ W2 @ W1 @ z, np.outer(W2.T @ v, z), np.outer(v, W1 @ z), W2 @ W1 @ z


def data_of(field):
    """The tensors in the rates that are no state, in the order of their names."""
    state = {e.base for e, _ in field.components}
    used = {e.base for _, rate in field.components for e in rate.atoms(Indexed)}
    return sorted(used - state, key=str)


def rates(field, params):
    bases = data_of(field)
    with float64():
        found = lower_field(field, bases)(params, *({"x": X, "c": Y}[str(b)] for b in bases))
    return {name: np.asarray(value) for name, value in found.items()}


@pytest.mark.parametrize("name", TWO_LAYER)
def test_the_polar_flow_of_a_two_layer_network(name):
    """xi' = (projection of the gradient)/r^(k-2), rho' = d ln r, both of a hand-written flow."""
    p = TWO_LAYER[name]
    polar = polar_flow(leading_flow(two_layer(name), "half_mse"))
    assert polar.degree == p + 1
    W, v = RANDOM.normal(size=(4, 3)), RANDOM.normal(size=4)
    r = np.sqrt((W**2).sum() + (v**2).sum())
    params = {"xi_W": W / r, "xi_v": v / r, "rho": np.log(r), "tau": 0.0}
    H, dW, dv = two_layer_gradient(W, v, p, name.startswith("relu"))
    radial = (W * dW).sum() + v @ dv  # r dr/dt
    unit = r ** (p + 1 - 2)  # dsigma/dt
    found = rates(polar.field, params)
    expected = {
        "xi_W": (dW / r - W * radial / r**3) / unit,
        "xi_v": (dv / r - v * radial / r**3) / unit,
        "rho": radial / r**2 / unit,
        "tau": 1 / unit,
    }
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-12, atol=1e-14)
    assert found["rho"] == pytest.approx((p + 1) * H / r ** (p + 1), rel=1e-12)


def test_the_polar_flow_of_a_deep_network_with_a_bias():
    polar = polar_flow(leading_flow(fully_connected(3, "tanh"), "half_mse"))
    W1, W2, v = RANDOM.normal(size=(4, 3)), RANDOM.normal(size=(5, 4)), RANDOM.normal(size=5)
    H, *gradient = chain(W1, W2, v)
    theta = (W1, W2, v)
    r = np.sqrt(sum((t**2).sum() for t in theta))
    params = {f"xi_{n}": t / r for n, t in zip(("W1", "W2", "v"), theta, strict=True)}
    found = rates(polar.field, params | {"rho": np.log(r), "tau": 0.0})
    for n, t, g in zip(("W1", "W2", "v"), theta, gradient, strict=True):
        expected = (g / r - t * 3 * H / r**3) / r
        np.testing.assert_allclose(found[f"xi_{n}"], expected, rtol=1e-12, atol=1e-14)
    biased = polar_flow(leading_flow(fully_connected(2, "relu", biases=(True, False))))
    assert [str(e.base) for e in biased.directions.values()] == ["xi_W", "xi_b1", "xi_v"]
    params = unit_start(h=4)
    found = rates(biased.field, params)
    tangent = sum(np.sum(params[k] * found[k]) for k in ("xi_W", "xi_b1", "xi_v"))
    assert abs(tangent) < 1e-14 < abs(found["rho"])


def unit_start(h):
    parts = {"xi_W": (h, 3), "xi_b1": (h,), "xi_v": (h,)}
    drawn = {k: RANDOM.normal(size=shape) for k, shape in parts.items()}
    r = np.sqrt(sum((t**2).sum() for t in drawn.values()))
    return {k: t / r for k, t in drawn.items()} | {"rho": 0.0, "tau": 0.0}


def test_the_blow_up_time_is_the_limit_of_tau():
    """A balanced rank-one chain of three layers with gains w blows up at 1/(s w)."""
    polar = polar_flow(leading_flow(fully_connected(3, "identity"), "half_mse"))
    s, w = np.linalg.norm(X.T @ Y) / len(Y), 0.3
    first, second = RANDOM.normal(size=4), RANDOM.normal(size=5)
    first, second = first / np.linalg.norm(first), second / np.linalg.norm(second)
    z = X.T @ Y / len(Y) / s
    names = [str(e.base) for e in polar.directions.values()]
    theta = dict(zip(names, (np.outer(first, z), np.outer(second, first), second), strict=True))
    r = np.sqrt(3) * w
    start = {k: w * t / r for k, t in theta.items()} | {"rho": np.log(r), "tau": 0.0}
    shapes = {k: np.shape(t) for k, t in start.items()}
    bases = data_of(polar.field)
    with float64():
        lowered = jax.jit(lower_field(polar.field, bases))
        data = [{"x": X, "c": Y}[str(b)] for b in bases]

        def field(_, flat):
            found = lowered(unpack(flat, shapes), *data)
            return np.concatenate([np.ravel(found[k]) for k in shapes])

        flat = np.concatenate([np.ravel(t) for t in start.values()])
        end = solve_ivp(field, (0, 40), flat, method="DOP853", rtol=1e-12, atol=1e-14).y[:, -1]
    final = unpack(end, shapes)
    # The tail beyond the last norm: 1/(k (k - 2) h r), h = s 3^(-3/2).
    tail = np.exp(-final["rho"]) / (3 * s * 3**-1.5)
    assert final["rho"] > 5
    assert final["tau"] + tail == pytest.approx(1 / (s * w), rel=1e-10)


def unpack(flat, shapes):
    parts, at = {}, 0
    for k, shape in shapes.items():
        size = int(np.prod(shape))
        parts[k] = np.reshape(flat[at : at + size], shape)
        at += size
    return parts


@pytest.mark.parametrize("name", TWO_LAYER)
def test_the_polar_flow_of_a_neuron(name):
    p = TWO_LAYER[name]
    neuron = neuron_polar(leading_flow(two_layer(name), "half_mse"))
    assert neuron.multiplicity == p
    W, v = RANDOM.normal(size=(4, 3)), RANDOM.normal(size=4)
    R = np.linalg.norm(W, axis=1)
    _, dW, dv = two_layer_gradient(W, v, p, name.startswith("relu"))
    growth = (W * dW).sum(axis=1) / R
    expected = {
        "u": dW / R[:, None] - W * (growth / R**2)[:, None],
        "R": growth,
        "v": dv,
    }
    found = rates(neuron.field, {"u": W / R[:, None], "R": R, "v": v})
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found["R"], p * v * dv / R, rtol=1e-12)


def test_for_multiplicity_one_it_is_the_direction_form():
    """u' of both, with a = grad H(u) and v = kappa R."""
    flow = leading_flow(two_layer("identity"), "half_mse")
    neuron, polar = neuron_flow(flow), neuron_polar(flow)
    (_, direction), (_, norm), _ = polar.field.components
    form = direction_form(neuron)
    actual = {A: neuron.attraction, PHI: polar.potential}
    assert is_zero(
        replace_entries(form.direction, actual) - replace_entries(direction, {neuron.v: KAPPA * R})
    )
    assert is_zero(
        replace_entries(form.log_norm, actual) - replace_entries(norm / R, {neuron.v: KAPPA * R})
    )
    assert in_direction(neuron.v, neuron) == KAPPA * R


def test_degrees_are_proved_and_others_refused():
    relu = two_layer("relu")
    W, v = relu.parameters
    assert degree_in(relu.output, (W,)) == 1
    assert degree_in(relu.output, (W, v)) == 2
    assert degree_in(two_layer("tanh").output, (W,)) is None
    assert degree_in(v + W, (W,)) is None
    assert gradient_degree(leading_flow(two_layer("z*tanh(z)"))) == 3
    with pytest.raises(ParameterError, match="does not decouple into neurons"):
        neuron_polar(leading_flow(fully_connected(3, "tanh")))
    with pytest.raises(ParameterError, match="not the gradient flow of a homogeneous H"):
        polar_flow(leading_flow(two_layer("sigmoid"), "half_mse"))
    assert (str(RHO), str(ELAPSED)) == ("rho", "tau")
