"""Projections, displacements, amplitudes and imbalances against closed forms of linear flows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measure.test_blow_up import flow, three_layers

from flowtheory.errors import DataError, ParameterError
from flowtheory.measure import (
    amplitudes,
    blow_up_time,
    feature_map,
    growth_rate,
    imbalances,
    linear_directions,
    maximal_displacement,
    participation_ratio,
    projection,
    relative_distance,
    relative_distances,
)


def chain(x: np.ndarray) -> np.ndarray:
    """The gradient of H = a^T W_{L-1} ... W_2 c with two neurons a layer, x = (a, c, W_2, ...)."""
    a, c, inner = x[:2], x[2:4], x[4:].reshape(-1, 2, 2)
    below = [c]
    for w in inner:
        below.append(w @ below[-1])
    above = [a]
    for w in inner[::-1]:
        above.append(w.T @ above[-1])
    forces = [np.outer(above[len(inner) - 1 - k], below[k]) for k in range(len(inner))]
    return np.concatenate([below[-1], above[-1], np.ravel(forces)])


class TestProjection:
    def test_written_out(self):
        rng = np.random.default_rng(0)
        w, z = rng.standard_normal((7, 4)), rng.standard_normal(4)
        found = projection(w, 3 * z)
        exact = np.sum((w @ z) ** 2) / (z @ z) / np.sum(w**2)
        assert found.ratio.value == pytest.approx(exact, rel=1e-14)
        assert found.defect.value == pytest.approx(1 - exact, rel=1e-13)

    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, 10**6), st.floats(-13, 0), st.floats(-150, 150))
    def test_a_small_defect_is_not_lost_to_rounding(self, seed, log_defect, log_scale):
        rng = np.random.default_rng(seed)
        size, scale = 10**log_defect, 10**log_scale
        turn, _ = np.linalg.qr(rng.standard_normal((5, 5)))
        along, beside = rng.standard_normal(9), rng.standard_normal(9)
        w = np.outer(along, turn[0]) + size * np.outer(beside, turn[1])
        found = projection(scale * w, turn[0])
        exact = size**2 * (beside @ beside) / (along @ along + size**2 * beside @ beside)
        assert found.defect.value == pytest.approx(exact, rel=1e-2)
        assert found.ratio.value + found.defect.value == pytest.approx(1.0, rel=1e-14)

    @pytest.mark.parametrize("depth", [3, 4, 5])
    def test_the_condensation_rate(self, depth):
        r"""$1 - |W_1\hat z|^2/|W_1|^2 \sim (T^* - t)^{2/(L-2)}$; beside z nothing moves."""
        start = np.random.default_rng(0).uniform(0.5, 1.0, 4 * (depth - 2) + 4)
        last = 9.0 if depth == 3 else 6.0
        times, norms, _ = flow(start, last, chain)
        end = blow_up_time(times, norms, depth, gain=5.0).time.value
        beside = np.random.default_rng(1).standard_normal((2, 2))
        left, defects = [], []
        for gain in np.linspace(0.5 * last, 0.95 * last, 12):
            reached, _, state = flow(start, float(gain), chain)
            left.append(end - reached[-1])
            part = projection(np.column_stack([state[2:4], beside]), np.eye(3)[0])
            defects.append(part.defect.value)
        exponent = growth_rate(
            -np.log(left), 1 / np.array(defects), window=(-np.inf, np.inf), level=0.9
        )
        assert exponent.value == pytest.approx(2 / (depth - 2), rel=1e-2)

    def test_directions_of_data(self):
        rng = np.random.default_rng(2)
        x, y = rng.standard_normal((20, 3)) * [1.5, 1, 0.5], rng.standard_normal(20)
        found = linear_directions(x, y)
        z = np.mean([y[i] * x[i] for i in range(20)], axis=0)
        gram = sum(np.outer(row, row) for row in x) / 20
        np.testing.assert_allclose(found.z, z, rtol=1e-13)
        np.testing.assert_allclose(gram @ found.least_squares, z, rtol=1e-12)

    def test_bad_input(self):
        w = np.ones((2, 3))
        for weights, direction in (
            (np.zeros((2, 3)), np.ones(3)),
            (w, np.zeros(3)),
            (w, np.ones(2)),
            (w, np.array([1.0, np.nan, 0.0])),
            (np.ones(3), np.ones(3)),
        ):
            with pytest.raises(DataError):
                projection(weights, direction)
        with pytest.raises(DataError):
            linear_directions(w, np.ones(3))


def multiplicity_one(s: float, kappa: float, dim: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Input weights at 0 and at s = lambda t of the leading flow of multiplicity 1, z = e_1."""
    rng = np.random.default_rng(0)
    a, w = kappa * rng.standard_normal(m), rng.standard_normal((m, dim))
    moved = w.copy()
    moved[:, 0] = w[:, 0] * np.cosh(s) + a * np.sinh(s)
    return w, moved


@pytest.mark.parametrize(("s", "kappa"), [(0.5, 1.0), (2.0, 0.3), (3.0, 1.0)])
def test_the_wide_limit_of_multiplicity_one(s, kappa):
    """RD^2 and ratio^2 in closed form; 200,000 neurons scatter by less than a percent."""
    dim = 4
    start, now = multiplicity_one(s, kappa, dim, 200_000)
    grown = kappa**2 * np.sinh(s) ** 2
    distance = np.sqrt((grown + (np.cosh(s) - 1) ** 2) / dim)
    ratio = (grown + np.cosh(s) ** 2) / (grown + np.cosh(s) ** 2 + dim - 1)
    assert relative_distance(now, start).frobenius.value == pytest.approx(distance, rel=1e-2)
    assert projection(now, np.eye(dim)[0]).ratio.value == pytest.approx(ratio, rel=1e-2)


class TestDisplacement:
    def test_both_norms(self):
        start = np.diag([3.0, 4.0])
        now = start + np.diag([0.0, 1.0])
        found = relative_distance(now, start)
        assert found.frobenius.value == pytest.approx(1 / 5, rel=1e-15)
        assert found.operator.value == pytest.approx(1 / 4, rel=1e-15)

    def test_tensors_of_any_number_of_axes(self):
        rng = np.random.default_rng(0)
        start, step = rng.standard_normal((2, 4, 3, 2))
        found = relative_distance(start + step, start)
        ratio = np.linalg.norm(step) / np.linalg.norm(start)
        assert found.frobenius.value == pytest.approx(ratio, rel=1e-12)
        flat = [np.linalg.norm(a.reshape(4, 6), 2) for a in (step, start)]
        assert found.operator.value == pytest.approx(flat[0] / flat[1], rel=1e-12)
        vector = relative_distance(np.array([3.0, 4.0]), np.array([0.0, 1.0]))
        assert vector.operator.value == pytest.approx(vector.frobenius.value, rel=1e-15)
        assert relative_distance(np.array(3.0), np.array(2.0)).operator.value == 0.5

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 10**6), st.floats(-140, 140))
    def test_scale_rotation_and_order_of_neurons(self, seed, log_scale):
        rng = np.random.default_rng(seed)
        start, now = rng.standard_normal((2, 6, 3))
        turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
        shuffle, scale = rng.permutation(6), 10**log_scale
        others = [(scale * a @ turn)[shuffle] for a in (now, start)]
        one, two = relative_distance(now, start), relative_distance(*others)
        assert two.frobenius.value == pytest.approx(one.frobenius.value, rel=1e-12)
        assert two.operator.value == pytest.approx(one.operator.value, rel=1e-12)
        far = maximal_displacement(*others).value
        assert far == pytest.approx(maximal_displacement(now, start).value, rel=1e-12)
        # No neuron goes farther than all together: max^2 <= m RD^2, and the mean is below the max.
        assert one.frobenius.value <= far * (1 + 1e-12)
        assert far <= np.sqrt(6) * one.frobenius.value * (1 + 1e-12)

    def test_layers_by_name(self):
        start = {"W": np.ones((2, 2)), "v": np.ones(2)}
        found = relative_distances({"W": 2 * np.ones((2, 2)), "v": np.ones(2)}, start)
        assert found["W"].frobenius.value == 1.0
        assert found["v"].frobenius.value == 0.0
        with pytest.raises(DataError, match="names"):
            relative_distances({"W": start["W"]}, start)

    def test_one_neuron_that_moves(self):
        start = np.ones((100, 2))
        now = start.copy()
        now[7] += [3.0, 4.0]
        assert maximal_displacement(now, start).value == pytest.approx(5 / 2**0.5, rel=1e-14)
        assert relative_distance(now, start).frobenius.value < 0.4

    def test_bad_input(self):
        for now, start in ((np.ones((2, 2)), np.zeros((2, 2))), (np.ones((2, 2)), np.ones((2, 3)))):
            with pytest.raises(DataError):
                relative_distance(now, start)
            with pytest.raises(DataError):
                maximal_displacement(now, start)
        with pytest.raises(DataError):
            relative_distance(np.array([np.nan]), np.ones(1))

    def test_a_start_at_the_smallest_scale(self):
        start = 1e-290 * np.random.default_rng(0).standard_normal((5, 3))
        now = np.random.default_rng(1).standard_normal((5, 3))
        ratio = np.linalg.norm(now) / np.linalg.norm(1e290 * start)
        found = relative_distance(now, start)
        assert found.frobenius.value == pytest.approx(1e290 * ratio, rel=1e-12)
        assert found.operator.value < 1e290 * ratio * 5**0.5
        assert maximal_displacement(now, start).value < 1e290 * ratio * 5**0.5


class TestAmplitudes:
    def test_kinds(self):
        w, a = np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([-12.0, 2.0])
        assert amplitudes(w).tolist() == [5.0, 0.0]
        assert amplitudes(w, a).tolist() == [13.0, 2.0]
        assert amplitudes(w, a, "product").tolist() == [60.0, 0.0]
        vector = np.array([[0.0, -12.0], [2.0, 0.0]])
        assert amplitudes(w, vector).tolist() == [13.0, 2.0]
        assert amplitudes(1e-200 * w, 1e-200 * a)[0] == pytest.approx(13e-200, rel=1e-15)

    def test_participation(self):
        assert participation_ratio(np.full(9, 1e-180)).value == pytest.approx(9.0, rel=1e-14)
        assert participation_ratio(np.eye(5)[2]).value == 1.0
        # Half of two neurons: (1 + 1/4)^2/(1 + 1/16)
        assert participation_ratio(np.array([1.0, 0.5])).value == pytest.approx(25 / 17, rel=1e-14)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=20), st.integers(0, 100))
    def test_participation_lies_between_1_and_m(self, values, seed):
        a = np.array(values)
        found = participation_ratio(a).value
        assert 1 - 1e-12 <= found <= len(a) * (1 + 1e-12)
        shuffled = np.random.default_rng(seed).permutation(a)
        assert participation_ratio(7 * shuffled).value == pytest.approx(found, rel=1e-12)

    def test_feature_map_is_that_of_the_papers(self):
        rng = np.random.default_rng(0)
        plane, outputs = rng.standard_normal((50, 2)), rng.standard_normal(50)
        found = feature_map(plane, outputs, "product")
        norm = np.hypot(plane[:, 0], plane[:, 1])
        angle = np.sign(plane[:, 1]) * np.arccos(plane[:, 0] / norm)
        np.testing.assert_allclose(found.angle, angle, rtol=1e-12)
        np.testing.assert_allclose(found.amplitude, np.abs(outputs) * norm, rtol=1e-14)
        axis = feature_map(np.array([[-2.0, 0.0], [-2.0, -0.0], [2.0, -0.0], [0.0, -1.0]]))
        np.testing.assert_allclose(axis.angle, [np.pi, np.pi, 0, -np.pi / 2], rtol=1e-15)

    @settings(max_examples=40, deadline=None)
    @given(st.floats(-3, 3), st.floats(-3, 3))
    def test_a_rotation_adds_to_the_angle(self, angle, turn):
        c, s = np.cos(turn), np.sin(turn)
        w = np.array([[np.cos(angle), np.sin(angle)]]) @ np.array([[c, s], [-s, c]])
        found = feature_map(w)
        assert np.exp(1j * found.angle[0]) == pytest.approx(np.exp(1j * (angle + turn)), abs=1e-14)

    def test_bad_input(self):
        with pytest.raises(ParameterError, match="product"):
            amplitudes(np.ones((2, 2)), kind="product")
        with pytest.raises(ParameterError):
            amplitudes(np.ones((2, 2)), np.ones(2), kind="sum")  # type: ignore[arg-type]
        for outputs in (np.ones(3), np.ones((2, 2, 2)), np.array([np.nan, 1.0])):
            with pytest.raises(DataError):
                amplitudes(np.ones((2, 2)), outputs)
        for wrong in (np.zeros(3), np.array([-1.0]), np.array([np.inf]), np.array([])):
            with pytest.raises(DataError):
                participation_ratio(wrong)
        for plane in (np.ones((3, 3)), np.zeros((1, 2))):
            with pytest.raises(DataError):
                feature_map(plane)


def three_layer_weights(state: np.ndarray) -> list[np.ndarray]:
    """W_1 (one input), W_2 and the output of the flow of a^T W c."""
    return [state[3:6, None], state[6:].reshape(3, 3), state[:3]]


class TestImbalance:
    def test_conserved_by_the_flow(self):
        start = np.random.default_rng(0).standard_normal(15)
        before = imbalances(three_layer_weights(start))
        after = imbalances(three_layer_weights(flow(start, 4.0, three_layers)[2]))
        for one, other in zip(before, after, strict=True):
            np.testing.assert_allclose(other.matrix, one.matrix, atol=1e-7)
            assert other.norm.value == pytest.approx(one.norm.value, rel=1e-6)
            # The layers grow by e^4, what lies between them does not.
            assert other.relative.value < one.relative.value / 500

    def test_written_out(self):
        rng = np.random.default_rng(1)
        first, second, third = (rng.standard_normal(s) for s in ((4, 2), (3, 4), (1, 3)))
        found = imbalances([first, second, third[0]])
        np.testing.assert_allclose(found[0].matrix, second.T @ second - first @ first.T, rtol=1e-13)
        np.testing.assert_allclose(found[1].matrix, third.T @ third - second @ second.T, rtol=1e-13)
        assert found[0].norm.value == pytest.approx(np.linalg.norm(found[0].matrix), rel=1e-14)

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 10**6), st.floats(-60, 60))
    def test_balanced_and_one_sided(self, seed, log_scale):
        rng = np.random.default_rng(seed)
        turns = [np.linalg.qr(rng.standard_normal((4, 4)))[0] for _ in range(3)]
        gains, scale = np.diag(rng.exponential(size=4)), 10**log_scale
        balanced = [
            scale * turns[0] @ gains @ turns[1].T,
            scale * turns[2] @ gains @ turns[0].T,
        ]
        (found,) = imbalances(balanced)
        assert found.relative.value < 1e-14
        (found,) = imbalances([balanced[0], 0 * balanced[1]])
        assert found.relative.value == pytest.approx(1.0, rel=1e-14)
        # A rotation of the neurons between the layers changes no norm.
        layers = [rng.standard_normal((4, 2)), rng.standard_normal((3, 4))]
        turned = imbalances([turns[0] @ layers[0], layers[1] @ turns[0].T])[0]
        assert turned.norm.value == pytest.approx(imbalances(layers)[0].norm.value, rel=1e-12)
        assert 0 <= turned.relative.value <= 1

    def test_bad_input(self):
        w = np.ones((2, 3))
        for layers in (
            [w],
            [w, w],
            [1e200 * w, np.ones((1, 2))],
            [0 * w, np.zeros((1, 2))],
            [w, np.array([np.nan, 1.0])],
        ):
            with pytest.raises(DataError):
                imbalances(layers)
