"""Measures on integrated gradient flows, in two clocks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import flowtheory as ft
from flowtheory.measure import (
    amplitudes,
    clusters,
    growth_rate,
    linear_directions,
    plateau_time,
    projection,
    relative_distances,
    wasserstein,
    wasserstein_bound,
)

X = np.array([[1.0, 0.5], [-0.3, 1.2], [0.8, -0.7], [-1.1, -0.4]])
Y = np.array([0.9, 0.2, 0.3, -0.8])


Z_NORM = float(np.linalg.norm(Y @ X) / len(Y))


@pytest.fixture(scope="module", params=["mse", "half_square"])
def run(request: pytest.FixtureRequest) -> ft.Run:
    """Two-layer tanh from scale 1e-8 to below a twentieth of the plateau; mean and sum clocks."""
    flow = ft.GradientFlow(ft.fully_connected(layers=2, activation="tanh"), request.param, x=X, y=Y)
    start = flow.init(scale=1e-8, seed=0, width=30)
    rate = len(Y) * Z_NORM * flow.clock.rate(len(Y))
    times = np.linspace(0, 25 / rate, 251)
    level = 0.05 * float(np.sum(Y**2)) * flow.clock.rate(len(Y)) / 2
    until = ft.loss_below(level)
    return flow.solve(
        start,
        times[-1],
        until=until,
        watch=ft.plateau_left(0.02) | ft.plateau_left(0.3),
        save="parameters",
        times=times,
        estimate=False,
    )


def neurons(run: ft.Run, row: int) -> np.ndarray:
    return np.column_stack([run["v"][row], run["W"][row]])


def test_the_loss_bounds_the_motion_on_every_window(run):
    last = len(run.times) - 1
    rows = [0, last // 3, *range(last - 40, last - 5, 5), last - 2, last - 1, last]
    ratios = []
    for s, t in itertools.combinations(rows, 2):
        found = wasserstein_bound(
            neurons(run, s),
            neurons(run, t),
            times=(run.times[s], run.times[t]),
            losses=(run.loss[s], run.loss[t]),
        )
        assert found.distance.value <= found.motion.value * (1 + 1e-12)
        # Rounding of L(s) - L(t), and the relative error of the integration, 1e-8.
        assert found.motion.value <= found.allowed.high * (1 + 1e-6)
        ratios.append(found.motion.value / found.allowed.high)
    # Over a short window the second is nearly an equality: the clock must be right.
    assert len(ratios) == len(rows) * (len(rows) - 1) / 2
    assert 0.9 < max(ratios) <= 1 + 1e-6


def test_a_wrong_clock_is_seen(run):
    """The reference clock of the laws runs at half the speed of a mean of four squares."""
    rate = run.clock.rate(len(Y))
    s, t = len(run.times) - 6, len(run.times) - 1
    found = wasserstein_bound(
        neurons(run, s),
        neurons(run, t),
        times=(rate * run.times[s], rate * run.times[t]),
        losses=(run.loss[s], run.loss[t]),
    )
    right = found.motion.value <= found.allowed.high * (1 + 1e-6)
    assert right == (rate >= 1)


def test_the_plateau_grows_at_the_rate_of_z(run):
    """W_1(rho_t, delta_0), the mean amplitude, grows at lambda = |z| in the half-mean clock."""
    rate = len(Y) * Z_NORM * run.clock.rate(len(Y))
    sizes = [amplitudes(w, v) for w, v in zip(run["W"], run["v"], strict=True)]
    mean = np.array([wasserstein(a, np.zeros(1), 1.0).value for a in sizes])
    np.testing.assert_allclose(mean, np.mean(sizes, axis=1), rtol=1e-12)
    found = growth_rate(run.times, mean, above=100, below=1e-3)
    assert found.value == pytest.approx(rate, rel=1e-4)
    assert found.contains(rate)
    # The distance from the start grows alike once it is far from the start.
    apart = np.array([wasserstein(sizes[0], a, 1.0).value for a in sizes[1:]])
    late = growth_rate(run.times[1:], apart, window=(10 / rate, 14 / rate))
    assert late.value == pytest.approx(rate, rel=2e-3)


def test_condensation_along_z_and_then_away(run):
    z, solution = linear_directions(X, Y)
    along_z = [projection(w, z).ratio.value for w in run["W"]]
    along_solution = [projection(w, solution).ratio.value for w in run["W"]]
    assert max(along_z) > 1 - 1e-6
    assert along_z[0] < 0.7
    assert along_z[-1] < max(along_z) - 1e-3
    assert along_solution[-1] > along_solution[int(np.argmax(along_z))]
    first, last = ({name: run[name][k] for name in ("W", "v")} for k in (0, -1))
    moved = relative_distances(last, first)
    assert moved["W"].frobenius.value > 1e5
    # One line: both norms of what it moved are one and the same.
    assert moved["W"].operator.value > moved["W"].frobenius.value


def test_plateau_times_are_those_of_the_located_events(run):
    zero = float(np.sum(Y**2)) * run.clock.rate(len(Y)) / 2
    assert len(run.events) == 3
    for event, fraction in zip(run.events[:2], (0.02, 0.3), strict=True):
        found = plateau_time(run.times, run.loss, saddle=zero, following=0.0, fraction=fraction)
        assert found.contains(event.time)
        assert found.value == pytest.approx(event.time, abs=0.02 * (found.high - found.low))


def test_all_neurons_become_two_orientations_of_one_line(run):
    W = run["W"]
    peak = int(np.argmax([projection(w, linear_directions(X, Y).z).ratio.value for w in W]))
    assert clusters(W[0], threshold=0.999, signed=False).number.value > 5
    assert clusters(W[peak], threshold=0.999, signed=False).number.value == 1
    assert clusters(W[peak], threshold=0.999).number.value == 2
