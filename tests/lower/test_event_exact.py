"""The event-exact start: against the full flow, against a lower hand-over, at any scale."""

from __future__ import annotations

import math

import numpy as np
import pytest

from flowtheory import Outcome
from flowtheory.errors import ParameterError
from flowtheory.exact import propagate
from flowtheory.flow import GradientFlow, Settings, TwoLayer, solve
from flowtheory.lower import event_exact_start, gradient_flow, solve_small_scale
from flowtheory.symbolic import leaky_relu

FINE = Settings(rtol=1e-11, method="tsit5")
EPS, END = 1e-6, 0.7


@pytest.fixture(scope="module")
def problem() -> tuple[GradientFlow, np.ndarray, np.ndarray]:
    """Random labels, n = 24, d = 8, h = 6: most neurons slide."""
    rng = np.random.default_rng(4)
    flow = gradient_flow(rng.normal(size=(24, 8)), rng.choice([-1.0, 1.0], 24))
    W = rng.normal(size=(6, 8))
    return flow, W, rng.choice([-1.0, 1.0], 6) * np.linalg.norm(W, axis=1)


def apart(a: TwoLayer, b: TwoLayer) -> float:
    """Largest difference of directions and log norms."""
    norms = [np.linalg.norm(p.W, axis=1) for p in (a, b)]
    turn = np.abs(np.asarray(a.W) / norms[0][:, None] - np.asarray(b.W) / norms[1][:, None])
    return float(max(np.max(turn), np.max(np.abs(np.log(norms[0] / norms[1])))))


def test_the_estimate_bounds_the_error_against_the_full_flow(
    problem: tuple[GradientFlow, np.ndarray, np.ndarray],
) -> None:
    flow, W, v = problem
    times = []
    for tolerance in (1e-4, 1e-6, 1e-8):
        early = event_exact_start(flow, W, v, END, log_scale=math.log(EPS), tolerance=tolerance)
        assert 0 < early.time < END
        assert early.error <= tolerance
        full = solve(flow, TwoLayer(EPS * W, EPS * v), early.time, settings=FINE)
        true = apart(full.params, early.params)
        assert true <= early.error + 1e-9
        # And not a bound by far: what is neglected acts during the last folds of the growth.
        assert early.error < 100 * true + 1e-8
        np.testing.assert_array_equal(full.pattern, early.pattern)
        np.testing.assert_array_equal(full.sliding, early.sliding)
        assert len(full.kinds) == early.events
        assert math.exp(early.log_output) == pytest.approx(
            np.abs(flow.predictions(early.params)).max(), rel=1e-9
        )
        times.append(early.time)
    assert times == sorted(times, reverse=True)


def test_two_hand_overs_and_the_full_flow_meet(
    problem: tuple[GradientFlow, np.ndarray, np.ndarray],
) -> None:
    flow, W, v = problem
    full = solve(flow, TwoLayer(EPS * W, EPS * v), END, settings=FINE)
    assert full.sliding.any()
    gaps = []
    for tolerance in (1e-5, 1e-7):
        run = solve_small_scale(
            flow, W, v, END, log_scale=math.log(EPS), tolerance=tolerance, settings=FINE
        )
        assert run.outcome is Outcome.REACHED_T
        assert run.rest is not None
        assert run.early.events + len(run.rest.kinds) == len(full.kinds)
        np.testing.assert_array_equal(run.rest.sliding, full.sliding)
        gaps.append(apart(run.rest.params, full.params))
        assert gaps[-1] < 30 * run.early.error
    # A lower hand-over is closer, in proportion to the outputs that were neglected.
    assert gaps[1] < gaps[0] / 10


def test_the_limit_of_small_scale(problem: tuple[GradientFlow, np.ndarray, np.ndarray]) -> None:
    flow, W, v = problem
    run = solve_small_scale(flow, W, v, END, log_scale=math.log(1e-300))
    assert run.rest is None
    assert run.outcome is Outcome.REACHED_T
    samples = propagate(flow.x, flow.y, W, v, times=[END]).samples
    np.testing.assert_array_equal(run.early.direction, samples.direction[:, 0])
    np.testing.assert_allclose(
        run.early.log_norm, samples.log_norm[:, 0] + math.log(1e-300), rtol=1e-15
    )
    assert run.early.error < 1e-12
    assert run.early.log_output == pytest.approx(-1380, abs=30)
    W_end = np.asarray(run.early.params.W)
    assert np.all(np.abs(W_end).max(axis=1) > 0)
    # What is neglected is of second order in eps.
    ends = [
        event_exact_start(flow, W, v, 0.2, log_scale=math.log(eps), tolerance=1.0).error
        for eps in (1e-5, 1e-6)
    ]
    assert ends[0] / ends[1] == pytest.approx(100, rel=1e-3)


def test_from_eps_1e300_to_training(problem: tuple[GradientFlow, np.ndarray, np.ndarray]) -> None:
    """The full flow takes over at a time of about 690 / rate, and the loss falls."""
    flow, W, v = problem
    horizon = 65.0
    run = solve_small_scale(flow, W, v, horizon, log_scale=math.log(1e-300), settings=FINE)
    assert run.rest is not None
    assert run.outcome is Outcome.REACHED_T
    assert 5 < run.early.time < horizon
    assert run.rest.loss[-1] < 0.9 * run.rest.loss[0]
    W_end, v_end = map(np.asarray, run.rest.saved_params())
    gap = v_end**2 - np.sum(W_end**2, axis=2)
    assert np.abs(gap).max() < 1e-8 * np.max(v_end**2)


def test_when_the_full_flow_starts_at_once(
    problem: tuple[GradientFlow, np.ndarray, np.ndarray],
) -> None:
    flow, W, v = problem
    early = event_exact_start(flow, W, v, END)
    assert early.time == 0
    assert "not negligible" in early.reason
    np.testing.assert_allclose(early.params.W, W, rtol=1e-14)
    np.testing.assert_array_equal(early.pattern, W @ flow.x.T > 0)
    leaky = gradient_flow(flow.x, flow.y, activation=leaky_relu(0.1))  # type: ignore[arg-type]
    refused = event_exact_start(leaky, W, v, END, log_scale=-20.0)
    assert refused.time == 0
    assert "slopes 0.1 and 1" in refused.reason
    with pytest.raises(ParameterError, match="tolerance"):
        event_exact_start(flow, W, v, END, tolerance=0.0)
