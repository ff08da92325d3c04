"""The judge agrees with what holds, refutes what does not, and knows when it cannot tell."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowtheory.errors import DataError
from flowtheory.judge import (
    Attained,
    Equality,
    Evidence,
    UpperBound,
    Verdict,
    fit_slope,
    judge_fit,
)

VERDICTS = st.lists(st.sampled_from(list(Verdict)), max_size=6)


def row(measured, predicted=1.0):
    return Evidence("e", "f", {"n": 2}, measured, predicted)


@given(VERDICTS)
def test_one_disagreement_decides_and_nothing_is_not_agreement(verdicts):
    merged = Verdict.of_all(verdicts)
    assert (merged is Verdict.DISAGREES) == (Verdict.DISAGREES in verdicts)
    assert (merged is Verdict.AGREES) == (set(verdicts) == {Verdict.AGREES})


def test_exit_codes():
    assert [v.exit_code for v in Verdict] == [0, 1, 3]


def test_an_upper_bound_is_violated_by_one_row():
    assert UpperBound().judge("b", [row(0.5), row(1.0)]).verdict is Verdict.AGREES
    found = UpperBound().judge("b", [row(0.5), row(1.01)])
    assert found.verdict is Verdict.DISAGREES
    assert found.value == 1.01


def test_censored_rows_do_not_count_as_agreement():
    assert UpperBound().judge("b", [row(math.nan)]).verdict is Verdict.INCONCLUSIVE
    assert Equality(0.1).judge("b", [row(math.nan)]).verdict is Verdict.INCONCLUSIVE
    assert UpperBound().judge("b", [row(math.nan), row(0.5)]).cases == 1


def test_a_bound_that_nothing_approaches_is_not_tested():
    assert Attained(0.9).judge("a", [row(0.2)]).verdict is Verdict.INCONCLUSIVE
    assert Attained(0.9).judge("a", [row(0.95)]).verdict is Verdict.AGREES


def test_equality_within_tolerance():
    assert Equality(1e-10).judge("e", [row(1 + 1e-11)]).verdict is Verdict.AGREES
    assert Equality(1e-10).judge("e", [row(1 + 1e-9)]).verdict is Verdict.DISAGREES


def test_the_interval_of_a_slope_covers_at_its_level():
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 12)
    inside = sum(
        fit_slope(x, 2 * x + 0.1 * rng.standard_normal(12), name="s", predicted=2.0).contains(2.0)
        for _ in range(2000)
    )
    # 99 % level: binomial, three standard deviations.
    assert abs(inside - 1980) < 3 * math.sqrt(2000 * 0.99 * 0.01)


def test_a_law_with_a_remainder_is_not_refuted_by_its_own_remainder():
    x = np.linspace(1, 20, 40)
    remainder = 0.3 * np.sin(x / 5)
    y = 2 * x + remainder
    spread = np.ptp(remainder) / 2
    with_it = fit_slope(x, y, name="s", predicted=2.0, remainder=spread)
    assert with_it.verdict is Verdict.AGREES
    assert fit_slope(x, y, name="s", predicted=2.2, remainder=spread).verdict is Verdict.DISAGREES


@given(st.integers(0, 10**6))
def test_the_remainder_bounds_the_bias_of_any_bounded_deviation(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 10, 9)
    deviation = rng.uniform(-0.5, 0.5, 9)
    spread = x - x.mean()
    bias = abs(spread @ deviation) / (spread @ spread)
    fit = fit_slope(x, 3 * x + deviation, name="s", predicted=3.0, remainder=0.5)
    assert bias <= (fit.high - fit.low) / 2


def test_a_wide_interval_is_inconclusive():
    rng = np.random.default_rng(1)
    x = np.linspace(0, 1, 5)
    fit = fit_slope(
        x, x + rng.standard_normal(5), name="s", predicted=1.0, alternatives=(("half", 0.5),)
    )
    assert judge_fit("claim", fit).verdict is Verdict.INCONCLUSIVE


def test_constant_ordinates_have_slope_zero_and_no_nan():
    fit = fit_slope(np.array([1.0, 2.0, 3.0]), np.full(3, 7.5), name="s", predicted=0.0)
    assert fit.verdict is Verdict.AGREES
    assert fit.low <= 0 <= fit.high


def test_too_few_points_are_refused():
    with pytest.raises(DataError, match="slope"):
        fit_slope(np.array([1.0, 1.0, 2.0]), np.zeros(3), name="s", predicted=0.0)


def test_rows_become_valid_json_numbers():
    found = row(math.nan).as_dict()
    assert found["measured"] is None
    assert found["ratio"] is None
    assert row(0.5).as_dict()["ratio"] == 0.5
