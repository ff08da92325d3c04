"""Exponents of deep networks against the two-layer table and sampled gradients."""

from itertools import pairwise

import numpy as np
import pytest
import sympy as sp

from flowtheory.errors import ParameterError
from flowtheory.symbolic.depth_exponents import depth_exponents
from flowtheory.symbolic.phase import GAMMA, GAMMA_PRIME, regime_at, slope_table

D = sp.Rational
X = np.array([[-1.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
Y = np.array([0.7, -0.4, 0.9])
WIDTHS = np.array([32, 64, 128, 256])


def test_one_hidden_layer_is_the_row_of_equal_scales():
    found = depth_exponents(1)
    table = slope_table(1)
    for gamma in (D("0.4"), D("0.8"), D(1), D("1.4"), D(3)):
        regime = regime_at(table, gamma, D(0))
        for name, formula in (("W1", regime.hidden), ("a", regime.output)):
            layer = found.layer(name)
            inside = [f for f in (layer.lazy, layer.condensed) if f.holds({GAMMA: gamma})]
            at = {GAMMA: gamma, GAMMA_PRIME: 0}
            assert {f.expression.subs(at) for f in inside} == {formula.expression.subs(at)}


# Slopes of a three-layer ReLU network that measurements were compared with.
@pytest.mark.parametrize(
    ("gamma", "first", "second", "operator"),
    [
        ("1.25", D(-1, 4), D(-3, 4), D(-1, 4)), ("1.5", 0, D(-1, 2), 0),
        ("2", D(1, 6), D(-1, 3), D(1, 6)), ("2.5", D(1, 3), D(-1, 6), D(1, 3)),
    ],
)  # fmt: skip
def test_three_layers(gamma, first, second, operator):
    found, at = depth_exponents(2), {GAMMA: D(gamma)}
    for layer, value in (
        (found.layer("W1"), first),
        (found.layer("a"), first),
        (found.layer("W2"), second),
        (found.layer("W2", "operator"), operator),
    ):
        formulas = [f for f in (layer.lazy, layer.condensed) if f.holds(at)]
        assert {f.expression.subs(at) for f in formulas} == {value}


@pytest.mark.parametrize("layers", [1, 2, 3, 7])
def test_exponents_of_any_depth(layers):
    found, g, H = depth_exponents(layers), GAMMA, sp.Integer(layers)
    assert found.critical.expression == (H + 1) / 2
    assert sp.expand(found.output.expression - (H / 2 - g)) == 0
    assert sp.expand(found.kernel.expression - (H - 2 * g)) == 0
    for layer in found.layers:
        hidden = layer.norm == "frobenius" and layer.name not in ("W1", "a")
        lazy = g - (H + (2 if hidden else 1)) / 2
        condensed = g / (H + 1) - (1 if hidden else D(1, 2))
        assert sp.expand(layer.lazy.expression - lazy) == 0
        assert sp.expand(layer.condensed.expression - condensed) == 0
        edge = {g: found.critical.expression}
        assert (layer.lazy.expression - layer.condensed.expression).subs(edge) == 0


def sampled(layers, width, rng):
    """Output and tangent kernel at a start, and the least changes that fit: kappa = 1."""
    sizes = [2, *[width] * layers, 1]
    weights = [rng.standard_normal((b, a)) for a, b in pairwise(sizes)]
    gradients = [[] for _ in weights]
    outputs = []
    for x in X:
        signals = [x]
        for W in weights[:-1]:
            signals.append(np.maximum(W @ signals[-1], 0))
        outputs.append((weights[-1] @ signals[-1])[0])
        back = np.ones(1)
        for k in reversed(range(len(weights))):
            gradients[k].append(np.outer(back, signals[k]))
            back = (weights[k].T @ back) * (signals[k] > 0)
    flat = np.concatenate([np.array(g).reshape(len(X), -1) for g in gradients], axis=1)
    kernel = flat @ flat.T
    dual = np.linalg.solve(kernel, Y)
    changes = {}
    for k, (W, g) in enumerate(zip(weights, gradients, strict=True)):
        name = "a" if k == layers else f"W{k + 1}"
        step = np.tensordot(dual, np.array(g), axes=1)
        changes[name, "frobenius"] = np.linalg.norm(step) / np.linalg.norm(W)
        changes[name, "operator"] = np.linalg.norm(step, 2) / np.linalg.norm(W, 2)
    return np.linalg.norm(outputs), np.trace(kernel), changes


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_lazy_exponents_are_those_of_sampled_gradients(layers):
    rng = np.random.default_rng(layers)
    runs = [[sampled(layers, int(m), rng) for _ in range(16)] for m in WIDTHS]
    found = depth_exponents(layers)

    def slope(values):
        means = np.log(values).mean(axis=1)
        return np.polyfit(np.log(WIDTHS), means, 1)[0]

    # kappa = 1 is gamma = 0.
    at = {GAMMA: 0}
    first = slope([[run[0] for run in row] for row in runs])
    assert first == pytest.approx(float(found.output.expression.subs(at)), abs=0.15)
    second = slope([[run[1] for run in row] for row in runs])
    assert second == pytest.approx(float(found.kernel.expression.subs(at)), abs=0.1)
    for layer in found.layers:
        measured = slope([[run[2][layer.name, layer.norm] for run in row] for row in runs])
        # At gamma = 0 the exponent lies half or more from that of the other norm.
        assert measured == pytest.approx(float(layer.lazy.expression.subs(at)), abs=0.12)


def test_what_is_no_depth_or_layer_is_refused():
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(ParameterError, match="hidden_layers is"):
            depth_exponents(wrong)
    with pytest.raises(ParameterError, match=r"no layer W1 \(operator\)"):
        depth_exponents(2).layer("W1", "operator")
