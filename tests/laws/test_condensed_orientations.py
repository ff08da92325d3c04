"""Orientations of condensation: proofs' ingredients, published counts, and Adam."""

from __future__ import annotations

import math
from itertools import combinations

import jax
import numpy as np
import pytest
import sympy as sp

from flowtheory.flow.field import Samples, TwoLayer
from flowtheory.laws.condensed_orientations.adam import adam
from flowtheory.laws.condensed_orientations.formulas import (
    CONJECTURE,
    GROWN,
    LOW,
    ONE_LINE,
    SPACE,
    p,
)
from flowtheory.laws.condensed_orientations.lone_neurons import at_blow_up
from flowtheory.laws.condensed_orientations.symmetric_sets import (
    cube,
    fan,
    icosahedron,
    orthonormal,
    tangents,
    tetrahedron,
)
from flowtheory.lower.gradient_flow import two_layer_model
from flowtheory.measure.similarity import clusters
from flowtheory.symbolic.directions.find import critical_directions

FULLEST = [tetrahedron(), cube(), icosahedron(), tangents(4), tangents(6), tangents(7)]


@pytest.mark.parametrize("solid", FULLEST, ids=lambda s: f"{s.name}, {s.order}")
def test_solids_and_tangents_have_all_critical_lines_and_all_extrema_that_there_can_be(solid):
    found = critical_directions(solid.x, solid.y, solid.order)
    assert found.guarantee.complete
    assert len(found) == solid.order**2 - solid.order + 1
    assert found.count == SPACE.xreplace({p: sp.Integer(solid.order)})
    assert found.count > CONJECTURE.xreplace({p: sp.Integer(solid.order)})
    assert found.morse_defect == 0


@pytest.mark.parametrize("order", [2, 3, 5, 8])
def test_the_moment_of_tangents_is_a_product_of_linear_forms(order):
    data, rng = tangents(order), np.random.default_rng(0)
    one_turned = data.x[[2**k for k in range(order - 1)]]
    normals = (data.x[0] - one_turned) / 2
    normals = np.concatenate([[data.x[0] - normals.sum(axis=0)], normals])
    u = rng.standard_normal((20, 3))
    size = math.factorial(order) * 2 ** (order - 1)
    H = (u @ data.x.T) ** order @ data.y
    assert np.allclose(H, size * np.prod(u @ normals.T, axis=1), rtol=1e-9, atol=1e-9 * size)
    assert np.linalg.matrix_rank(normals) == min(order, 3)
    for three in combinations(normals, 3):
        assert abs(np.linalg.det(three)) > 1e-3


@pytest.mark.parametrize("order", [2, 3, 4, 5, 6])
def test_a_fan_is_the_highest_harmonic(order):
    data, theta = fan(order), np.linspace(0, np.pi, 40)
    H = (np.column_stack([np.cos(theta), np.sin(theta)]) @ data.x.T) ** order @ data.y
    assert np.allclose(H, H[0] * np.cos(order * theta), atol=1e-13)
    assert H[0] == pytest.approx(order / 2 ** (order - 1))
    found = critical_directions(data.x, data.y, order)
    assert found.count == LOW.xreplace({p: sp.Integer(order)})


@pytest.mark.parametrize(("order", "stable"), [(3, 6), (4, 21)])
def test_published_numbers_of_five_orthonormal_inputs(order, stable):
    """5 lines; 6 and 21 stable ones where growth is not asked for."""
    found = critical_directions(np.eye(5), np.ones(5), order)
    assert len(found.growing_lines) == 5
    assert found.count == 10
    lasting = [line for line in found if (line.curvatures < 0).all() or (line.curvatures > 0).all()]
    assert len(lasting) == stable


def test_a_critical_point_of_orthonormal_data_with_a_larger_support_is_no_maximum():
    data = orthonormal(5, np.array([1.0, -2.0, 0.7]))
    for line in critical_directions(data.x, data.y, 5):
        support = np.abs(line.direction) > 1e-9
        if support.sum() > 1:
            assert (np.sign(line.value) * line.curvatures).max() == pytest.approx(
                5 * 3 * abs(line.value)
            )
        assert line.growing == (support.sum() == 1)


def test_neurons_that_do_not_blow_up_have_a_conserved_quantity_below_zero():
    """One direction, p = 3: a H < 0 and |w|^2 < 3 a^2 leave w at 0."""
    seen = at_blow_up(3, np.ones((1, 1)), np.ones(1), 4000, np.random.default_rng(0))
    rng = np.random.default_rng(0)
    w, a = rng.standard_normal((4000, 1, 1)).ravel(), 0.3 * rng.standard_normal(4000)
    lost = (a * w < 0) & (w**2 < 3 * a**2)
    assert seen.remaining == lost.sum() > 100
    assert np.all(seen.signs * seen.directions[:, 0] == 1)


def test_published_clusters_of_a_network_trained_by_adam():
    """Tetrahedron of radius 1.5, 100 neurons, deviation 0.02, step 2e-4: 16, 14, ..., 8."""
    data, rng = tetrahedron(), np.random.default_rng(0)
    v, W = rng.standard_normal(100), rng.standard_normal((100, 3))
    seen = Samples(1.5 * data.x, data.y, np.float64(0.25))  # type: ignore[arg-type]
    start = TwoLayer(0.02 * W, 0.02 * v)  # type: ignore[arg-type]
    model = two_layer_model("z**2*tanh(z)", "half_mse")
    end = adam(model, seen, start, 1e-20, step=2e-4)
    assert end.loss <= 1e-20
    found = clusters(np.asarray(end.params.W), threshold=0.98)
    assert found.sizes.tolist() == [16, 14, 13, 13, 12, 12, 12, 8]


def test_adam_is_the_published_algorithm():
    """Against a loop in NumPy with a closed-form gradient."""
    x, y = np.array([[1.0], [0.5]]), np.array([0.7, -0.2])
    W, v = np.array([[0.3]]), np.array([-0.4])
    seen = Samples(x, y, np.float64(0.5))  # type: ignore[arg-type]
    model = two_layer_model("z**2", "half_mse")
    got = adam(model, seen, TwoLayer(W, v), -1.0, step=0.01, max_steps=50)  # type: ignore[arg-type]
    theta, mean, square = np.array([0.3, -0.4]), np.zeros(2), np.zeros(2)
    for k in range(1, 51):
        w, a = theta
        off = a * (w * x[:, 0]) ** 2 - y
        g = np.array([np.mean(off * 2 * a * w * x[:, 0] ** 2), np.mean(off * (w * x[:, 0]) ** 2)])
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
        theta = theta - 0.01 * mean / (1 - 0.9**k) / (np.sqrt(square / (1 - 0.999**k)) + 1e-8)
    found = np.concatenate([a.ravel() for a in jax.tree.leaves(got.params)])
    assert got.steps == 50
    assert np.allclose(found, theta, rtol=1e-12)


def test_one_orientation_turns_into_two_when_the_differences_have_grown():
    delta, eps, rate, T = (
        next(s for s in ONE_LINE.free_symbols if str(s) == name)
        for name in ("delta", "epsilon", "lambda", "T")
    )
    at = {eps: sp.Float(1e-6), rate: sp.Float(0.2), delta: sp.Float(0.04)}
    assert [ONE_LINE.xreplace({**at, T: sp.Float(t)}) for t in (5, 60)] == [1, 2]
    assert float(sp.N(GROWN.xreplace({**at, T: sp.Float(0)}))) == pytest.approx(3e-6)
