"""Alignment times on problems with closed forms, and their definitions against sampled paths."""

from __future__ import annotations

import numpy as np
import pytest

from flowtheory import Outcome
from flowtheory.errors import ParameterError
from flowtheory.exact import balanced, propagate
from flowtheory.measure import Cone, alignment_times


def two_points(mu):
    return np.array([[1.0, 0.0], [mu, np.sqrt((1 - mu) * (1 + mu))]])


@pytest.fixture(scope="module")
def separable():
    rng = np.random.default_rng(3)
    y = np.where(np.arange(12) % 2 == 0, 1.0, -1.0)
    x = y[:, None] * (np.abs(rng.standard_normal((12, 4))) + 0.05)
    return x, y, rng.standard_normal((30, 4))


def test_pattern_time_of_two_points_is_arccosh():
    x = two_points(0.01)
    paths = propagate(x, np.ones(2), [[0.0, -1.0]], active=[[True, False]])
    times = alignment_times(paths, np.ones(2))
    assert times.pattern[0] == pytest.approx(np.arccosh(100.0), rel=1e-13)
    assert times.cone == (Cone.OWN,)
    assert times.slowest_rate[0] == 1.0


def test_cosine_and_phi_times_are_where_the_sampled_path_crosses(separable):
    x, y, w0 = separable
    delta = 1e-3
    paths = propagate(x, y, w0)
    times = alignment_times(paths, y, delta=delta)
    checked = 0
    for j in np.flatnonzero(times.live):
        axis = (y * (y > 0)) @ x
        around = np.sort([f * t for f in (1 - 1e-9, 1 + 1e-9) for t in (times.cosine[j],)])
        cosine = propagate(x, y, w0[j : j + 1], times=around).samples.direction[0] @ axis
        cosine /= np.linalg.norm(axis)
        if times.cosine[j] > times.pattern[j]:
            assert cosine[0] < 1 - delta < cosine[1]
            checked += 1
        # phi is the slope of ln|w|, by a central difference.
        step = 1e-5 / paths.final_alpha[j]
        at = times.phi[j] + step * np.array([-1.0, 1.0])
        if at[0] > 0:
            log_norm = propagate(x, y, w0[j : j + 1], times=at).samples.log_norm[0]
            slope = (log_norm[1] - log_norm[0]) / (2 * step)
            assert slope == pytest.approx((1 - delta) * paths.final_alpha[j], rel=1e-4)
    assert checked > 5


def test_both_signs_end_in_their_own_cone_or_dead(separable):
    x, y, w0 = separable
    for sign in (1.0, -1.0):
        paths = propagate(x, y, w0, balanced(w0, sign))
        times = alignment_times(paths, y)
        assert set(times.cone) <= {Cone.OWN, Cone.DEAD}
        assert sum(times.counts.values()) == len(w0)
        dead = np.array([cone is Cone.DEAD for cone in times.cone])
        np.testing.assert_array_equal(dead, [o is Outcome.DEAD for o in paths.outcome])
        assert np.isnan(times.cosine[dead]).all()
        assert np.isfinite(times.pattern[dead]).all()


def test_late_switches_are_censored_and_not_reported_as_times(separable):
    x, y, w0 = separable
    paths = propagate(x, y, w0)
    horizon = float(np.median(paths.last_event_time))
    times = alignment_times(paths, y, horizon=horizon)
    late = paths.last_event_time > horizon
    np.testing.assert_array_equal(times.censored, late)
    assert np.isnan(times.pattern[late]).all()
    assert times.counts["censored"] == late.sum() > 0
    assert times.quantiles()["max"] <= horizon


def test_failed_runs_are_censored(separable):
    x, y, w0 = separable
    paths = propagate(x, y, w0, max_events=1)
    failed = np.array([not outcome.ok for outcome in paths.outcome])
    assert failed.any()
    np.testing.assert_array_equal(alignment_times(paths, y).censored, failed)


def test_quantiles_are_over_live_neurons(separable):
    x, y, w0 = separable
    times = alignment_times(propagate(x, y, w0), y)
    live = times.pattern[times.live]
    assert times.quantiles()["median"] == np.median(live)
    assert times.quantiles()["max"] == live.max()
    with pytest.raises(ParameterError, match="no alignment time"):
        times.quantiles("speed")
    with pytest.raises(ParameterError, match="delta"):
        alignment_times(propagate(x, y, w0), y, delta=0.0)
