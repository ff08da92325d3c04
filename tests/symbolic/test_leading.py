"""Biases, fitted constants, coupled losses and scales by layer against the full loss.

Degree, gap and coefficients are extracted in mpmath from the loss at two scales, after its exact
minimisation over the fitted constant; the projected flow is compared with the integrated full one.
"""

from functools import partial

import jax
import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp
from symbolic import by_hand
from symbolic.brute_force import evaluate

import flowtheory as ft
from flowtheory.errors import ParameterError
from flowtheory.lower import lower
from flowtheory.symbolic import effective_flow, find_network
from flowtheory.symbolic.loss import find_loss
from flowtheory.symbolic.network import total_loss

SIZES = {"n": 4, "D": 2, "C": 2, "h": 2, "h1": 2, "h2": 3, "h3": 2}
FUNCTIONS = {
    "identity": lambda z: z,
    "tanh": mpmath.tanh,
    "gelu": lambda z: z * mpmath.ncdf(z),
    "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
    "z*tanh(z)": lambda z: z * mpmath.tanh(z),
    "cos-1": lambda z: -2 * mpmath.sin(z / 2) ** 2,
}
LOSSES = {
    "half_square": lambda y, f: np.sum((y - f) ** 2) / 2,
    "exponential": lambda y, f: sum(map(mpmath.exp, -y * f)),
    "logistic": lambda y, f: sum(map(mpmath.log1p, map(mpmath.exp, -y * f))),
    "binary_cross_entropy": lambda y, f: sum(map(mpmath.log1p, map(mpmath.exp, f))) - y @ f,
    "softmax_cross_entropy": lambda y, f: sum(
        mpmath.log(sum(map(mpmath.exp, row))) - own @ row for own, row in zip(y, f, strict=True)
    ),
}
# Slopes with respect to a constant that is added to the output.
SLOPES = {
    "half_square": lambda y, f: np.sum(f - y),
    "logistic": lambda y, f: sum(-a / (1 + mpmath.exp(a * b)) for a, b in zip(y, f, strict=True)),
    "binary_cross_entropy": lambda y, f: sum(1 / (1 + mpmath.exp(-b)) for b in f) - np.sum(y),
}
LABELS = {"half_square": (3, -1, 4, 1), "logistic": (1, -2, 1, 1), "exponential": (1, -1, 2, -1)}
LABELS["binary_cross_entropy"] = (sp.Rational(1, 3), sp.Rational(3, 4), 0, sp.Rational(1, 5))
LABELS["softmax_cross_entropy"] = [[sp.Rational(k, 7), 1 - sp.Rational(k, 7)] for k in (1, 5, 2, 3)]


def _tensors(network, loss):
    """Nested lists of rational numbers, the labels with every fit at a number of its own."""

    def fill(shape, seed):
        if not shape:
            return sp.Rational((7 * seed * seed + 3) % 23 - 11, 9)
        return [fill(shape[1:], 5 * seed + k + 2) for k in range(shape[0])]

    bases = (*network.bases, *network.data)
    shapes = [[SIZES[str(extent)] for extent in base.shape] for base in bases]
    given = {str(b): fill(s, k + 1) for k, (b, s) in enumerate(zip(bases, shapes, strict=True))}
    labels = LABELS[loss]
    if len(network.axes) > 1 and loss != "softmax_cross_entropy":
        labels = [[a, 2 - a] for a in labels]
    return given | {"y": list(labels)}


def _array(nested):
    def convert(part):
        if isinstance(part, list | tuple):
            return [convert(inner) for inner in part]
        number = sp.Rational(part)
        return mpmath.mpf(number.p) / number.q

    return np.array(convert(nested), dtype=object)


class FullLoss:
    """The loss as a function of the scale, by matrix products of mpmath numbers."""

    def __init__(self, name, layers, activation, loss, **options):
        self.network = find_network(name, layers, activation, **options)
        self.loss, self.tensors = loss, _tensors(self.network, loss)
        sigma = np.vectorize(FUNCTIONS[activation or "identity"], otypes=[object])
        self.output = partial(by_hand.output, name, layers, sigma, options)

    def __call__(self, scale, powers=None, constant=0):
        arrays = {name: _array(value) for name, value in self.tensors.items()}
        for base in self.network.bases:
            arrays[str(base)] = arrays[str(base)] * scale ** (powers or {}).get(str(base), 1)
        return LOSSES[self.loss](arrays["y"], self.output(arrays) + constant)

    def least(self, scale, powers=None):
        """The minimum over a constant that is added to the output, and where it is."""
        start, slope = mpmath.mpf(0), None
        if self.loss == "softmax_cross_entropy":  # with two outputs only the difference matters
            slope = lambda b: mpmath.diff(lambda c: self(scale, powers, np.array([c, 0 * c])), b)  # noqa: E731
            found = mpmath.findroot(slope, start)
            return self(scale, powers, np.array([found, 0 * found])), found
        arrays = {name: _array(value) for name, value in self.tensors.items()}
        for base in self.network.bases:
            arrays[str(base)] = arrays[str(base)] * scale
        f, y = self.output(arrays), arrays["y"]
        found = mpmath.findroot(lambda b: SLOPES[self.loss](y, f + b), start)
        return LOSSES[self.loss](y, f + found), found

    def at(self, coefficient, level=None):
        """The number that a coefficient of the engine is for these tensors."""
        sizes = SIZES if level is None else SIZES | {"s": sp.Float(level, 110)}
        return mpmath.mpmathify(sp.N(evaluate(coefficient, self.tensors, sizes), 100))


def _check_two_terms(drops, scales, expansion, number):
    """The first two powers and coefficients of `expansion` against differences of losses."""
    k, gap = expansion.degree, expansion.gap
    first, second = number(expansion[k]), number(expansion[k + gap])
    assert mpmath.log10(abs(drops[0] / drops[1])) == pytest.approx(k, abs=1e-6)
    rest = [d - first * s**k for d, s in zip(drops, scales, strict=True)]
    assert mpmath.log10(abs(rest[0] / rest[1])) == pytest.approx(k + gap, abs=1e-6)
    assert abs(rest[1] / scales[1] ** (k + gap) / second - 1) < 1e-6


@pytest.mark.parametrize("loss", SLOPES)
@pytest.mark.parametrize(
    ("layers", "activation", "degree", "gap"),
    [
        (2, "tanh", 2, 2),
        (2, "gelu", 2, 1),
        (2, "sigmoid", 2, 2),
        (2, "z*tanh(z)", 3, 2),
        (3, "tanh", 3, 2),
        (3, "sigmoid", 3, 2),
        (3, "cos-1", 5, 2),
    ],
)
def test_a_fitted_output_bias(layers, activation, degree, gap, loss):
    full = FullLoss("fully-connected-biases", layers, activation, loss)
    flow = effective_flow(full.network, loss)
    assert (flow.degree, flow.expansion.gap) == (degree, gap)
    with mpmath.workdps(130):
        start, level = full.least(mpmath.mpf(0))
        scales = [mpmath.mpf(10) ** -m for m in (10, 11)]
        drops = [full.least(scale)[0] - start for scale in scales]
        _check_two_terms(drops, scales, flow.expansion, lambda c: full.at(c, level))


@pytest.mark.parametrize(
    ("activation", "layers", "gap"), [("tanh", 2, 2), ("gelu", 2, 1), ("tanh", 3, 2)]
)
def test_softmax_cross_entropy(activation, layers, gap):
    full = FullLoss("fully-connected-vector", layers, activation, "softmax_cross_entropy")
    flow = effective_flow(full.network, full.loss)
    assert (flow.degree, flow.gap) == (layers, gap)
    with mpmath.workdps(130):
        scales = [mpmath.mpf(10) ** -m for m in (10, 11)]
        drops = [full(scale) - full(mpmath.mpf(0)) for scale in scales]
        _check_two_terms(drops, scales, flow.expansion, full.at)


@pytest.mark.parametrize(
    ("name", "layers", "activation", "powers", "degree", "power", "time"),
    [
        ("fully-connected", 3, "tanh", {"v": 0}, 2, 2, 0),
        ("fully-connected", 3, "tanh", {"W1": 0}, 2, 2, 0),
        ("fully-connected", 4, "tanh", {"W2": 0}, 3, 3, 1),
        ("fully-connected", 3, "z*tanh(z)", {"v": 0}, 6, 6, 4),
        ("fully-connected", 3, "z*tanh(z)", {"W2": 0, "v": 0}, 4, 4, 2),
        ("fully-connected", 3, "z*tanh(z)", {"W1": 0}, 3, 3, 1),
        ("fully-connected", 2, "tanh", {"v": 2}, 1, 3, -1),
        ("fully-connected", 2, "z*tanh(z)", {"W": 3}, 2, 7, 1),
        ("deep-linear", 3, None, {"W1": 0, "W2": 0}, 1, 1, -1),
        ("diagonal-linear", 4, None, {"u1": 0, "u3": 2}, 1, 4, 0),
    ],
)
def test_scales_by_layer(name, layers, activation, powers, degree, power, time):
    r"""$k$ is the sum of the degrees of the smallest layers, and time runs with $K - 2\alpha$."""
    full = FullLoss(name, layers, activation, "half_square")
    flow = effective_flow(full.network, full.loss, scales=powers)
    assert (flow.degree, flow.power, flow.time_exponent) == (degree, power, time)
    with mpmath.workdps(150):
        scales = [mpmath.mpf(10) ** -m for m in (10, 11)]
        start = full(mpmath.mpf(0), powers)
        drops = [full(scale, powers) - start for scale in scales]
        _check_two_terms(drops, scales, flow.expansion, full.at)


@pytest.mark.parametrize(("layers", "exponents"), [(2, (3.0, 4.0)), (3, (2.0, 3.0))])
def test_the_flow_with_a_fit_is_the_limit_of_the_full_flow(layers, exponents):
    r"""Sigmoid, centred labels: relative error of order $\varepsilon$ after a fixed time.

    Two layers fit the constant as fast as they learn, from any start; three are slower than the
    fit, and stay on $\sum_j v_j = 0$.
    """
    network = find_network("fully-connected", layers, "sigmoid")
    flow = effective_flow(network, "half_square")
    assert (flow.degree, flow.gap) == (layers, 1)
    rng = np.random.default_rng(8)
    *state, x, y = (
        rng.normal(size=[{"n": 6}.get(str(extent), 3) for extent in base.shape])
        for base in (*network.bases, *network.data)
    )
    y = y - y.mean()
    if layers > 2:
        state[-1] -= state[-1].mean()
    with ft.float64():
        full, leading = _fields(flow, x, y)
        limit = _integrate(leading, state)
        ends = [_integrate(partial(full, 10.0**-power), state) for power in exponents]
    errors = [np.linalg.norm(end - limit) / np.linalg.norm(limit) for end in ends]
    assert np.log10(errors[0] / errors[1]) == pytest.approx(1, abs=0.05)
    assert np.linalg.norm(limit - _flat(state)) > 0.5
    if layers > 2:
        assert abs(limit[-3:].sum()) < 1e-9


def _fields(flow, x, y):
    """The full rates at a scale, in leading units, and the leading ones, of lists of arrays."""
    network = flow.network
    tensors = (*network.bases, *network.data)
    energy = lower(total_loss(network, find_loss("half_square")), tensors)
    slope = jax.jit(jax.grad(energy, range(len(network.bases))))
    field, names = ft.vector_field(flow), [str(base) for base in network.bases]
    given = field.prepare(x=x, y=y)
    compiled = jax.jit(lambda params: field(params, given))

    def full(scale, state):
        rates = slope(*(scale * part for part in state), x, y)
        return [-np.asarray(rate) / scale ** (flow.power - 1) for rate in rates]

    def leading(state):
        rates = compiled(dict(zip(names, state, strict=True)))
        return [np.asarray(rates[name]) for name in names]

    return full, leading


def _flat(parts):
    return np.concatenate([np.ravel(part) for part in parts])


def _integrate(rates, state):
    ends = np.cumsum([part.size for part in state])[:-1]

    def right(t, flat):
        parts = np.split(flat, ends)
        return _flat(rates([p.reshape(s.shape) for p, s in zip(parts, state, strict=True)]))

    solution = solve_ivp(right, (0, 1.0), _flat(state), method="DOP853", rtol=1e-12, atol=1e-14)
    assert solution.success
    return solution.y[:, -1]


def test_kinked_layers_with_hidden_biases_are_refused():
    r"""$\sigma(\varepsilon b + \varepsilon^2 z)$ has no expansion that holds for every bias."""
    assert effective_flow(find_network("fully-connected-biases", 2, "relu"), "logistic").degree == 2
    with pytest.raises(ParameterError, match="scale biases and weights"):
        effective_flow(find_network("fully-connected-biases", 3, "relu"), "logistic")
