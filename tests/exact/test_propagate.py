"""Event-exact propagation against closed forms, mpmath and the theorems of the effective flow."""

from __future__ import annotations

import numpy as np
import pytest
from exact.reference import box_reference, euler, mp_switches
from hypothesis import given, settings
from hypothesis import strategies as st

from flowtheory import Outcome
from flowtheory.errors import DataError, ParameterError
from flowtheory.exact import EventKind, balanced, propagate


def two_points(mu):
    return np.array([[1.0, 0.0], [mu, np.sqrt((1 - mu) * (1 + mu))]])


def random_problem(seed, separable=False):
    rng = np.random.default_rng(seed)
    n, dim = int(rng.integers(2, 14)), int(rng.integers(2, 6))
    x = rng.standard_normal((n, dim)) * np.exp(0.5 * rng.standard_normal((n, 1)))
    c = rng.choice([-1.0, 1.0], size=n)
    if separable:
        x = c[:, None] * (np.abs(x) + 0.02)
    return x, c, rng.standard_normal((3, dim))


@pytest.mark.parametrize("mu", [0.5, 1e-1, 1e-3, 1e-5, 1e-8])
def test_two_points_take_arccosh_of_one_over_mu(mu):
    path = propagate(two_points(mu), np.ones(2), [[0.0, -1.0]], active=[[True, False]])
    assert path.last_event_time[0] == pytest.approx(np.arccosh(1 / mu), rel=1e-12)
    assert path.outcome == (Outcome.FINAL_CELL,)
    assert path.final_active.all()


@pytest.mark.parametrize("separable", [False, True])
def test_switch_times_agree_with_mpmath_bisection(separable):
    compared = 0
    for seed in range(24):
        x, c, w0 = random_problem(seed, separable)
        paths = propagate(x, c, w0)
        for j in range(3):
            rows = paths.events_of(j)
            kinds = paths.kind[rows]
            slides = np.flatnonzero(kinds >= EventKind.SLIDE_BEGINS)
            known = slides[0] if slides.size else kinds.size
            expected = mp_switches(x, c, w0[j], balanced(w0)[j], x @ w0[j] > 0, limit=known)
            assert len(expected) == known
            for (time, datum), mine, i in zip(
                expected, paths.time[rows], paths.datum[rows], strict=False
            ):
                assert mine == pytest.approx(time, rel=1e-12)
                assert i == datum
                compared += 1
    assert compared > 80


def test_unbalanced_starts_agree_with_mpmath_bisection():
    compared = 0
    for seed in range(12):
        x, c, w0 = random_problem(seed, separable=True)
        for factor in (1.7, 3.0):
            v0 = factor * balanced(w0)
            paths = propagate(x, c, w0, v0)
            for j in range(3):
                expected = mp_switches(x, c, w0[j], v0[j], x @ w0[j] > 0)
                mine = paths.time[paths.events_of(j)]
                np.testing.assert_allclose(mine, [t for t, _ in expected], rtol=1e-12)
                compared += len(expected)
    assert compared > 40


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6))
def test_phi_never_decreases_and_log_norm_is_convex_on_any_data(seed):
    x, c, w0 = random_problem(seed)
    paths = propagate(x, c, w0)
    for j in range(3):
        rows = paths.events_of(j)
        scale = np.abs(c) @ np.linalg.norm(x, axis=1)
        phi = np.r_[paths.initial_phi[j], paths.phi[rows]]
        assert np.all(np.diff(phi) >= -1e-12 * scale)
        time, height = np.r_[0, paths.time[rows]], np.r_[0, paths.log_norm[rows]]
        height[0] = np.log(np.linalg.norm(w0[j]))
        for k in range(len(time) - 1):
            # Convex: the graph lies above its tangents; the slope at time[k] is phi[k].
            above = height - height[k] - phi[k] * (time - time[k])
            assert above.min() >= -1e-10 * (1 + np.abs(height).max())


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6))
def test_positive_neurons_only_gain_positives_on_separable_data(seed):
    x, c, w0 = random_problem(seed, separable=True)
    for sign in (1.0, -1.0):
        paths = propagate(x, c, w0, balanced(w0, sign))
        gained = paths.kind == EventKind.ACTIVATED
        assert np.all((paths.kind == EventKind.DEACTIVATED) | gained)  # no sliding
        np.testing.assert_array_equal(gained, sign * c[paths.datum] > 0)
        assert np.all(np.diff(paths.offsets) <= len(x))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_flipping_labels_and_output_signs_leaves_the_weights_unchanged(seed):
    x, c, w0 = random_problem(seed)
    plus = propagate(x, c, w0, balanced(w0, 1.0))
    minus = propagate(x, -c, w0, balanced(w0, -1.0))
    np.testing.assert_array_equal(plus.time, minus.time)
    np.testing.assert_array_equal(plus.final_direction, minus.final_direction)
    np.testing.assert_array_equal(plus.final_ratio, -minus.final_ratio)


def test_a_datum_on_a_concave_kink_is_slid_along():
    # lam = <a_-i, x_i>/|x_i|^2 = 1/2, and the field is e_1 while sliding.
    x, c = np.array([[1.0, 0.5], [0.0, 1.0]]), np.array([1.0, -1.0])
    paths = propagate(x, c, [[0.6, 0.8]])
    assert paths.kind.tolist() == [EventKind.SLIDE_BEGINS]
    assert paths.multipliers[0] == pytest.approx([1.0, 0.5], abs=1e-15)
    assert paths.final_alpha[0] == pytest.approx(1.0, rel=1e-15)


def test_sliding_paths_agree_with_euler_steps():
    slid, gain = 0, []
    for seed in range(40):
        x, c, w0 = random_problem(seed)
        horizon = 1.5 / np.sqrt(np.sum(x**2))
        paths = propagate(x, c, w0[:1], times=[horizon])
        slid += np.any(paths.kind == EventKind.SLIDE_BEGINS)
        errors = []
        for steps in (2000, 8000):
            w, log_norm, _ = euler(x, c, w0[0], balanced(w0)[0], horizon, steps)
            errors.append(
                max(
                    np.abs(w - paths.samples.direction[0, 0]).max(),
                    abs(log_norm - paths.samples.log_norm[0, 0]),
                )
            )
        assert errors[1] < 2e-3
        if errors[1] > 0:
            gain.append(errors[0] / errors[1])
    assert slid >= 5
    # Euler is first order, chattering included: four times the steps, a quarter of the error.
    assert np.median(gain) == pytest.approx(4.0, rel=0.1)


def test_the_sliding_field_is_the_shortest_vector():
    checked = 0
    for seed in range(120):
        x, c, w0 = random_problem(seed)
        paths = propagate(x, c, w0)
        for j in range(3):
            lam = paths.multipliers[j]
            tied = (lam > 0) & (lam < 1)
            if not tied.any():
                continue
            base = (c * (lam == 1)) @ x
            expected = box_reference(c[tied, None] * x[tied], base)
            np.testing.assert_allclose(lam[tied], expected, atol=1e-9)
            assert np.linalg.norm(base + (c * lam)[tied] @ x[tied]) == pytest.approx(
                paths.final_alpha[j], rel=1e-10, abs=1e-12
            )
            checked += 1
    assert checked > 60


@pytest.mark.parametrize("theta", [1e-2, 1e-6, 1e-10])
def test_start_near_the_repeller_escapes_by_the_half_angle_law(theta):
    # Only the negative datum is active, so the field is -x_- and tan(psi/2) decays like e^-t.
    x, c, t = np.array([[1.0, 0.0], [0.0, -1.0]]), np.array([1.0, -1.0]), 0.5 * np.log(1 / theta)
    paths = propagate(x, c, [[-np.sin(theta), -np.cos(theta)]], times=[t])
    across, along = paths.samples.direction[0, 0]
    assert np.tan(np.arctan2(-across, -along) / 2) == pytest.approx(
        np.exp(t) * np.tan(theta / 2), rel=1e-12 + 4e-16 / theta
    )


def test_exactly_opposite_neuron_decays_without_turning():
    x, c = np.array([[1.0, 0.0], [0.6, 0.8]]), np.array([-1.0, -1.0])
    w0 = [[1.6, 0.8]]
    paths = propagate(x, c, w0, times=[0.0, 3.0])
    assert paths.outcome == (Outcome.OPPOSITE,)
    alpha = np.hypot(1.6, 0.8)
    decay = paths.samples.log_norm[0, 1] - paths.samples.log_norm[0, 0]
    assert decay == pytest.approx(-3.0 * alpha, rel=1e-13)


def test_dead_and_stationary_neurons_never_move():
    dead = propagate([[1.0, 0.0], [0.0, 1.0]], [1.0, 1.0], [[-1.0, -2.0]], times=[0.0, 1e9])
    assert dead.outcome == (Outcome.DEAD,)
    np.testing.assert_array_equal(dead.samples.direction[0, 0], dead.samples.direction[0, 1])
    assert dead.samples.log_norm[0, 1] == pytest.approx(0.5 * np.log(5), rel=1e-15)
    cancel = propagate([[1.0, 0.0], [1.0, 0.0]], [1.0, -1.0], [[1.0, 1.0]], times=[0.0, 7.0])
    assert cancel.outcome == (Outcome.STATIONARY,)
    np.testing.assert_array_equal(cancel.samples.ratio[0], [1.0, 1.0])


def test_copies_and_cancelling_pairs_do_not_change_the_path():
    mu = 0.05
    x = two_points(mu)
    expected = propagate(x, np.ones(2), [[0.0, -1.0]], active=[[True, False]])
    # x_2 three times with weight 1/3 each; and x_1 once more with both labels.
    many = np.vstack([x[0], x[1], x[1], x[1], x[0], x[0]])
    c = np.array([1.0, 1 / 3, 1 / 3, 1 / 3, 1.0, -1.0])
    active = [[True, False, False, False, True, True]]
    paths = propagate(many, c, [[0.0, -1.0]], active=active)
    assert paths.last_event_time[0] == pytest.approx(expected.last_event_time[0], rel=1e-13)
    assert paths.final_alpha[0] == pytest.approx(expected.final_alpha[0], rel=1e-13)
    off = propagate(many[[1, 0, 0]], [1.0, 1.0, -1.0], [[-0.6, 0.8]])
    alone = propagate(many[[1]], [1.0], [[-0.6, 0.8]])
    np.testing.assert_allclose(off.final_alpha, alone.final_alpha, rtol=1e-13)


def test_output_weight_changes_sign_at_the_predicted_time():
    # rho^2 < 0: v = 0 at artanh(-v0/p0)/alpha; w then returns on its own path.
    x, c, w0, v0 = np.array([[1.0, 0.0]]), np.array([-2.0]), [[1.0, 0.4]], [0.5]
    paths = propagate(x, c, w0, v0, times=[0.4])
    assert paths.kind.tolist() == [EventKind.SIGN_FLIP]
    assert paths.time[0] == pytest.approx(np.arctanh(0.5) / 2.0, rel=1e-14)
    alpha, p0 = 2.0, -1.0
    v = 0.5 * np.cosh(alpha * 0.4) + p0 * np.sinh(alpha * 0.4)
    p = p0 * np.cosh(alpha * 0.4) + 0.5 * np.sinh(alpha * 0.4)
    assert paths.samples.ratio[0, 0] == pytest.approx(v / np.hypot(p, 0.4), rel=1e-12)
    assert np.exp(paths.samples.log_norm[0, 0]) == pytest.approx(np.hypot(p, 0.4), rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(-3.0, 3.0))
def test_imbalance_is_conserved(seed, factor):
    x, c, w0 = random_problem(seed)
    v0 = factor * balanced(w0)
    scale = 1.0 / np.sqrt(np.sum(x**2))
    paths = propagate(x, c, w0, v0, times=scale * np.linspace(0, 3, 7))
    size = np.exp(2 * paths.samples.log_norm)
    kept = size * (paths.samples.ratio**2 - 1.0)
    reached = np.isfinite(kept)
    expected = np.broadcast_to((v0**2 - np.sum(w0**2, axis=1))[:, None], kept.shape)
    np.testing.assert_allclose(
        kept[reached], expected[reached], atol=1e-10 * (1 + factor**2) * size[reached].max()
    )


def test_nothing_overflows_at_late_times():
    paths = propagate(two_points(0.1), np.ones(2), [[1.0, -2.0]], times=[1e6])
    assert np.isfinite(paths.samples.direction).all()
    assert paths.samples.log_norm[0, 0] == pytest.approx(1e6 * paths.final_alpha[0], rel=1e-5)
    total = two_points(0.1).sum(axis=0)
    np.testing.assert_allclose(
        paths.samples.direction[0, 0], total / np.linalg.norm(total), rtol=1e-14
    )


def test_without_the_gram_matrix_the_result_is_the_same(monkeypatch):
    x, c, w0 = random_problem(5)
    with_gram = propagate(x, c, w0)
    monkeypatch.setattr("flowtheory.exact.effective._GRAM_BYTES", 0)
    without = propagate(x, c, w0)
    np.testing.assert_allclose(without.time, with_gram.time, rtol=1e-11)
    np.testing.assert_array_equal(without.datum, with_gram.datum)


def test_many_events_are_reported_as_such():
    x, c, w0 = random_problem(3)
    total = np.diff(propagate(x, c, w0).offsets)
    short = propagate(x, c, w0, max_events=1, times=[0.0, 1e9])
    for j in range(3):
        assert short.outcome[j].ok == (total[j] <= 1)
        assert np.isnan(short.samples.log_norm[j, 1]) == (total[j] > 1)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"x": [[1.0, np.nan]]}, DataError),
        ({"x": [[1.0, 0.0]], "c": [1.0, 1.0]}, DataError),
        ({"w0": [[0.0, 0.0]]}, DataError),
        ({"v0": [1.0, 2.0]}, DataError),
        ({"active": [[True, False]]}, DataError),
        ({"times": [2.0, 1.0]}, ParameterError),
        ({"max_events": 0}, ParameterError),
    ],
)
def test_bad_input_is_refused(change, error):
    arguments = {"x": [[1.0, 0.0]], "c": [1.0], "w0": [[1.0, 1.0]]} | change
    with pytest.raises(error, match="expected: "):
        propagate(**arguments)
