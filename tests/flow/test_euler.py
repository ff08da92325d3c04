"""Gradient descent against a plain loop, and its limit of small steps against the flow."""

from __future__ import annotations

import math

import numpy as np
import pytest

import flowtheory as ft
from flowtheory.errors import DataError, ParameterError
from flowtheory.outcome import Outcome
from flowtheory.symbolic import deep_linear


@pytest.fixture(scope="module")
def mode():
    """One mode of two layers: w <- w + eta w (1 - w^2) from equal gains."""
    return ft.GradientFlow(deep_linear(2, output="scalar"), "half_square", x=[[1.0]], y=[1.0])


def start(flow, scale):
    return {name: np.full_like(value, scale) for name, value in flow.init(width=1).items()}


def test_the_steps_of_a_plain_loop(mode):
    w, steps = 1e-3, 0
    while 0.5 * (1 - w * w) ** 2 > 0.25:
        w, steps = w + 0.1 * w * (1 - w * w), steps + 1
    found = mode.gradient_descent(start(mode, 1e-3), 0.1, loss=0.25)
    assert found.outcome is Outcome.EVENT
    assert found.steps == steps
    assert np.ravel(found.params[next(iter(found.params))])[0] == pytest.approx(w, rel=1e-13)
    assert (steps - 1) * 0.1 <= found.time <= steps * 0.1


def test_the_time_of_a_plateau_is_that_of_its_factor(mode):
    # On the plateau w grows by 1.1 a step: 1e-30 instead of 1e-10 costs ln(1e20)/ln(1.1) steps.
    times = [mode.gradient_descent(start(mode, s), 0.1, loss=0.45).time for s in (1e-10, 1e-30)]
    assert times[1] - times[0] == pytest.approx(0.1 * 20 * math.log(10) / math.log(1.1), abs=2e-3)


def test_small_steps_follow_the_flow(mode):
    exact = 0.5 * math.log((1 - 1e-4) / 1e-4)  # w^2 from 1e-4 to 1/2 at the rate 2 w^2 (1 - w^2)
    errors = [
        mode.gradient_descent(start(mode, 1e-2), step, loss=0.125).time - exact
        for step in (0.02, 0.01)
    ]
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.02)
    assert 0 < errors[1] < 0.05


def test_ends_are_named(mode):
    few = mode.gradient_descent(start(mode, 1e-3), 0.1, loss=0.25, max_steps=7)
    assert (few.outcome, few.steps) == (Outcome.STEP_LIMIT, 7)
    far = mode.gradient_descent(start(mode, 2.0), 5.0, loss=0.25)
    assert far.outcome is Outcome.NONFINITE


def test_what_makes_no_sense_is_refused(mode):
    with pytest.raises(ParameterError, match="step is -1"):
        mode.gradient_descent(start(mode, 1e-3), -1, loss=0.25)
    with pytest.raises(ParameterError, match="below the start"):
        mode.gradient_descent(start(mode, 1e-3), 0.1, loss=0.9)
    with pytest.raises(DataError):
        mode.gradient_descent({"nothing": np.ones(1)}, 0.1, loss=0.25)
