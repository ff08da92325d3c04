"""Blow-up times against Carlson's integral, enclosures on flows that are not aligned, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp
from scipy.special import elliprf

from flowtheory.errors import DataError, ParameterError
from flowtheory.measure import blow_up_time, growth_degree
from flowtheory.outcome import Outcome


def flow(start: np.ndarray, gain: float, force) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, norms and last state of x' = force(x) until the norm has grown by exp(gain)."""
    first = np.log(np.linalg.norm(start))

    def grown(t: float, x: np.ndarray) -> float:
        return float(np.log(np.linalg.norm(x)) - first - gain)

    grown.terminal = True
    run = solve_ivp(
        lambda t, x: force(x), [0, 1e4], start, "DOP853", events=grown, rtol=1e-12, atol=1e-14
    )
    return run.t, np.linalg.norm(run.y, axis=0), run.y[:, -1]


def product(x: np.ndarray) -> np.ndarray:
    """The gradient of H = x_1 ... x_L, the aligned deep linear flow."""
    return np.prod(x) / x


def three_layers(x: np.ndarray) -> np.ndarray:
    """The gradient of H = a^T W c with three neurons a layer."""
    a, c, w = x[:3], x[3:6], x[6:].reshape(3, 3)
    return np.concatenate([w @ c, w.T @ a, np.outer(a, c).ravel()])


STARTS = [[1.0, 1.2, 0.8], [0.3, 0.05, 0.9], [0.5, 0.6, 0.7, 0.4], [0.5, 0.6, 0.7, 0.4, 0.9]]


class TestAligned:
    @pytest.mark.parametrize("start", STARTS)
    def test_carlson(self, start):
        degree, start = len(start), np.array(start)
        exact = quad(lambda u: np.prod((start**2 + u) ** -0.5) / 2, 0, np.inf, epsrel=1e-12)[0]
        if degree == 3:
            assert exact == pytest.approx(elliprf(*start**2), rel=1e-9)
        times, norms, last = flow(start, 7.0, product)
        found = blow_up_time(times, norms, degree, time_error=1e-11)
        assert found.outcome is Outcome.BLEW_UP
        assert found.time.value == pytest.approx(exact, rel=1e-10)
        assert found.time.contains(exact)
        assert found.time.error < 1e-8
        # The largest product of L numbers on the unit sphere is L^(-L/2).
        largest = degree ** (-degree / 2)
        assert found.limit.value == pytest.approx(largest, rel=1e-5)
        assert growth_degree(times, norms).value == pytest.approx(degree, abs=1e-5)
        sure = blow_up_time(
            times, norms, degree, energy=float(np.prod(last)), largest=largest, time_error=1e-11
        ).time
        assert sure.level == 1.0
        assert sure.contains(exact)
        assert sure.error < 1e-9

    def test_the_tangent_by_rate_is_that_by_energy(self):
        times, norms, last = flow(np.array(STARTS[1]), 6.5, product)
        energy = float(np.prod(last))
        rate = 3 * energy / norms[-1]
        one = blow_up_time(times, norms, 3, energy=energy).time
        other = blow_up_time(times, norms, 3, rate=rate).time
        assert other.high == pytest.approx(one.high, rel=1e-15)
        assert one.low == times[-1]


class TestGeneral:
    @pytest.mark.parametrize("seed", range(5))
    def test_the_enclosure_holds_and_is_not_empty(self, seed):
        start = np.random.default_rng(seed).standard_normal(15)
        times, norms, _ = flow(start, 9.0, three_layers)
        late = blow_up_time(times, norms, 3).time
        early = norms <= norms[0] * np.exp(3.0)
        last = int(np.flatnonzero(early)[-1])
        _, _, state = flow(start, float(np.log(norms[last] / norms[0])), three_layers)
        energy = float(three_layers(state) @ state) / 3
        # h_max = s_1 L^(-L/2) of three layers with s_1 = 1.
        found = blow_up_time(
            times[: last + 1],
            norms[: last + 1],
            3,
            energy=energy,
            largest=3**-1.5,
            gain=2.5,
            time_error=1e-10,
        ).time
        assert found.contains(late.value)
        assert found.high - late.value > 1e-7
        assert late.value - found.low > 1e-7

    def test_noise_is_covered_at_the_level(self):
        times = 2.0 - np.geomspace(2, 1e-3, 400)
        rng, inside = np.random.default_rng(0), 0
        for _ in range(200):
            noisy = np.exp(1e-3 * rng.standard_normal(400)) / (2.0 - times)
            inside += blow_up_time(times, noisy, 3).time.contains(2.0)
        assert inside >= 188


class TestRefusals:
    def test_exponential_growth(self):
        times = np.linspace(0, 10, 400)
        found = blow_up_time(times, np.exp(times), 3)
        assert found.outcome is Outcome.NOT_DETECTED
        assert found.time.cut
        assert found.time.low == 10.0
        assert "decreases" in found.time.note
        assert found.limit.cut
        assert growth_degree(times, np.exp(times)).value == pytest.approx(2.0, abs=1e-12)

    def test_a_flow_that_saturates(self):
        """A full flow: the product of three gains grows to 1 and stays."""

        def full(x: np.ndarray) -> np.ndarray:
            return (1 - np.prod(x)) * product(x)

        run = solve_ivp(lambda t, x: full(x), [0, 2e3], [2e-3] * 3, rtol=1e-10, atol=1e-14)
        found = blow_up_time(run.t, np.linalg.norm(run.y, axis=0), 3)
        assert found.time.cut
        found = blow_up_time(run.t, np.linalg.norm(run.y, axis=0), 3, gain=2.0)
        assert "decreases" in found.time.note

    def test_too_little_growth(self):
        times = np.linspace(0, 0.9, 100)
        found = blow_up_time(times, 1 / (1 - times), 3)
        assert found.time.cut
        assert "less than exp(6)" in found.time.note
        assert blow_up_time(times, 1 / (1 - times), 3, gain=2.0).time.contains(1.0)

    def test_negative_energy(self):
        times = np.linspace(0, 0.999, 100)
        for given_ in ({"energy": -1.0}, {"rate": 0.0}):
            found = blow_up_time(times, 1 / (1 - times), 3, gain=2.0, **given_)
            assert "not positive" in found.time.note

    def test_a_degree_that_is_too_high_is_refused_not_fitted(self):
        times = 1 - np.geomspace(1, 1e-4, 300)
        assert blow_up_time(times, 1 / (1 - times), 4).time.cut

    def test_an_energy_of_something_else_is_noted(self):
        times = 1 - np.geomspace(1, 1e-4, 300)
        found = blow_up_time(times, 1 / (1 - times), 3, energy=1e13)
        assert "outside" in found.time.note

    def test_bad_input(self):
        times = 1 - np.geomspace(1, 1e-4, 300)
        norms = 1 / (1 - times)
        for wrong in (
            {"degree": 2.0},
            {"degree": np.nan},
            {"degree": 3, "window": 0.0},
            {"degree": 12, "window": 10.0},
            {"degree": 3, "level": 1.0},
            {"degree": 3, "gain": 0.0},
            {"degree": 3, "largest": -1.0},
            {"degree": 3, "time_error": -1.0},
        ):
            with pytest.raises(ParameterError):
                blow_up_time(times, norms, **wrong)
        with pytest.raises(DataError, match="positive"):
            blow_up_time(times, -norms, 3)
        with pytest.raises(DataError, match="rows"):
            blow_up_time(times[::60], norms[::60], 3, window=1.0)
        with pytest.raises(DataError, match="increase"):
            growth_degree(times, norms * (1 + 0.1 * np.sin(np.arange(300))))


@settings(max_examples=60, deadline=None)
@given(st.floats(2.2, 8), st.floats(0.1, 50), st.floats(-20, 20), st.integers(0, 10**6))
def test_a_power_law_is_exact_at_any_spacing(degree, end, log_unit, seed):
    """r = c (T - t)^(-1/(k-2)) with uneven rows."""
    left = np.sort(np.exp(np.random.default_rng(seed).uniform(-12, 0, 80)))[::-1] * end
    times = end - left
    norms = np.exp(log_unit) * left ** (-1 / (degree - 2))
    window = 2.0 / (degree - 2)
    gain = 0.5 * np.log(norms[-1] / norms[0])
    found = blow_up_time(times, norms, degree, window=window, gain=gain).time
    assert found.value == pytest.approx(end, rel=1e-11)
    near = growth_degree(times, norms, window=4 / (degree - 2))
    # Rounding of the times near the end limits their differences.
    assert near.value == pytest.approx(degree, rel=1e-3)
