"""A measurement holds a value in its interval, or nothing but a lower end."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowtheory.errors import ParameterError
from flowtheory.measure import Measurement


def test_exact_and_cut():
    exact = Measurement.exact(2.5, "rank")
    assert (exact.low, exact.high, exact.error, exact.level) == (2.5, 2.5, 0.0, 1.0)
    cut = Measurement.above(7.0, "T", "time", "the run ended")
    assert cut.cut
    assert math.isnan(cut.value)
    assert cut.error == math.inf
    assert cut.contains(1e300)
    assert not cut.contains(6.9)
    assert (str(exact), str(cut)) == ("2.5", "> 7 (time)")


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9), st.floats(0, 1e9))
def test_the_error_covers_the_interval(value, below, above):
    m = Measurement(value, value - below, value + above, "x")
    assert value - m.error <= m.low <= m.high <= value + m.error
    assert m.error in (value - m.low, m.high - value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": 1.0, "low": 2.0, "high": 3.0},
        {"value": math.nan, "low": 0.0, "high": 1.0},
        {"value": math.inf, "low": 0.0, "high": math.inf},
        {"value": 1.0, "low": 0.0, "high": math.inf, "cut": True},
        {"value": math.nan, "low": 0.0, "high": 1.0, "cut": True},
        {"value": math.nan, "low": math.nan, "high": math.inf, "cut": True},
        {"value": 1.0, "low": 0.0, "high": 2.0, "level": 0.0},
    ],
)
def test_what_is_no_measurement(wrong):
    with pytest.raises(ParameterError):
        Measurement(definition="x", **wrong)


def test_json_has_no_nan():
    cut = Measurement.above(7.0, "T", "time").as_dict()
    assert json.loads(json.dumps(cut, allow_nan=False)) == cut
    assert (cut["value"], cut["low"], cut["high"], cut["cut"]) == (None, 7.0, None, True)
