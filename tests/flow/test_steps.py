"""The cheap mode against the exact mode: order through kinks, error bars, sliding."""

from __future__ import annotations

import math

import numpy as np
import pytest
from flow.problems import balanced, cone, make

from flowtheory import Outcome
from flowtheory.errors import ParameterError
from flowtheory.flow import Settings, solve, solve_steps, weights_and_spectrum

TIMES = np.linspace(0.5, 8, 16)
CONSTANTS = 2.0 ** -np.arange(1, 8)
PROBLEMS = [(seed, (1e-2, 1e-4)[seed % 2]) for seed in range(8)]
NAMES = ("loss", "stable_rank", "spectral_norm_squared", "v")


@pytest.fixture(scope="module")
def errors() -> dict[str, np.ndarray]:
    """True error and error bar by (problem, c, time) of every observable; exact runs at 1e-12."""
    found: dict[str, list] = {name: [] for name in NAMES}
    for seed, eps in PROBLEMS:
        flow, w0, signs = cone(seed)
        start = balanced(eps * w0, signs)
        exact = solve(
            flow,
            start,
            TIMES[-1],
            times=TIMES,
            observe=weights_and_spectrum,
            settings=Settings(rtol=1e-12),
        )
        assert len(exact.switches.time) >= 3
        for c in CONSTANTS:
            run = solve_steps(
                flow, start, TIMES[-1], c=c, times=TIMES, observe=weights_and_spectrum
            )
            assert run.outcome is Outcome.REACHED_T
            assert run.times.tolist() == exact.times.tolist()
            for name in NAMES:
                pair = np.stack([np.abs(run[name] - exact[name]), run.errors[name]])
                found[name].append(pair[:, 1:].reshape(2, len(TIMES), -1))
    shape = (len(PROBLEMS), len(CONSTANTS), 2, len(TIMES), -1)
    return {name: np.array(rows).reshape(shape) for name, rows in found.items()}


def test_second_order_through_kinks(errors: dict[str, np.ndarray]) -> None:
    end = np.linalg.norm(errors["v"][:, :, 0, -1], axis=2)
    # The median over problems: two switches of a neuron closer than a step delay the asymptotics.
    order = np.polyfit(np.log(CONSTANTS), np.log(np.median(end, axis=0)), 1)[0]
    assert abs(order - 2) < 0.2
    # From c = 1/2 to 1/128 a first-order method gains 64.
    assert np.mean(end[:, -1] < end[:, 0] / 512) >= 0.75


@pytest.mark.parametrize(("name", "covered"), [(n, 0.9) for n in NAMES])
def test_error_bars_cover(errors: dict[str, np.ndarray], name: str, covered: float) -> None:
    true, bar = errors[name][:, :, 0], errors[name][:, :, 1]
    assert np.mean(true <= bar + 1e-13 * np.abs(true).max()) > covered
    # And they say something: not more than 20 times too wide in the median.
    assert np.median(bar / np.maximum(true, 1e-300)) < 20


def test_sliding_on_general_data() -> None:
    r"""One neuron slides along $x_2^\perp$: Filippov's field is $e_1$, growth rate 1."""
    flow = make(np.array([[1.0, 0.5], [0.0, 1.0]]), np.array([1.0, -1.0]))
    start = balanced(1e-7 * np.array([[1.0, 0.3]]))
    times = np.linspace(1, 6, 6)
    run = solve_steps(flow, start, 6.0, c=0.05, times=times, observe=weights_and_spectrum)
    W = run["W"][:, 0]
    assert np.all(np.abs(W[2:, 1] / W[2:, 0]) < 0.05 / 2)
    growth = np.diff(np.log(run["v"][2:, 0]))
    np.testing.assert_allclose(growth, 1.0, atol=2e-3)


def test_dead_neurons_and_inner_data_are_exact() -> None:
    flow, w0, signs = cone(0)
    w0 = w0.copy()
    w0[1] = -np.linalg.pinv(flow.x) @ np.ones(4)
    run = solve_steps(flow, balanced(1e-3 * w0, signs), 4.0, observe=weights_and_spectrum)
    assert len(np.unique(run["W"][:, 1], axis=0)) == 1
    assert not run.pattern[1].any()
    np.testing.assert_array_equal(run.errors["loss"][0], 0)


def test_escape_to_one_step() -> None:
    flow, w0, signs = cone(0)
    start = balanced(1e-3 * w0, signs)
    exact = solve(flow, start, 8.0)
    run = solve_steps(flow, start, 8.0, c=0.05)
    assert exact.escape_time < run.escape_time < exact.escape_time + 0.02
    assert math.isinf(solve_steps(flow, start, 0.1).escape_time)


def test_budget_and_options() -> None:
    flow, w0, signs = cone(0)
    start = balanced(1e-3 * w0, signs)
    short = solve_steps(flow, start, 8.0, max_steps=30)
    assert short.outcome is Outcome.STEP_LIMIT
    assert len(short.times) == len(short.loss) >= 2
    with pytest.raises(ParameterError, match="step constant"):
        solve_steps(flow, start, 8.0, c=0.0)
    # exp(1800) is not a float.
    far = solve_steps(make(flow.x, -np.ones(4)), balanced(np.tile(30 * flow.x[:1], (6, 1))), 1.0)
    assert far.outcome is Outcome.NONFINITE
