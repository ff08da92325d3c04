"""Times and fates of single neurons against integration; the first of many against sampling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from flowtheory.laws.plateau_many_neurons import RESTING, SETTINGS, SHARE, _padded, a_0, p, w_0


def integrated(order: int, w: float, a: float, span: float):
    """One neuron at h = 1, up to a norm of 1e6."""

    def flow(_, state):
        return order * state[1] * state[0] ** (order - 1), state[0] ** order

    def large(_, state):
        return np.hypot(*state) - 1e6

    large.terminal = True
    return solve_ivp(flow, (0, span), (w, a), rtol=1e-11, atol=1e-14, events=large, method="DOP853")


@pytest.mark.parametrize(
    ("order", "w", "a"),
    [(2, 0.7, 0.5), (2, -1.3, 0.2), (2, 1.5, -0.6), (3, 0.8, 0.9), (3, 1.4, -0.5)],
)
def test_the_time_of_a_neuron_alone(order, w, a):
    run = integrated(order, w, a, 60.0)
    tail = {2: 1e-6, 3: 1e-11}[order]
    assert SETTINGS[order]._alone(w, a) == pytest.approx(run.t[-1], abs=20 * tail, rel=1e-8)


def test_a_neuron_at_rest_keeps_the_published_rest():
    # a_0 = 0.6, w_0 = 0.4: sqrt(0.36 - 0.08) = 0.52915, the digest's value.
    at = {p: 2, a_0: 0.6, w_0: 0.4}
    assert float(RESTING.subs(at)) == pytest.approx(0.5291502622, abs=1e-10)
    run = integrated(2, 0.4, -0.6, 40.0)
    assert abs(run.y[1, -1]) == pytest.approx(float(RESTING.subs(at)), rel=1e-9)
    assert SETTINGS[2]._alone(0.4, -0.6) == np.inf


@pytest.mark.parametrize("order", [2, 3])
def test_the_share_and_the_distribution_of_times(order):
    reach = SETTINGS[order].reach
    assert np.mean(np.isinf(reach.times)) == pytest.approx(float(SHARE.subs(p, order)), abs=1e-3)
    rng = np.random.default_rng(0)
    pairs = rng.standard_normal((4000, 2))
    times = np.array([SETTINGS[order]._alone(w, a) for w, a in pairs[:300]])
    for time in (0.7, 1.5, 4.0):
        seen = np.mean(times < time)
        assert abs(seen - reach.below(time, order)) <= 3 * np.sqrt(0.25 / len(times))


def test_the_smallest_time_is_that_of_a_balanced_neuron():
    # At norm 1 and p = 2: 1/(k (k - 2) h) with h = a w^2 at w^2 = 2 a^2, that is sqrt(3)/2.
    assert SETTINGS[2].reach.times.min() == pytest.approx(np.sqrt(3) / 2, rel=1e-6)


def test_the_median_of_the_first_falls_with_the_width():
    medians = [SETTINGS[2].reach.median_of_first(m, 2) for m in (1, 4, 32, 100)]
    assert np.all(np.diff(medians) < 0)
    reach = SETTINGS[2].reach
    assert 1 - (1 - reach.below(medians[2], 2)) ** 32 == pytest.approx(0.5, abs=1e-9)


def test_neurons_of_weight_zero_stay_there():
    flow = SETTINGS[2].problem(np.random.default_rng(0))
    padded = _padded(flow.init(scale=0.5, width=3), 5)
    field = flow.vector_field(padded)
    assert not field["W"][3:].any()
    assert not field["v"][3:].any()
    assert field["v"][:3].all()
