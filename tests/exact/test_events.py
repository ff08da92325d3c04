"""The events of the compiled kernel against a slow propagation in 50 digits."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from exact.filippov import DIGITS, Slow

from flowtheory import Outcome
from flowtheory.data.families import four_points
from flowtheory.errors import ParameterError
from flowtheory.exact import EventKind, propagate


def random_problem(seed, n, dim, neurons):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, dim)) * np.exp(0.3 * rng.standard_normal((n, 1)))
    return x, rng.choice([-1.0, 1.0], n), rng.standard_normal((neurons, dim))


def grouped(paths, neuron):
    """Events as (time, {datum: kind}), those of one instant together."""
    rows = range(*paths.offsets[neuron : neuron + 2])
    return merged(
        (paths.time[row], {int(paths.datum[row]): EventKind(paths.kind[row])}) for row in rows
    )


def merged(events):
    found = []
    for time, changes in events:
        if found and time <= found[-1][0] * (1 + 1e-13):
            found[-1][1].update(changes)
        else:
            found.append((time, dict(changes)))
    return found


def compare(x, c, w0, active=None):
    """Every event of every neuron; returns the numbers of events and of tied data at most."""
    paths = propagate(x, c, w0, active=active)
    count = most = 0
    for j, w in enumerate(w0):
        slow = Slow(x, c, w, None if active is None else active[j]).run()
        found = grouped(paths, j)
        expected = merged(slow.events)
        assert [changes for _, changes in found] == [changes for _, changes in expected]
        times = [time for time, _ in expected]
        np.testing.assert_allclose([time for time, _ in found], times, rtol=1e-12)
        np.testing.assert_allclose(paths.multipliers[j], np.array(slow.lam, float), atol=1e-11)
        with mp.workdps(DIGITS):
            direction = np.array([e / slow.v for e in slow.w], float)
        # With v = |w| the last state is on the way into the last cell.
        np.testing.assert_allclose(paths.final_direction[j], direction, atol=1e-11)
        kinds = paths.kind[paths.events_of(j)]
        steps = (kinds == EventKind.SLIDE_BEGINS).astype(int)
        steps -= np.isin(kinds, (EventKind.SLIDE_ENDS_ACTIVE, EventKind.SLIDE_ENDS_INACTIVE))
        most = max(most, int(np.cumsum(steps).max(initial=0)))
        count += len(kinds)
    return count, most


def test_every_event_of_small_random_problems():
    count = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        n, dim = int(rng.integers(3, 12)), int(rng.integers(2, 6))
        count += compare(*random_problem(100 + seed, n, dim, 2))[0]
    assert count > 100


def test_every_event_while_sliding_on_many_kinks():
    count, most = compare(*random_problem(7, 36, 14, 3))
    assert count > 100
    assert most >= 7


@pytest.mark.parametrize("mu", [0.3, 1e-2, 1e-4])
def test_every_event_of_four_points(mu):
    case = four_points(mu=mu)
    # z_1 switches on as -z_1 switches off, at one instant; the start is on the kink of -z_4.
    count, most = compare(case.data.x, case.data.y, case.w0, case.active)
    assert count == 3
    assert most == 0


def test_copies_are_one_datum_with_the_sum_of_their_weights():
    """The sliding set has dependent data then, and their multipliers are not unique."""
    for seed in range(6):
        x, c, w0 = random_problem(200 + seed, 8, 4, 2)
        copies = np.r_[np.arange(8), np.flatnonzero(c < 0), [0, 0]]
        weights = c[copies] / np.bincount(copies)[copies]
        # Parallel data have the same kink too.
        size = np.where(np.arange(len(copies)) < 8, 1.0, 2.0)
        paths = propagate(size[:, None] * x[copies], weights / size, w0)
        for j in range(2):
            slow = Slow(x, c, w0[j]).run()
            times = np.unique(paths.time[paths.events_of(j)])
            apart = times[np.diff(times, prepend=-1.0) > 1e-11 * times]
            np.testing.assert_allclose(apart, [t for t, _ in slow.events], rtol=1e-11)
            with mp.workdps(DIGITS):
                direction = np.array([e / slow.v for e in slow.w], float)
            np.testing.assert_allclose(paths.final_direction[j], direction, atol=1e-10)


def test_the_number_of_threads_changes_no_bit():
    x, c, w0 = random_problem(3, 40, 12, 600)
    times = [0.05, 0.3]
    one, two = (propagate(x, c, w0, times=times, threads=threads) for threads in (1, 3))
    for name in ("time", "datum", "kind", "final_direction", "multipliers", "offsets"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    np.testing.assert_array_equal(one.samples.direction, two.samples.direction)


def test_until_stops_in_the_cell_of_that_time():
    x, c, w0 = random_problem(3, 24, 8, 20)
    whole = propagate(x, c, w0, times=[0.1, 0.4])
    part = propagate(x, c, w0, times=[0.1, 0.4], until=0.4)
    kept = whole.time <= 0.4
    assert 0 < np.count_nonzero(kept) < len(kept)
    np.testing.assert_array_equal(part.time, whole.time[kept])
    np.testing.assert_array_equal(part.datum, whole.datum[kept])
    np.testing.assert_array_equal(part.samples.direction, whole.samples.direction)
    np.testing.assert_array_equal(part.samples.log_norm, whole.samples.log_norm)
    stopped = np.array([outcome is Outcome.REACHED_T for outcome in part.outcome])
    ended = np.array([outcome.ok for outcome in part.outcome])
    later = np.diff(whole.offsets) > np.diff(part.offsets)
    np.testing.assert_array_equal(stopped, later)
    assert ended.all()
    for until in (0.3, -1.0, np.nan):
        with pytest.raises(ParameterError, match="until"):
            propagate(x, c, w0, times=[0.1, 0.4], until=until)
