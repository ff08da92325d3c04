"""Plateaus and descents against the closed form of decoupled linear modes (Saxe et al. 2014)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measure.curves import LEVELS, RATES, logistic, loss_at, modes, passing
from scipy.signal import find_peaks

from flowtheory.errors import DataError, ParameterError
from flowtheory.measure import LossStage, loss_stages


def kinds(stages: tuple[LossStage, ...]) -> str:
    return "".join(stage.kind[0] for stage in stages)


class TestModes:
    def test_levels_are_those_of_the_saddles(self):
        times, loss = modes(1e-10)
        stages = loss_stages(times, loss)
        assert kinds(stages) == "pdpdpdl"
        levels = [stage.level for stage in stages if stage.kind == "plateau"]
        np.testing.assert_allclose(levels, LEVELS, rtol=1e-5)

    def test_descents_are_where_the_modes_pass(self):
        times, loss = modes(1e-10)
        found = [stage for stage in loss_stages(times, loss) if stage.kind == "descent"]
        for stage, s in zip(found, RATES, strict=True):
            passing = np.interp(s / 2, logistic(times, s, 1e-20), times)
            assert stage.start < passing < stage.end

    @pytest.mark.parametrize("s", RATES)
    def test_the_edges_are_a_tenth_and_nine_tenths_of_the_drop(self, s):
        times = np.linspace(0, 60, 20000)
        loss = (s - logistic(times, s, 1e-14)) ** 2 / 2
        _, descent, _ = loss_stages(times, loss)
        inside = np.interp([descent.start, descent.end], times, loss) / loss[0]
        np.testing.assert_allclose(inside, [0.9, 0.1], atol=1e-3)

    @pytest.mark.parametrize("offset", [0.0, 0.1, 0.2, 0.3])
    def test_a_plateau_with_a_single_row_has_its_level(self, offset):
        """What an adaptive run saves: the tail of a descent and the plateau in one interval."""
        eps, tail = 1e-10, 0.75 + offset
        ends = [passing(s, eps**2, 0.5) for s in RATES]
        steep = [
            np.linspace(t - 1.5 / s, t + tail / s, 30) for s, t in zip(RATES, ends, strict=True)
        ]
        rests = [(a + b) / 2 for a, b in pairwise([0, *ends])]
        times = np.unique(np.concatenate([[0, 120], rests, *steep]))
        stages = loss_stages(times, loss_at(times, eps))
        plateaus = [stage for stage in stages if stage.kind == "plateau"]
        np.testing.assert_allclose([stage.level for stage in plateaus], LEVELS, rtol=1e-4)
        assert all(
            abs(stage.level - level) <= stage.error + 1e-6
            for stage, level in zip(plateaus, LEVELS, strict=True)
        )

    def test_stages_cover_the_run(self):
        times, loss = modes(1e-6)
        stages = loss_stages(times, loss)
        assert stages[0].start == times[0]
        assert stages[-1].end == times[-1]
        assert [a.end for a in stages[:-1]] == [b.start for b in stages[1:]]

    def test_noise_of_a_converged_run_is_no_descent(self):
        times, loss = modes(1e-6)
        noise = 1e-9 * np.random.default_rng(0).standard_normal(len(times))
        assert kinds(loss_stages(times, loss + noise)) == "pdpdpdl"

    def test_rows_at_log_spaced_times_give_the_same(self):
        times = np.concatenate([[0], np.geomspace(1e-2, 120, 900)])
        loss = np.sum([(s - logistic(times, s, 1e-20)) ** 2 for s in RATES], axis=0) / 2
        assert kinds(loss_stages(times, loss)) == "pdpdpdl"


class TestRises:
    """A curve that rises by at most rho is read at falls of 2 rho."""

    @pytest.mark.parametrize("size", [1e-9, 1e-4, 3e-3])
    @pytest.mark.parametrize("seed", range(5))
    def test_noise(self, size, seed):
        times, loss = modes(1e-10)
        noise = size * np.random.default_rng(seed).standard_normal(len(times))
        stages = loss_stages(times, loss + noise)
        assert kinds(stages) == "pdpdpdl"
        levels = [stage.level for stage in stages if stage.kind == "plateau"]
        rise = np.max(loss + noise - np.minimum.accumulate(loss + noise))
        np.testing.assert_allclose(levels, LEVELS, atol=2 * rise)

    @pytest.mark.parametrize("frequency", [5.0, 50.0])
    def test_wiggles(self, frequency):
        times, loss = modes(1e-10)
        stages = loss_stages(times, loss + 5e-3 * np.sin(frequency * times))
        assert kinds(stages) == "pdpdpdl"

    def test_peaks_after_convergence(self):
        times, loss = modes(1e-10)
        late = times > 70
        wiggles = np.where(late, 1e-7 * (1.001 + np.sin(5.5 * times)), 0.0)
        with np.errstate(divide="ignore"):
            rates = np.log10(np.maximum(-np.diff((loss + wiggles)[late]), 1e-300))
        assert find_peaks(rates, prominence=1)[0].size >= 40
        found, clean = loss_stages(times, loss + wiggles), loss_stages(times, loss)
        assert kinds(found) == "pdpdpdl"
        for one, other in zip(found, clean, strict=True):
            assert one.start == pytest.approx(other.start, abs=0.02)

    def test_what_noise_covers_is_not_seen(self):
        times, loss = modes(1e-10)
        noise = 0.03 * np.random.default_rng(0).standard_normal(len(times))
        assert kinds(loss_stages(times, loss + noise)) == "pdpdl"


class TestEnds:
    def test_a_run_that_ends_inside_a_descent(self):
        times, loss = modes(1e-8)
        until = int(np.argmax(loss < 0.7 * loss[0]))
        stages = loss_stages(times[:until], loss[:until])
        assert kinds(stages) == "pd"
        assert stages[-1].end == times[until - 1]

    def test_a_run_that_begins_inside_a_descent(self):
        times = np.linspace(0, 30, 1000)
        assert kinds(loss_stages(times, np.exp(-times))) == "dl"

    def test_a_run_that_never_leaves_its_plateau(self):
        times = np.linspace(0, 1, 50)
        (one,) = loss_stages(times, 2.0 - 1e-9 * np.exp(times))
        assert one == ("plateau", 0.0, 1.0, pytest.approx(2.0), pytest.approx(0, abs=1e-10))

    def test_a_constant_loss(self):
        assert loss_stages(np.arange(3.0), np.ones(3)) == (LossStage("plateau", 0.0, 2.0, 1.0),)

    def test_the_smallest_drop_decides(self):
        times, loss = modes(1e-10)
        assert kinds(loss_stages(times, loss, drop=0.1)) == "pdpdl"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=40),
    st.floats(1e-3, 1e3),
)
def test_any_falling_curve_is_covered_once(falls, unit):
    loss = 1 + np.concatenate([[0], np.cumsum(falls)])[::-1]
    times = unit * np.arange(len(loss), dtype=float)
    stages = loss_stages(times, loss)
    assert stages[0].start == 0
    assert stages[-1].end == times[-1]
    assert all(a.start < a.end == b.start for a, b in pairwise(stages))
    assert not any(a.kind == b.kind == "plateau" for a, b in pairwise(stages))


@pytest.mark.parametrize(
    ("times", "loss"),
    [([0.0], [1.0]), ([0.0, 1.0], [1.0]), ([1.0, 0.0], [1.0, 0.5]), ([0.0, 1.0], [1.0, np.nan])],
)
def test_arrays_that_are_no_curve(times, loss):
    with pytest.raises(DataError):
        loss_stages(np.array(times), np.array(loss))


@pytest.mark.parametrize("wrong", [{"prominence": 1.0}, {"drop": 0.0}, {"drop": 1.0}])
def test_thresholds_out_of_range(wrong):
    with pytest.raises(ParameterError):
        loss_stages(*modes(1e-3), **wrong)
