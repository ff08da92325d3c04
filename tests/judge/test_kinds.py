"""Each kind of claim accepts what holds, rejects its wrong variants, knows when it cannot tell."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from flowtheory.judge import (
    Attained,
    Axis,
    Equality,
    Evidence,
    LowerBound,
    Mean,
    Proportion,
    Slope,
    UpperBound,
    Verdict,
)

X = Axis("x", lambda row: row["x"])
LOG_X = Axis("ln x", lambda row: math.log(row["x"]))
SQUARE = Axis("x^2", lambda row: row["x"] ** 2)


def row(measured, predicted=1.0, *, x=1.0, seed=None, **more):
    return Evidence("e", "f", {"x": x}, measured, predicted, seed=seed, **more)


def claimed(rows, prediction):
    return [replace(one, predicted=prediction(one["x"])) for one in rows]


class TestBounds:
    def test_a_measurement_that_was_cut_off_beyond_an_upper_bound_refutes_it(self):
        late = row(math.nan, cut=1.5)
        early = row(math.nan, cut=0.5)
        assert UpperBound().judge("b", [late]).verdict is Verdict.DISAGREES
        assert UpperBound().judge("b", [row(0.9), early]).verdict is Verdict.AGREES
        assert LowerBound().judge("b", [late]).verdict is Verdict.AGREES
        assert LowerBound().judge("b", [early]).verdict is Verdict.INCONCLUSIVE

    def test_an_interval_across_the_bound_does_not_decide(self):
        wide = row(0.95, error=0.2)
        assert UpperBound().judge("b", [wide]).verdict is Verdict.INCONCLUSIVE
        assert UpperBound().judge("b", [row(1.3, error=0.2)]).verdict is Verdict.DISAGREES
        assert LowerBound().judge("b", [row(1.05, error=0.2)]).verdict is Verdict.INCONCLUSIVE
        assert LowerBound().judge("b", [row(0.7, error=0.2)]).verdict is Verdict.DISAGREES

    def test_bounds_of_either_sign(self):
        below = [row(-2.0, -1.0), row(-1.5, -1.0)]
        assert UpperBound().judge("b", below).verdict is Verdict.AGREES
        assert LowerBound().judge("b", below).verdict is Verdict.DISAGREES

    @given(st.floats(1e-300, 1e300), st.floats(0.1, 10))
    def test_upper_and_lower_exclude_each_other_away_from_equality(self, scale, ratio):
        rows = [row(scale * ratio, scale)]
        found = {kind().judge("b", rows).verdict for kind in (UpperBound, LowerBound)}
        if abs(ratio - 1) > 1e-8:
            assert found == {Verdict.AGREES, Verdict.DISAGREES}

    def test_attained(self):
        assert Attained(0.9).judge("a", [row(0.2)]).verdict is Verdict.INCONCLUSIVE


class TestEquality:
    def test_the_error_of_the_measurement_is_allowed_for_but_must_not_hide_the_law(self):
        assert Equality(0.01).judge("e", [row(1.012, error=0.005)]).verdict is Verdict.AGREES
        assert Equality(0.01).judge("e", [row(1.02, error=0.005)]).verdict is Verdict.DISAGREES
        assert Equality(0.01).judge("e", [row(1.0, error=0.5)]).verdict is Verdict.INCONCLUSIVE

    def test_absolute_tolerance_serves_where_zero_is_predicted(self):
        assert Equality(0.0, 1e-9).judge("e", [row(1e-10, 0.0)]).verdict is Verdict.AGREES
        assert Equality(0.0, 1e-9).judge("e", [row(1e-8, 0.0)]).verdict is Verdict.DISAGREES

    def test_a_row_without_a_prediction_says_nothing(self):
        rows = [row(1.0, math.nan), row(math.nan, math.nan, cut=3.0)]
        assert Equality(0.1).judge("e", rows).verdict is Verdict.INCONCLUSIVE

    def test_a_row_observed_beyond_its_prediction_refutes(self):
        assert Equality(0.1).judge("e", [row(math.nan, cut=2.0)]).verdict is Verdict.DISAGREES
        assert Equality(0.1).judge("e", [row(math.nan, cut=0.5)]).verdict is Verdict.INCONCLUSIVE


class TestMean:
    def test_the_interval_of_the_mean_covers_at_its_level(self):
        rng = np.random.default_rng(0)
        runs = 300
        hits = 0
        for _ in range(runs):
            found = Mean(0.5).judge("m", [row(v) for v in rng.normal(1.0, 0.2, 30)])
            hits += found.low <= 1.0 <= found.high
        # 99 % level; the bootstrap of 30 is slightly narrow: at least 96 % with certainty.
        assert stats.binomtest(hits, runs).proportion_ci(0.999).high > 0.98
        assert hits > 0.95 * runs

    def test_wide_is_inconclusive_and_a_wrong_factor_disagrees(self):
        rng = np.random.default_rng(1)
        rows = [row(v) for v in rng.normal(1.0, 0.05, 40)]
        assert Mean(0.1).judge("m", rows).verdict is Verdict.AGREES
        assert Mean(0.005).judge("m", rows).verdict is Verdict.INCONCLUSIVE
        wrong = [replace(one, predicted=2.0) for one in rows]
        assert Mean(0.1).judge("m", wrong).verdict is Verdict.DISAGREES
        assert Mean(0.1).judge("m", rows[:2]).verdict is Verdict.INCONCLUSIVE

    def test_the_median_is_not_moved_by_an_outlier(self):
        rows = [row(v) for v in (*np.linspace(0.99, 1.01, 21), 1e6)]
        assert Mean(0.05, "median").judge("m", rows).verdict is Verdict.AGREES


class TestProportion:
    def test_all_of_many_is_not_all_of_few(self):
        assert Proportion(0.1).judge("p", [row(1.0)] * 100).verdict is Verdict.AGREES
        assert Proportion(0.1).judge("p", [row(1.0)] * 10).verdict is Verdict.INCONCLUSIVE

    def test_the_interval_is_the_exact_one(self):
        rows = [row(1.0, 0.5)] * 30 + [row(0.0, 0.5)] * 10
        found = Proportion(0.5).judge("p", rows)
        # Clopper-Pearson by the beta distribution.
        assert found.low == pytest.approx(stats.beta.ppf(0.005, 30, 11), rel=1e-10)
        assert found.high == pytest.approx(stats.beta.ppf(0.995, 31, 10), rel=1e-10)
        assert found.verdict is Verdict.DISAGREES


class TestSlope:
    def test_a_constant_of_its_own_for_every_seed(self):
        xs = np.linspace(1, 5, 6)
        rows = [row(3 * x + 10 * seed, x=x, seed=seed) for seed in range(3) for x in xs]
        kind = Slope(X, tolerance=1e-9)
        assert kind.judge("s", claimed(rows, lambda x: 3 * x)).verdict is Verdict.AGREES
        assert kind.judge("s", claimed(rows, lambda x: 3.01 * x)).verdict is Verdict.DISAGREES

    def test_an_exponent(self):
        rows = [row(0.7 * x**-2.5, x=x) for x in np.geomspace(1, 100, 7)]
        kind = Slope(LOG_X, tolerance=1e-6, log=True)
        assert kind.judge("s", claimed(rows, lambda x: x**-2.5)).verdict is Verdict.AGREES
        assert kind.judge("s", claimed(rows, lambda x: x**-2)).verdict is Verdict.DISAGREES

    def test_a_known_next_term_is_fitted_beside(self):
        rows = [row(2 * x + 0.3 * x**2, x=x) for x in np.linspace(0, 1, 9)]
        alone, beside = Slope(X, tolerance=0.01), Slope(X, tolerance=0.01, beside=(SQUARE,))
        rows = claimed(rows, lambda x: 2 * x)
        assert alone.judge("s", rows).verdict is Verdict.DISAGREES
        assert beside.judge("s", rows).verdict is Verdict.AGREES
        assert beside.judge("s", rows).value == pytest.approx(2, abs=1e-10)

    def test_a_slope_of_zero_needs_a_floor(self):
        rows = [row(5 + 1e-6 * x, 5.0, x=x) for x in np.linspace(0, 1, 9)]
        assert Slope(X, floor=1e-5).judge("s", rows).verdict is Verdict.AGREES
        assert Slope(X, floor=1e-7).judge("s", rows).verdict is Verdict.DISAGREES

    def test_a_prediction_that_is_constant_has_the_slope_zero_and_no_rounding(self):
        rows = [row(0.1 * 3 + 1e-9 * x, 0.1 + 0.2, x=x) for x in np.geomspace(1e-100, 1.0, 7)]
        found = Slope(LOG_X, floor=1e-6).judge("s", rows)
        assert found.expected.startswith("0 +- 1e-06")
        assert found.verdict is Verdict.AGREES

    def test_the_remainder_of_the_law_widens_its_interval(self):
        xs = np.linspace(1, 20, 40)
        rows = [row(2 * x + 0.3 * math.sin(x / 5), 2 * x, x=x) for x in xs]
        tight = Slope(X, tolerance=1e-4)
        told = Slope(X, tolerance=0.1, remainder=lambda one: 0.3)
        assert tight.judge("s", rows).verdict is not Verdict.AGREES
        assert told.judge("s", rows).verdict is Verdict.AGREES
        assert told.judge("s", claimed(rows, lambda x: 3 * x)).verdict is Verdict.DISAGREES

    def test_replicates_scatter_in_slope(self):
        rng = np.random.default_rng(3)
        xs = np.linspace(0, 1, 20)
        rows = [
            row(slope * x, x, x=x, seed=seed)
            for seed, slope in enumerate(rng.normal(1.0, 0.2, 8))
            for x in xs
        ]
        pooled = Slope(X, tolerance=0.5).judge("s", rows)
        each = Slope(X, tolerance=0.5, replicates=True).judge("s", rows)
        # The pooled fit takes each point for independent news.
        assert each.high - each.low > 1.5 * (pooled.high - pooled.low)
        slopes = [one.measured for one in rows if one["x"] == 1.0]
        half = stats.t.ppf(0.995, 7) * np.std(slopes, ddof=1) / math.sqrt(8)
        assert each.value == pytest.approx(np.mean(slopes), rel=1e-10)
        assert (each.high - each.low) / 2 == pytest.approx(half, rel=1e-6)

    def test_a_line_that_bends_is_refuted_and_not_inconclusive(self):
        rows = [row(1 / x, x=math.log(1 / x)) for x in np.logspace(-0.5, -2, 7)]
        found = Slope(X, tolerance=0.05).judge("s", claimed(rows, lambda x: 6 * x))
        assert found.verdict is Verdict.DISAGREES
        assert "bent" in found.detail
        noisy = np.random.default_rng(0).normal(0, 0.3, 40)
        xs = np.linspace(0, 10, 40)
        straight = [row(2 * x + e, 2 * x, x=x) for x, e in zip(xs, noisy, strict=True)]
        assert Slope(X, tolerance=0.1).judge("s", straight).verdict is Verdict.AGREES
        told = [row(2 * x + 0.1 * x**2, 2 * x, x=x, error=20.0) for x in xs]
        assert "bent" not in Slope(X, tolerance=0.1).judge("s", told).detail

    def test_two_points_are_no_line(self):
        rows = [row(1.0, x=1.0), row(2.0, x=2.0), row(math.nan, x=3.0)]
        assert Slope(X, tolerance=1).judge("s", rows).verdict is Verdict.INCONCLUSIVE

    def test_errors_of_measurement_widen_the_interval(self):
        xs = np.linspace(0, 1, 5)
        exact = Slope(X, tolerance=0.1).judge("s", [row(x, x, x=x) for x in xs])
        blurred = Slope(X, tolerance=0.1).judge("s", [row(x, x, x=x, error=0.2) for x in xs])
        assert exact.verdict is Verdict.AGREES
        assert blurred.verdict is Verdict.INCONCLUSIVE
