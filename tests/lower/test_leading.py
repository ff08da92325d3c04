"""Leading flows as array code: against the full flow at small scale, and on data."""

import jax
import numpy as np
import pytest

import flowtheory as ft
from flowtheory.errors import DataError, ParameterError
from flowtheory.lower import lower
from flowtheory.symbolic import find_loss
from flowtheory.symbolic.network import reduced_loss
from flowtheory.symbolic.networks.registry import find_network

SIZES = {"n": 8, "D": 3, "C": 2, "h": 5, "h1": 4, "h2": 5, "h3": 3}
RNG = np.random.default_rng(11)


def _params(network, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {str(b): tuple(SIZES[str(s)] for s in b.shape) for b in network.bases}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def _data(network, seed=1):
    rng = np.random.default_rng(seed)
    data = {str(b): rng.normal(size=tuple(SIZES[str(s)] for s in b.shape)) for b in network.data}
    data["y"] -= data["y"].mean(axis=0)  # the constant that fits best is 0
    return data


def _full(network, loss):
    """-grad L as a function of (params, data)."""
    tensors = (*network.bases, *network.data)
    energy = lower(reduced_loss(network, find_loss(loss)), tensors)
    names = [str(base) for base in tensors]

    def value(params, data):
        return energy(*({**params, **data}[name] for name in names))

    return jax.grad(value)


CASES = {
    "tanh": (ft.fully_connected(2, "tanh"), "half_square"),
    "three layers, mean": (ft.fully_connected(3, "gelu"), "mse"),
    "two outputs": (ft.fully_connected(2, "z*tanh(z)", output="vector"), "half_square"),
    "four layers": (ft.fully_connected(4, "tanh"), "half_square"),
    "relu with hidden biases": (ft.fully_connected(2, "relu", biases=(True, False)), "square"),
    "output bias": (ft.fully_connected(3, "tanh", biases=True), "half_square"),
    "sigmoid": (ft.fully_connected(2, "sigmoid"), "half_square"),
    "diagonal": (find_network("diagonal-linear", 3), "half_square"),
    "factorization": (find_network("matrix-factorization", 3), "half_square"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_field_is_the_limit_of_the_full_flow_with_the_order_of_the_gap(case):
    network, loss = CASES[case]
    flow = ft.effective_flow(network, loss)
    field, data, params = ft.vector_field(flow), _data(network), _params(network)
    gradient = _full(network, loss)
    errors = []
    with ft.float64():
        leading = field(params, field.prepare(**data))
        for eps in (1e-2, 1e-3):
            scaled = {name: eps * value for name, value in params.items()}
            if "b3" in params:  # the constant stays fitted, beyond leading order
                scaled["b3"] += -gradient(scaled, data)["b3"] / SIZES["n"]
            full = gradient(scaled, data)
            rates = {name: -full[name] / eps ** (flow.power - 1) for name in params}
            moving = [str(entry.base) for entry in flow.moving]
            scale = max(float(np.abs(leading[name]).max()) for name in moving)
            off = max(float(np.abs(rates[name] - leading[name]).max()) for name in moving)
            errors.append(off / scale)
    assert np.log10(errors[0] / errors[1]) == pytest.approx(flow.gap, abs=0.1)
    assert set(leading) == set(params)
    assert all(leading[name].shape == params[name].shape for name in params)


def test_a_field_of_moments_does_not_see_the_samples():
    field = ft.vector_field(ft.effective_flow(ft.fully_connected(4, "tanh"), "logistic"))
    assert field.names == ("z",)
    x, y = RNG.normal(size=(50, 3)), np.sign(RNG.normal(size=50))
    with ft.float64():
        np.testing.assert_allclose(field.prepare(x=x, y=y)["z"], y @ x / 2, rtol=1e-14)
    kinked = ft.vector_field(ft.effective_flow(ft.fully_connected(2, "relu"), "logistic"))
    assert set(kinked.names) == {"c", "x"}


def test_the_fitted_constant_of_each_loss():
    """The mean of the labels, the logit of a share, and the logarithms of the shares."""
    y = np.array([1.0, 1.0, -1.0, 1.0, -1.0, 1.0, 1.0, 1.0])
    x = RNG.normal(size=(8, 3))
    bias = ft.fully_connected(2, "tanh", biases=True)
    sigmoid = ft.fully_connected(2, "sigmoid")
    expected = {"half_square": y.mean(), "logistic": np.log(6 / 2)}
    for loss, level in expected.items():
        given = ft.vector_field(ft.effective_flow(sigmoid, loss)).prepare(x=x, y=y)
        assert given["s"] == pytest.approx(level, rel=1e-7)
        weights = ft.vector_field(ft.effective_flow(bias, loss)).prepare(x=x, y=y)
        assert set(weights) == {"z"}  # and the moment is that of the residuals
        slope = y - level if loss == "half_square" else y / (1 + np.exp(y * level))
        np.testing.assert_allclose(weights["z"], slope @ x, rtol=1e-6)
    labels = np.eye(3)[[0, 0, 1, 2, 2, 2, 2, 1]]
    vector = ft.fully_connected(2, "tanh", biases=True, output="vector")
    flow = ft.vector_field(ft.effective_flow(vector, "softmax_cross_entropy"))
    shares = labels.mean(axis=0)
    moment = flow.prepare(x=x, y=labels)["Z"]
    np.testing.assert_allclose(moment, (labels - shares).T @ x, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("layers", "activation", "degree", "vanished"),
    [
        (2, "tanh", 4, {"z", "T_3", "T_5"}),  # only the square of the output is left
        (2, "gelu", 3, {"z"}),
        (3, "gelu", 4, {"z"}),
        (2, "z*tanh(z)", 3, set()),
    ],
)
def test_moments_that_vanish_raise_the_degree(layers, activation, degree, vanished):
    """A target that is even, on inputs that come in pairs x, -x."""
    half, labels = RNG.normal(size=(4, 3)), RNG.normal(size=4)
    data = {"x": np.vstack([half, -half]), "y": np.concatenate([labels, labels])}
    network = ft.fully_connected(layers, activation)
    flow = ft.effective_flow(network, "half_square", data=data)
    assert flow.degree == degree
    assert {str(moment.entry.base) for moment in flow.vanished} == vanished
    assert flow.grows == (activation != "tanh")
    tensors = (*network.bases, *network.data)
    energy = lower(reduced_loss(network, find_loss("half_square")), tensors)
    params = _params(network)
    with ft.float64():
        drops = [
            energy(*(eps * value for value in params.values()), *data.values())
            - 0.5 * np.sum(data["y"] ** 2)
            for eps in (4e-3, 2e-3)
        ]
    assert np.log2(float(drops[0] / drops[1])) == pytest.approx(degree, abs=0.05)
    generic = ft.effective_flow(network, "half_square", data=_data(network))
    assert generic.degree == ft.effective_flow(network, "half_square").degree


def test_bad_data_are_refused():
    field = ft.vector_field(ft.effective_flow(ft.fully_connected(2, "tanh"), "half_square"))
    with pytest.raises(DataError, match="y is missing"):
        field.prepare(x=np.eye(2))
    with pytest.raises(DataError, match="n is 3"):
        field.prepare(x=np.eye(2), y=np.ones(3))
    fitted = ft.vector_field(ft.effective_flow(ft.fully_connected(2, "sigmoid"), "logistic"))
    with pytest.raises(DataError, match="no constant fits"):
        fitted.prepare(x=np.eye(2), y=np.ones(2))  # one class: the best constant is infinite


def test_layers_of_different_scales():
    """The smallest layers move, and the bottleneck rule gives their degree and their time."""
    network = ft.fully_connected(4, "identity")
    names = [str(base) for base in network.bases]
    for small in range(1, 5):
        scales = {name: int(k < small) for k, name in enumerate(names)}
        flow = ft.effective_flow(network, "half_square", scales=scales)
        assert (flow.degree, flow.time_exponent) == (small, small - 2)
        assert [str(entry.base) for entry in flow.moving] == names[:small]
    unequal = ft.effective_flow(network, "half_square", scales={"W2": 2, "v": 3})
    assert (unequal.power, unequal.time_exponent, unequal.degree) == (7, 1, 1)
    with pytest.raises(ParameterError, match="natural number"):
        ft.effective_flow(network, "half_square", scales={"v": 0.5})
    with pytest.raises(ParameterError, match="no parameter 'V'"):
        ft.effective_flow(network, "half_square", scales={"V": 1})
