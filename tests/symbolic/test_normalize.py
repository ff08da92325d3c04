"""The normalized flow against rescaled hand-written flows, and its coordinates."""

import numpy as np
import pytest
import sympy as sp

from flowtheory.errors import ParameterError
from flowtheory.lower import lower_field
from flowtheory.precision import float64
from flowtheory.symbolic.conserve.closed_form import is_conserved
from flowtheory.symbolic.leading import leading_flow
from flowtheory.symbolic.network import WIDTH as H
from flowtheory.symbolic.networks.fully_connected import fully_connected, two_layer
from flowtheory.symbolic.normalize import normalize
from flowtheory.symbolic.phase import ALPHA, GAMMA, GAMMA_PRIME, KAPPA, KAPPA_PRIME, WIDTH
from flowtheory.symbolic.printing import tex, unicode_line
from flowtheory.symbolic.scalings import INITIALIZATIONS, find_initialization

RANDOM = np.random.default_rng(5)
X, Y = RANDOM.normal(size=(6, 3)), RANDOM.normal(size=6)
ACTIVATIONS = {"relu": 1, "identity": 1, "z**2": 2, "relu**2": 2, "z**3": 3}


def sigma(name, z):
    p = ACTIVATIONS[name]
    gate = (z > 0) * 1.0 if name.startswith("relu") else 1.0
    return gate * z**p, gate * p * z ** (p - 1)


def original(name, alpha, w, a, feedback):
    """-grad of mean (f - y)^2/2 for f = a.sigma(w x)/alpha; without feedback, at f = 0."""
    s, ds = sigma(name, w @ X.T)
    e = ((a @ s / alpha if feedback else 0) - Y) / len(Y)
    return -((a[:, None] * ds * e) @ X) / alpha, -s @ e / alpha


def evaluated(field, kappa, ratios, params):
    values = {KAPPA: sp.Float(kappa), **{s: sp.Float(v) for s, v in ratios.items()}}
    components = tuple((entry, rate.xreplace(values)) for entry, rate in field.components)
    numbers = type(field)(components)
    names = {"x": X, "c": Y, "y": Y}
    used = {e.base for _, r in components for e in r.atoms(sp.Indexed)}
    bases = sorted((b for b in used if str(b) in names), key=str)
    with float64():
        found = lower_field(numbers, bases)(params, *(names[str(b)] for b in bases))
    return {key: np.asarray(value) for key, value in found.items()}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("feedback", [False, True])
def test_the_normalized_flow_is_the_flow_in_other_units(name, feedback):
    flow = normalize(leading_flow(two_layer(name), "half_mse"))
    bw, ba, alpha = 0.3, 1.7, 2.5
    w, a = RANDOM.normal(size=(4, 3)), RANDOM.normal(size=4)
    dw, da = original(name, alpha, bw * w, ba * a, feedback)
    values = dict(zip((*flow.deviations, ALPHA), (bw, ba, alpha), strict=True))
    kappa, ratio, unit = (float(d.expression.subs(values)) for d in flow.definitions)
    assert (kappa, ratio, unit) == pytest.approx(
        (ba * bw ** ACTIVATIONS[name] / alpha, ba / bw, ba * bw)
    )
    field = flow.full_field if feedback else flow.field
    found = evaluated(field, kappa, {KAPPA_PRIME: ratio}, {"W": w, "v": a})
    np.testing.assert_allclose(found["W"], unit * dw / bw, rtol=1e-12)
    np.testing.assert_allclose(found["v"], unit * da / ba, rtol=1e-12)


def test_three_layers_have_two_ratios():
    """Cubic chain of identities: rates rescaled by hand, mobilities with product 1."""
    flow = normalize(leading_flow(fully_connected(3, "identity"), "half_mse"))
    b, alpha = np.array([0.4, 1.3, 0.9]), 1.6
    theta = RANDOM.normal(size=(4, 3)), RANDOM.normal(size=(5, 4)), RANDOM.normal(size=5)
    W1, W2, v = (s * t for s, t in zip(b, theta, strict=True))
    z = X.T @ Y / len(Y) / alpha
    rates = np.outer(W2.T @ v, z), np.outer(v, W1 @ z), W2 @ W1 @ z
    unit = np.prod(b) ** (2 / 3)
    ratios = dict(zip(flow.ratios, b[1:] / b[:-1], strict=True))
    names = ("W1", "W2", "v")
    params = dict(zip(names, theta, strict=True))
    found = evaluated(flow.field, np.prod(b) / alpha, ratios, params)
    for key, rate, scale in zip(names, rates, b, strict=True):
        np.testing.assert_allclose(found[key], unit * rate / scale, rtol=1e-12)
    assert sp.powsimp(sp.Mul(*flow.mobilities)) == 1
    assert [str(s) for s in flow.ratios] == ["kappa'_1", "kappa'_2"]
    assert len(flow.exponents) == 3


@pytest.mark.parametrize("name", ["relu", "identity", "z**2", "relu**2"])
def test_the_imbalance_of_a_neuron_is_conserved_in_both_flows(name):
    flow = normalize(leading_flow(two_layer(name), "half_mse"))
    (law,) = flow.invariants
    p, ((W, _), (v, _)) = ACTIVATIONS[name], flow.field.components
    expected = sp.Sum(W**2, (W.indices[1], 1, W.shape[1])) - p * KAPPA_PRIME**2 * v**2
    assert law == expected
    assert is_conserved(law, flow.full_field)
    assert not is_conserved(law.subs(KAPPA_PRIME, 1), flow.field)


def test_every_hidden_layer_has_a_law():
    """A vector output of three layers: per hidden unit, each with the ratio of its layers."""
    flow = normalize(leading_flow(fully_connected(3, "identity", output="vector"), "half_mse"))
    assert [law.atoms(sp.Symbol) & set(flow.ratios) for law in flow.invariants] == [
        {ratio} for ratio in flow.ratios
    ]


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("name", INITIALIZATIONS)
def test_named_initializations_have_the_published_coordinates(name, p):
    row = find_initialization(name, p)
    flow = normalize(leading_flow(two_layer(f"z**{p}"), "half_mse"))
    beta_w, beta_a = flow.deviations
    at = {beta_w: row.beta2, beta_a: row.beta1, ALPHA: row.alpha}
    kappa, ratio, unit = (d.expression.subs(at) for d in flow.definitions)
    assert sp.simplify(kappa / row.kappa) == sp.simplify(ratio / row.kappa_prime) == 1
    assert sp.simplify(unit / row.time_unit) == 1
    numbers = {s: sp.Rational(3, 7) for s in kappa.free_symbols | ratio.free_symbols if s != H}
    for scale, exponent, limit in zip(
        (kappa, ratio), flow.exponents, (row.gamma, row.gamma_prime), strict=True
    ):
        (symbol,) = exponent.expression.free_symbols - {WIDTH}
        m = sp.Integer(10) ** 400
        value = exponent.expression.subs({symbol: scale, WIDTH: m}).subs(numbers).subs(H, m)
        assert float(value.evalf(30)) == pytest.approx(float(limit.subs(numbers)), abs=0.01)


def test_exponents_and_scales_are_inverse():
    flow = normalize(leading_flow(two_layer("relu"), "half_mse"))
    for exponent, scale, symbol in zip(
        flow.exponents, flow.scales, (GAMMA, GAMMA_PRIME), strict=True
    ):
        (of,) = exponent.expression.free_symbols - {WIDTH}
        back = exponent.expression.subs(of, scale.expression)
        assert sp.expand_log(back, force=True) == symbol
        assert scale.is_exact


def test_a_prime_is_printed_after_its_letter():
    three = normalize(leading_flow(fully_connected(3, "relu"), "half_mse"))
    first, second = three.ratios
    assert tex(first**2 * second) == r"{\kappa'_{1}}^{2} {\kappa'_{2}}"
    assert tex(KAPPA_PRIME**2) == r"\kappa'^{2}"
    assert unicode_line(first**2) == "κ'₁²"
    assert unicode_line(GAMMA_PRIME) == "γ'"


def test_what_has_no_normal_form_is_refused():
    tanh = normalize(leading_flow(two_layer("tanh"), "half_mse"))
    with pytest.raises(ParameterError, match="not homogeneous in W"):
        _ = tanh.full_field
    with pytest.raises(ParameterError, match="no layers to compare"):
        normalize(leading_flow(two_layer("relu"), "half_mse", scales={"v": 0}))
    with pytest.raises(ParameterError, match="no layers to compare"):
        normalize(leading_flow(two_layer("sigmoid"), "half_mse"))
