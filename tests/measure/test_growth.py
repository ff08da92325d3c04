"""Growth rates of exponentials, logistic modes and mixtures, against the closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measure.curves import logistic

from flowtheory.errors import DataError, ParameterError
from flowtheory.measure import growth_rate, local_growth_rates


def test_an_exponential_has_one_slope():
    times = np.sort(np.random.default_rng(0).uniform(0, 9, 50))
    found = growth_rate(times, 1e-9 * np.exp(0.7 * times), below=1.0)
    assert found.value == pytest.approx(0.7, rel=1e-13)
    assert found.contains(0.7)
    assert found.error < 1e-12
    local = local_growth_rates(times, 1e-9 * np.exp(0.7 * times))
    np.testing.assert_allclose(local.rates, 0.7, rtol=1e-9)
    np.testing.assert_array_equal(local.times, (times[1:] + times[:-1]) / 2)


def test_the_window_leaves_out_saturation():
    times = np.linspace(0, 20, 2000)
    amplitude = logistic(times, 1.5, 1e-12)
    found = growth_rate(times, amplitude)
    assert found.value == pytest.approx(3.0, rel=2e-3)
    assert found.contains(3.0)
    whole = growth_rate(times, amplitude, above=1.0, below=1.0)
    assert whole.value != pytest.approx(3.0, rel=0.1)


def test_the_window_leaves_out_what_decays():
    """sqrt((a e^t)^2 + (b e^-t)^2), an amplitude of a two-layer neuron."""
    times = np.linspace(0, 25, 1000)
    amplitude = np.hypot(1e-8 * np.exp(times), 1e-6 * np.exp(-times))
    found = growth_rate(times, amplitude, below=0.5)
    assert found.contains(1.0)
    assert found.value == pytest.approx(1.0, rel=1e-4)
    assert growth_rate(times, amplitude, window=(0.0, 5.0)).value < 0.9


def test_a_curve_in_the_logarithm_is_told_by_the_interval():
    times = np.linspace(0, 3, 100)
    amplitude = np.exp(times**2)
    found = growth_rate(times, amplitude, window=(0.0, 3.0))
    # The parabola's slope at the first row is 0: the line is off by 3.
    assert found.low < 0.0 + 1e-9
    assert found.value == pytest.approx(3.0)


def test_noise_is_covered_at_the_level():
    times = np.linspace(0, 10, 60)
    rng, inside = np.random.default_rng(3), 0
    for _ in range(300):
        noisy = np.exp(0.5 * times + 0.1 * rng.standard_normal(60))
        inside += growth_rate(times, noisy, window=(0, 10)).contains(0.5)
    assert inside >= 285


@settings(max_examples=50, deadline=None)
@given(st.floats(0.1, 10), st.floats(-200, 200), st.floats(1e-3, 1e3))
def test_units(rate, log_unit, clock):
    times = np.linspace(0, 30 / rate, 200)
    amplitude = np.exp(rate * times + log_unit)
    found = growth_rate(clock * times, amplitude)
    assert found.value * clock == pytest.approx(rate, rel=1e-9)


def test_bad_input():
    times = np.arange(10.0)
    with pytest.raises(DataError, match="positive"):
        growth_rate(times, times)
    with pytest.raises(DataError, match="rows"):
        growth_rate(times, 1 + times)
    with pytest.raises(DataError):
        local_growth_rates(times, np.ones(9))
    with pytest.raises(ParameterError):
        growth_rate(times, np.exp(times), level=1.0)
    with pytest.raises(ParameterError):
        growth_rate(times, np.exp(times), above=0.5)
    with pytest.raises(ParameterError):
        growth_rate(times, np.exp(times), below=0.0)
