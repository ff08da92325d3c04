r"""Known traps of adaptive integration, each as a case that ends well here.

The flows are gradient flows of one or two numbers with closed forms: $\dot x = x^2$ from
$L = -x^3/3$, the diagonal networks $L = (y - w^D)^2/2$ from 1e-8, a clock $\dot x = 1$.
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from flowtheory import Outcome
from flowtheory.errors import DataError, ParameterError
from flowtheory.flow import (
    Functions,
    Settings,
    SmoothFlow,
    Snapshot,
    descend,
    event,
    loss_below,
    norm_above,
)


def zero_outputs(params: Any, data: Any) -> Any:
    return jnp.zeros(1)


def cubic(params: Any, data: Any) -> Any:
    return -(params["x"] ** 3) / 3


def clock(params: Any, data: Any) -> Any:
    return -params["x"]


def two_layers(params: Any, data: Any) -> Any:
    return (1 - params["w"] ** 2) ** 2 / 2


def three_layers(params: Any, data: Any) -> Any:
    return (1 - params["w"] ** 3) ** 2 / 2


def saddle(params: Any, data: Any) -> Any:
    return (params["x"] ** 2 - params["y"] ** 2) / 2 + params["y"] ** 4 / 4


def bowl(params: Any, data: Any) -> Any:
    return 1 + (params["x"] ** 2 + 3 * params["y"] ** 2) / 2


def undefined(params: Any, data: Any) -> Any:
    return jnp.sqrt(1 - params["x"])


def flow(energy: Any) -> SmoothFlow:
    return SmoothFlow(Functions(energy, zero_outputs), {})


def at(**values: float) -> dict[str, np.ndarray]:
    return {name: np.array(value) for name, value in values.items()}


def test_1_2_3_a_blow_up_is_named_and_timed() -> None:
    # Constant steps give a silent NaN here, adaptive ones stop past the singularity or never.
    run = descend(flow(cubic), at(x=1.0), 2.0)
    assert run.outcome is Outcome.BLEW_UP
    assert run.blow_up_time == pytest.approx(1.0, abs=1e-9)
    assert run.t_end < 1.0
    assert run.statistics.rejected < run.statistics.accepted
    assert np.all(np.isfinite(run.loss))


def test_4_no_step_limit_is_spent_in_silence() -> None:
    short = descend(flow(cubic), at(x=1.0), 2.0, settings=Settings(rtol=1e-8, max_steps=9))
    assert short.outcome is Outcome.STEP_LIMIT
    assert not short.outcome.ok
    assert np.isfinite(short.params["x"])
    edge = descend(flow(undefined), at(x=0.5), 5.0)
    assert edge.outcome in (Outcome.STIFF, Outcome.NONFINITE)
    assert edge.params["x"] < 1


@pytest.mark.parametrize("level", [1e2, 1e6])
def test_5_6_a_norm_is_landed_on_and_the_blow_up_extrapolated(level: float) -> None:
    run = descend(flow(cubic), at(x=1.0), until=norm_above(level), settings=Settings(rtol=1e-12))
    assert run.outcome is (Outcome.EVENT if level < 1e4 else Outcome.BLEW_UP)
    if run.outcome is Outcome.EVENT:
        assert run.t_end == pytest.approx(1 - 1 / level, abs=1e-12)
        assert run.params["x"] == pytest.approx(level, rel=1e-12)
    else:
        assert run.blow_up_time == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("layers", [2, 3])
def test_8_9_tolerances_follow_the_initialization(layers: int) -> None:
    # w' = D w^{D-1} (1 - w^D): time from 1e-8 to 1/2 by quadrature in ln w.
    w0, energy = 1e-8, (two_layers, three_layers)[layers - 2]
    exact, _ = quad(
        lambda u: math.exp((2 - layers) * u) / (layers * (1 - math.exp(layers * u))),
        math.log(w0),
        math.log(0.5),
        epsabs=0,
        epsrel=1e-13,
        limit=500,
    )
    level = (1 - 0.5**layers) ** 2 / 2
    run = descend(flow(energy), at(w=w0), until=loss_below(level))
    assert run.t_end == pytest.approx(exact, rel=1e-8)
    assert abs(run.t_end - exact) <= run.error_estimate
    assert run.statistics.accepted < 500
    with pytest.raises(ParameterError, match="swallows the initialization"):
        descend(flow(energy), at(w=w0), 1.0, settings=Settings(rtol=1e-6, atol=1e-9))


def near_double(snap: Snapshot) -> Any:
    return (snap.params["x"] - 1.0) * (snap.params["x"] - 1.05)


def test_12_both_crossings_inside_one_step_are_found_and_directions_told_apart() -> None:
    loose = Settings(rtol=1e-2)
    run = descend(flow(clock), at(x=0.1), 3.0, watch=event(near_double), settings=loose)
    assert [e.time for e in run.events] == pytest.approx([0.9, 0.95], abs=1e-13)
    assert [e.rising for e in run.events] == [False, True]
    for direction, time in ((-1, 0.9), (1, 0.95)):
        stopped = descend(
            flow(clock), at(x=0.1), 3.0, until=event(near_double, direction), settings=loose
        )
        assert stopped.outcome is Outcome.EVENT
        assert stopped.t_end == pytest.approx(time, abs=1e-13)


def at_one(snap: Snapshot) -> Any:
    return snap.params["x"] - 1.0


def also_at_one(snap: Snapshot) -> Any:
    return jnp.exp(snap.params["x"]) - jnp.exp(1.0)


def test_several_events_at_once_and_on_after_them() -> None:
    both = event(at_one) | event(also_at_one)
    run = descend(flow(clock), at(x=0.1), 2.0, watch=both)
    assert run.outcome is Outcome.REACHED_T
    assert sorted(e.name for e in run.events) == ["also_at_one", "at_one"]
    assert [e.time for e in run.events] == pytest.approx([0.9, 0.9], abs=1e-13)
    assert run.params["x"] == pytest.approx(2.1, rel=1e-14)


def test_15_a_run_in_two_parts_is_the_run_within_tolerance() -> None:
    first = descend(flow(two_layers), at(w=1e-3), 2.0)
    second = descend(flow(two_layers), first.params, 6.0, t_start=first.t_end)
    whole = descend(flow(two_layers), at(w=1e-3), 6.0)
    assert second.params["w"] == pytest.approx(whole.params["w"], rel=1e-9)
    exact = 1 / math.sqrt(1 + (1e6 - 1) * math.exp(-24.0))
    assert whole.params["w"] == pytest.approx(exact, rel=1e-8)


def test_16_single_precision_arrays_are_computed_in_double() -> None:
    start = {"w": np.float32(1e-3)}
    run = descend(flow(two_layers), start, until=loss_below(0.25))
    assert run.params["w"].dtype == np.float64
    assert run.outcome is Outcome.EVENT


def test_a_start_on_the_stable_manifold_stalls_and_a_minimum_is_told_apart() -> None:
    stuck = descend(flow(saddle), at(x=1.0, y=0.0), until=_below)
    assert stuck.outcome is Outcome.STALLED
    assert not stuck.outcome.ok
    rest = descend(flow(bowl), at(x=1.0, y=0.5), until=loss_below(0.5))
    assert rest.outcome is Outcome.CONVERGED
    assert not rest.outcome.ok
    leaves = descend(flow(saddle), at(x=1.0, y=1e-200), until=norm_above(2.0) | _below)
    assert leaves.outcome is Outcome.EVENT


def below(snap: Snapshot) -> Any:
    return snap.loss + 0.1


_below = event(below, -1)


def test_an_event_that_cannot_happen_ends_by_the_clock_on_the_wall() -> None:
    settings = Settings(rtol=1e-8, time_limit=0.0)
    run = descend(flow(two_layers), at(w=1e-3), until=loss_below(1e-30), settings=settings)
    assert run.outcome is Outcome.TIME_LIMIT
    assert math.isnan(run.error_estimate) or run.error_estimate == 0


def test_a_run_that_has_happened_before_it_begins() -> None:
    run = descend(flow(two_layers), at(w=0.9), until=loss_below(0.4))
    assert run.outcome is Outcome.EVENT
    assert run.t_end == 0.0
    assert run.events[0].time == 0.0


def test_what_is_refused() -> None:
    with pytest.raises(ParameterError, match="neither a final time nor an event"):
        descend(flow(two_layers), at(w=1e-3))
    with pytest.raises(ParameterError):
        descend(flow(two_layers), at(w=1e-3), -1.0)
    with pytest.raises(DataError, match="zero"):
        descend(flow(two_layers), at(w=0.0), 1.0)
    with pytest.raises(DataError, match="non-finite"):
        descend(flow(two_layers), at(w=math.nan), 1.0)
    with pytest.raises(ParameterError, match="direction"):
        event(at_one, 2)  # type: ignore[arg-type]
