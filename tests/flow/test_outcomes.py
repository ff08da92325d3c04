"""How runs end, what is refused, and that the process is left as it was."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flow.problems import balanced, cone, exponential, frozen_outputs, make, outputs, slow_and_fast

from flowtheory import Clock, Outcome
from flowtheory.errors import DataError, ParameterError, UnknownNameError
from flowtheory.flow import (
    GradientFlow,
    Settings,
    TwoLayer,
    all_classified,
    log_times,
    loss_below,
    solve,
    spectrum,
)

FLOW, PARAMS, PATTERN = slow_and_fast(1e-3)


def run(**options: Any) -> Any:
    return solve(FLOW, PARAMS, options.pop("t_end", 10.0), pattern=PATTERN, **options)


def test_limits_are_outcomes() -> None:
    steps = run(settings=Settings(max_steps=7))
    assert steps.outcome is Outcome.STEP_LIMIT
    assert steps.statistics.accepted + steps.statistics.rejected == 7
    assert run(settings=Settings(max_switches=1)).outcome is Outcome.EVENT_LIMIT
    assert not steps.outcome.ok


def test_small_chunks_change_nothing() -> None:
    whole, pieces = run(), run(settings=Settings(chunk=3))
    assert pieces.statistics.stretches > 5 * whole.statistics.stretches
    np.testing.assert_array_equal(pieces["W"], whole["W"])
    np.testing.assert_array_equal(pieces.switches.time, whole.switches.time)


def test_duplicate_data_switch_together() -> None:
    x = np.array([[1.0, 0.0], [0.1, 0.995]])[[0, 1, 1, 1]]
    start = balanced(1e-4 * np.array([[0.0, -1.0]]))
    pattern = np.array([[True, False, False, False]])
    out = solve(make(x, np.ones(4)), start, 20.0, pattern=pattern, until=all_classified())
    assert out.outcome is Outcome.EVENT
    assert sorted(out.switches.datum) == [1, 2, 3]
    assert np.ptp(out.switches.time) < 1e-13


def cubic(y: Any, f: Any) -> Any:
    return -(y * f) - 50 * (y * f) ** 3


def test_blow_up_is_not_a_hang() -> None:
    flow = GradientFlow(frozen_outputs, outputs, cubic, FLOW.x, FLOW.y)
    out = solve(flow, balanced(np.eye(2)), 10.0)
    assert out.outcome in (Outcome.STIFF, Outcome.NONFINITE)
    assert out.t_end < 1
    assert np.all(np.isfinite(out.times))


def test_until_is_checked_at_the_start() -> None:
    for until in (loss_below(3.0), all_classified() | loss_below(5.0)):
        out = run(until=until)
        assert out.outcome is Outcome.EVENT
        assert out.t_end == 0.0
    assert run(until=all_classified() | loss_below(1e-9)).t_end == pytest.approx(2.99507, abs=1e-5)


def test_a_start_that_overflows() -> None:
    out = solve(make(FLOW.x, -FLOW.y), balanced(40 * np.eye(2)), 1.0)  # a loss of exp(1600)
    assert out.outcome is Outcome.NONFINITE


def test_a_dead_network_rests() -> None:
    start = balanced(-np.eye(2)[:, ::-1])
    out = solve(make(np.eye(2), np.ones(2)), start, 5.0)
    assert out.outcome is Outcome.REACHED_T
    np.testing.assert_array_equal(out.params.W, start.W)
    assert solve(make(np.eye(2), np.ones(2)), start, 5.0, until=all_classified()).t_end == 0


def test_progress_is_told() -> None:
    calls = []
    out = run(progress=lambda *args: calls.append(args), settings=Settings(chunk=1))
    assert calls[-1][0] == out.t_end
    assert calls[-1][1] == pytest.approx(np.log10(out.loss[-1]))
    assert calls[-1][2] is Outcome.REACHED_T
    assert all(call[2] is None for call in calls[:-1])


def test_trajectory_is_trimmed_labelled_and_read_only() -> None:
    times = np.array([1.0, 2.5, 7.0])
    out = run(times=times, observe=spectrum)
    assert out.times.tolist() == [0.0, 1.0, 2.5, 7.0, 10.0]
    assert set(out.observables) == {"loss", "spectral_norm_squared", "stable_rank"}
    assert all(value.dtype == np.float64 and len(value) == 5 for value in out.observables.values())
    assert out.params.W.dtype == np.float64
    assert out.last_switch_times()[1] == 0
    for array in (out.times, out.loss, out.params.W, out.pattern, out.switches.time):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(UnknownNameError, match="stable_rank"):
        out["stable_rnk"]
    with pytest.raises(UnknownNameError):
        out.saved_params()


def test_log_times() -> None:
    times = log_times(0.0, 100.0, per_decade=10, first=0.1)
    assert times[0] == 0
    assert times[-1] == 100
    assert len(times) == 32
    np.testing.assert_allclose(np.diff(np.log(times[1:])), np.log(10) / 10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"t_end": 0.0}, "from t = 0"),
        ({"t_end": np.nan}, "from t = 0"),
        ({"t_end": -np.inf}, "from t = 0"),
        ({"times": np.array([2.0, 1.0])}, "not increasing"),
        ({"times": np.array([1.0, 11.0])}, "span"),
        ({"settings": Settings(atol=1e-9)}, "swallows"),
        ({"settings": Settings(atol=-1.0)}, "atol"),
        ({"escape": 0.0}, "escape"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        run(**options)


@pytest.mark.parametrize(
    "bad",
    [{"rtol": 0.5}, {"rtol": 0.0}, {"method": "euler"}, {"max_steps": 0}, {"max_switches": 0}],
)
def test_bad_settings(bad: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Settings(**bad)


def test_without_a_final_time_a_run_goes_on_until_its_level() -> None:
    level = 1e-30  # an exponential loss falls like 1/t
    out = run(t_end=np.inf, until=loss_below(level))
    assert out.outcome is Outcome.EVENT
    assert out.loss[-1] == pytest.approx(level)
    longer = run(t_end=10 * out.t_end, until=loss_below(level))
    assert longer.outcome is Outcome.EVENT
    assert longer.t_end == pytest.approx(out.t_end, rel=1e-6)


def test_a_level_below_what_the_loss_can_be_is_never_said_to_be_reached() -> None:
    assert not run(t_end=np.inf, until=loss_below(1e-310)).outcome.ok


def test_bad_starts() -> None:
    with pytest.raises(DataError, match="shape"):
        solve(FLOW, TwoLayer(np.ones((2, 3)), np.ones(2)), 1.0)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="non-finite"):
        solve(FLOW, TwoLayer(np.full((2, 2), np.nan), np.ones(2)), 1.0)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="zero"):
        solve(FLOW, TwoLayer(np.zeros((2, 2)), np.zeros(2)), 1.0)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="pattern has shape"):
        solve(FLOW, PARAMS, 1.0, pattern=np.ones((2, 3), dtype=bool))
    with pytest.raises(ParameterError, match="other sign"):
        solve(FLOW, PARAMS, 1.0, pattern=~PATTERN)
    with pytest.raises(ParameterError, match="loss"):
        loss_below(0.0)
    with pytest.raises(ParameterError, match="first"):
        log_times(0.0, 1.0, first=2.0)


def test_bad_problems() -> None:
    functions = (frozen_outputs, outputs, exponential)
    with pytest.raises(DataError, match="shape"):
        GradientFlow(*functions, np.ones((3, 2)), np.ones(2))
    with pytest.raises(DataError, match="zero vector"):
        GradientFlow(*functions, np.array([[1.0, 0.0], [0.0, 0.0]]), np.ones(2))
    with pytest.raises(DataError, match="non-finite"):
        GradientFlow(*functions, np.array([[1.0, np.nan]]), np.ones(1))
    with pytest.raises(ParameterError, match="slope"):
        GradientFlow(*functions, np.ones((2, 2)), np.ones(2), Clock(slope=0.5))


ISOLATED = """
import json, sys
import numpy as np
import flowtheory.flow
early = "diffrax" in sys.modules
import jax
from flow.problems import slow_and_fast
flow, params, pattern = slow_and_fast(1e-3)
before = dict(jax.config.values)
run = flowtheory.flow.solve(flow, params, 4.0, pattern=pattern)
after = dict(jax.config.values)
print(json.dumps({
    "diffrax at import": early,
    "flags": [key for key in before if before[key] != after[key]],
    "default": str(jax.numpy.zeros(1).dtype),
    "dtypes": sorted({str(a.dtype) for a in (run.times, *run.params, *run.observables.values())}),
    "excess": (run.switches.time[0] - np.arccosh(10.0)) / 1e-6,
}))
"""


def test_a_process_with_default_jax_stays_in_float32_and_gets_float64() -> None:
    tests = str(Path(__file__).parents[1])
    out = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {tests!r})\n{ISOLATED}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert out.returncode == 0, out.stderr
    seen = json.loads(out.stdout)
    assert seen.pop("excess") == pytest.approx(1847, abs=1)  # float32 would be off by 1e5
    assert seen == {
        "diffrax at import": False,
        "flags": [],
        "default": "float32",
        "dtypes": ["float64"],
    }


def test_one_flow_serves_every_scale() -> None:
    flow, w0, signs = cone(0)
    times = [solve(flow, balanced(eps * w0, signs), 3.0).switches.time for eps in (1e-9, 1e-12)]
    np.testing.assert_allclose(times[0], times[1], rtol=1e-9)
