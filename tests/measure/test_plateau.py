"""Plateau times against the closed form of decoupled modes, with and without noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measure.curves import LEVELS, RATES, loss_at, modes, passing
from scipy.optimize import brentq

from flowtheory.errors import DataError, ParameterError
from flowtheory.measure import loss_stages, plateau_time, plateaus

EPS = 1e-10


def exact_time(number: int, fraction: float, eps: float = EPS) -> float:
    """When the loss has done a fraction of the descent from plateau `number`."""
    high, low = [*LEVELS, 0.0][number : number + 2]
    level = high - fraction * (high - low)
    # All modes but one are far from moving: bracket the passing of that one.
    middle = passing(RATES[number], eps**2, 0.5)
    return brentq(lambda t: loss_at(np.array(t), eps) - level, 0.7 * middle, 1.3 * middle)


class TestFirst:
    def test_closed_form(self):
        fractions, worst = np.linspace(0.02, 0.3, 15), []
        for count in (4001, 8001, 16001):
            times, loss = modes(EPS, count=count)
            errors = []
            for fraction in fractions:
                found = plateau_time(
                    times, loss, saddle=LEVELS[0], following=LEVELS[1], fraction=fraction
                )
                exact = exact_time(0, fraction)
                assert found.contains(exact)
                assert found.high - found.low == pytest.approx(120 / (count - 1))
                errors.append(abs(found.value - exact))
            worst.append(max(errors))
        # The monotone cubic between rows is of third order.
        assert worst[2] < worst[0] / 2**5
        assert worst[2] < 1e-6

    def test_slope_in_log_scale_is_that_of_saxe(self):
        levels = {"saddle": LEVELS[0], "following": LEVELS[1]}
        found = [plateau_time(*modes(eps, count=40001), **levels).value for eps in (1e-8, 1e-12)]
        assert found[1] - found[0] == pytest.approx(np.log(1e4) / RATES[0], rel=1e-6)

    @pytest.mark.parametrize("fraction", [0.02, 0.1])
    @pytest.mark.parametrize("size", [1e-9, 1e-3, 1e-2])
    def test_noise_is_enclosed(self, size, fraction):
        times, loss = modes(EPS, count=16001)
        levels = {"saddle": LEVELS[0], "following": LEVELS[1], "fraction": fraction}
        exact, rng, early = exact_time(0, fraction), np.random.default_rng(1), 0
        for _ in range(30):
            noisy = loss + size * rng.standard_normal(len(times))
            found = plateau_time(times, noisy, **levels)
            assert found.contains(exact)
            assert found.value == pytest.approx(exact, abs=0.01 + 4 * size)
            assert "rise" in found.note
            below = LEVELS[0] - fraction * (LEVELS[0] - LEVELS[1])
            early += times[np.argmax(noisy <= below)] < exact
        # The first noisy row below the level comes too early: that the interval must allow.
        assert early > 10 or size < 1e-2 or fraction > 0.02

    def test_wiggles_are_enclosed(self):
        times, loss = modes(EPS)
        for phase in np.linspace(0, 6, 7):
            wiggly = loss + 0.02 * np.sin(9 * times + phase)
            found = plateau_time(times, wiggly, saddle=LEVELS[0], following=LEVELS[1])
            assert found.contains(exact_time(0, 0.1))
            assert found.error < 0.1

    def test_noise_above_the_drop_is_told_by_the_interval(self):
        times, loss = modes(EPS)
        noisy = loss + 0.1 * np.random.default_rng(2).standard_normal(len(times))
        found = plateau_time(times, noisy, saddle=LEVELS[0], following=LEVELS[1], fraction=0.02)
        assert found.low == times[0]

    def test_units(self):
        times, loss = modes(EPS)
        one = plateau_time(times, loss, saddle=5.75, following=1.25)
        other = plateau_time(1e8 * times, 1e-7 * loss, saddle=5.75e-7, following=1.25e-7)
        assert other.value == pytest.approx(1e8 * one.value, rel=1e-12)

    def test_a_run_that_ends_before(self):
        times, loss = modes(EPS, end=5.0)
        found = plateau_time(times, loss, saddle=LEVELS[0], following=LEVELS[1])
        assert found.cut
        assert found.low == 5.0

    def test_a_start_below_the_level(self):
        times, loss = modes(0.9)
        with pytest.raises(DataError, match="begins at"):
            plateau_time(times, loss, saddle=LEVELS[0], following=LEVELS[1])

    @pytest.mark.parametrize(
        "wrong",
        [
            {"saddle": 1.0, "following": 2.0},
            {"saddle": np.nan, "following": 1.0},
            {"saddle": 5.75, "following": 1.25, "fraction": 0.0},
            {"saddle": 5.75, "following": 1.25, "fraction": 1.0},
        ],
    )
    def test_levels_out_of_order(self, wrong):
        with pytest.raises(ParameterError):
            plateau_time(*modes(EPS), **wrong)

    def test_no_curve(self):
        with pytest.raises(DataError):
            plateau_time(np.array([0.0, 0.0]), np.ones(2), saddle=1.0, following=0.0)


class TestAll:
    def test_levels_starts_and_ends(self):
        found = plateaus(*modes(EPS, count=16001))
        assert len(found) == 3
        np.testing.assert_allclose([p.level.value for p in found], LEVELS, rtol=1e-6)
        for number, plateau in enumerate(found):
            assert plateau.end.value == pytest.approx(exact_time(number, 0.1), abs=1e-3)
            begin = exact_time(number - 1, 0.9) if number else 0.0
            assert plateau.start.value == pytest.approx(begin, abs=1e-3)
            assert plateau.duration.value == plateau.end.value - plateau.start.value
            assert plateau.duration.low < plateau.duration.value < plateau.duration.high

    def test_durations_grow_as_gidel_et_al_say(self):
        """(1/s_2 - 1/s_1) ln(1/eps): .3333 and 1.3333."""
        found = [plateaus(*modes(eps, end=220.0, count=44001)) for eps in (1e-8, 1e-16)]
        for number, slope in ((1, 1 / 3), (2, 4 / 3)):
            short, long = (run[number].duration.value for run in found)
            assert (long - short) / np.log(1e8) == pytest.approx(slope, rel=1e-3)

    @pytest.mark.parametrize("seed", range(4))
    def test_noise_is_enclosed(self, seed):
        times, loss = modes(EPS)
        noisy = loss + 1e-3 * np.random.default_rng(seed).standard_normal(len(times))
        found = plateaus(times, noisy)
        assert len(found) == 3
        for number, plateau in enumerate(found):
            assert plateau.level.contains(LEVELS[number])
            assert plateau.end.contains(exact_time(number, 0.1))
            if number:
                assert plateau.start.contains(exact_time(number - 1, 0.9))
        assert found[1].duration.error < 0.3

    def test_clocks_of_any_scale(self):
        times, loss = modes(EPS)
        expected = [plateau.end.value for plateau in plateaus(times, loss)]
        for unit in (1e-150, 1e150):
            found = plateaus(unit * times, loss / unit)
            ends = [plateau.end.value / unit for plateau in found]
            np.testing.assert_allclose(ends, expected, rtol=1e-9)

    def test_the_edges_are_those_of_the_stages(self):
        times, loss = modes(EPS)
        stages = [stage for stage in loss_stages(times, loss) if stage.kind == "plateau"]
        for plateau, stage in zip(plateaus(times, loss), stages, strict=True):
            assert plateau.start.value == pytest.approx(stage.start, abs=2e-3)
            assert plateau.end.value == pytest.approx(stage.end, abs=2e-3)

    def test_a_run_that_ends_in_a_plateau(self):
        last = plateaus(*modes(EPS, end=25.0))[-1]
        assert last.end.cut
        assert last.duration.cut
        assert last.duration.low == pytest.approx(25.0 - exact_time(1, 0.9), abs=0.05)

    def test_thresholds_out_of_range(self):
        with pytest.raises(ParameterError):
            plateaus(*modes(EPS), drop=2.0)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.floats(1e-6, 1), min_size=2, max_size=30),
    st.floats(0.01, 0.99),
    st.floats(1e-3, 1e3),
)
def test_any_falling_curve_is_enclosed_by_two_rows(falls, fraction, unit):
    loss = np.concatenate([[0], np.cumsum(falls)])[::-1]
    times = unit * np.arange(len(loss), dtype=float)
    found = plateau_time(times, loss, saddle=loss[0], following=0.0, fraction=fraction)
    level = loss[0] * (1 - fraction)
    before, after = int(np.searchsorted(times, found.low)), int(np.searchsorted(times, found.high))
    assert after == before + 1
    assert loss[before] > level * (1 - 1e-12)
    assert loss[after] <= level * (1 + 1e-12)
