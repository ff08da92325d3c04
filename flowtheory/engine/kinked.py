r"""Kinked two-layer networks: event-exact start, located switches and slides, or the cheap mode.

What is used is decided here and recorded as stages of the run:

1. while all outputs are negligible, event-exact propagation in closed form (ReLU);
2. then either the full flow with every switch located and crossed or slid along, or midpoint
   steps through the kinks with measured error bars, as `flowtheory.flow.choose` says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from flowtheory.engine.early import Carried, carried, pace
from flowtheory.engine.join import rows_of
from flowtheory.engine.plateau import largest_entry
from flowtheory.errors import ParameterError
from flowtheory.flow import (
    Checks,
    GradientFlow,
    KinkedTrajectory,
    Run,
    Settings,
    Stage,
    TwoLayer,
    Until,
    choose,
    solve,
    solve_steps,
)
from flowtheory.flow.descend import coarser, count_rises
from flowtheory.flow.keeping import RUN, SECOND
from flowtheory.flow.kinked import stand
from flowtheory.flow.position import Keeper
from flowtheory.flow.recorder import Progress
from flowtheory.flow.smooth import Functions, SmoothFlow
from flowtheory.flow.trajectory import Trajectory
from flowtheory.flow.until import NEVER, norm
from flowtheory.lower import early_states, gradient_flow
from flowtheory.outcome import Outcome
from flowtheory.precision import float64
from flowtheory.symbolic.network import Network

_ROUNDING = 1e-15  # two runs whose steps are set by the events are equal to the bit
_LEAST = 0.1
_ROWS = 24

Rows = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Wanted:
    """What a run is wanted for, as in `GradientFlow.solve`."""

    t_end: float
    t_start: float
    until: Until
    watch: Until
    times: Float[np.ndarray, " k"] | None
    settings: Settings
    estimate: bool
    log_time: bool
    skip: bool
    progress: Progress | None


def is_located(network: Network) -> bool:
    """Whether the kinks of a network can be located: one layer of them, weights W and v."""
    names = tuple(map(str, network.bases))
    return names == ("W", "v") and len(network.surfaces) == 1 and len(network.axes) == 1


def solve_kinked(
    flow: GradientFlow,
    smooth: SmoothFlow,
    saved: Rows,
    params: Any,
    wanted: Wanted,
    keeper: Keeper | None = None,
) -> Run:
    """One run of a kinked two-layer network.

    Args:
        flow: the flow as the kinked drivers take it.
        smooth: the same network and data, for events, observables and conserved quantities.
        saved: (params, data) -> what to save.
        params: W and v by name.
        wanted: what is wanted for.
        keeper: writes the run and that of its error estimate down as they go.

    Raises:
        ParameterError: No place to stop.
    """
    _require(wanted)
    start = TwoLayer(params["W"], params["v"])
    first = _carried(flow, smooth, start, wanted)
    observed = _observe(smooth.functions, saved, start)
    end, why = _rest(flow, observed, start, first, wanted, keeper, RUN)
    error = _bar(end)
    ended = first is not None and first.ended
    if wanted.estimate and end.outcome.ok and not end.errors and not ended:
        coarse = _coarse(wanted, end)
        # With the start of the first run the second one would have its error too.
        other = first and _carried(flow, smooth, start, replace(coarse, times=None))
        again, _ = _rest(flow, _nothing, start, other, coarse, keeper, SECOND)
        error = _difference(end, again, wanted.settings.rtol)
    run = _finished(flow, end, why, wanted, error)
    return run if first is None else _with_start(flow, smooth, saved, start, first, run)


def _coarse(wanted: Wanted, end: Trajectory) -> Wanted:
    """What the second run is wanted for; an event may come later in it than the final time."""
    settings = replace(wanted.settings, rtol=coarser(wanted.settings.rtol), atol=None)
    t_end = math.inf if end.outcome is Outcome.EVENT else wanted.t_end
    more: dict[str, Any] = {"times": _halves(end), "watch": NEVER, "progress": None}
    return replace(wanted, settings=settings, t_end=t_end, **more)


def kinked_flow(network: Network, loss: Any, reduction: Any, data: Any) -> GradientFlow:
    """The flow as the kinked drivers take it."""
    sigma = network.activation or "relu"
    return gradient_flow(data["x"], data["y"], loss=loss, activation=sigma, reduction=reduction)


def _carried(
    flow: GradientFlow, smooth: SmoothFlow, start: TwoLayer, wanted: Wanted
) -> Carried | None:
    """The event-exact start; None where it is not wanted."""
    if not wanted.skip or wanted.t_start > 0 or wanted.log_time or wanted.times is not None:
        return None
    events = wanted.until, wanted.watch
    return carried(flow, smooth, start, wanted.t_end, wanted.settings.rtol, *events)


def _rest(
    flow: GradientFlow,
    observe: Any,
    start: TwoLayer,
    first: Carried | None,
    wanted: Wanted,
    keeper: Keeper | None,
    part: str,
) -> tuple[Trajectory, str]:
    """The full flow from the hand-over on, and why it is integrated as it is."""
    params, t_start, times = start, wanted.t_start, wanted.times
    sides: dict[str, Any] = {}
    signs = None
    if first is not None:
        early = first.early
        params, t_start, signs = early.params, early.time, first.signs
        sides = {"pattern": early.pattern, "sliding": early.sliding}
        times = None if times is None else times[times > t_start]
        if first.ended or early.time >= wanted.t_end:
            outcome = Outcome.EVENT if first.ended else Outcome.REACHED_T
            more = {**sides, "observe": observe, "settings": wanted.settings}
            return stand(flow, params, t_start, outcome, **more), "the whole run is in closed form"
    choice = choose(len(start.v), flow.n, wanted.settings.rtol)
    options: dict[str, Any] = {"times": times, "observe": observe}
    options |= {"progress": wanted.progress, "keeper": keeper}
    if choice.c is not None and first is None and _is_plain(wanted):
        return solve_steps(flow, start, wanted.t_end, c=choice.c, **options), choice.reason
    found = solve(
        flow,
        params,
        wanted.t_end,
        **sides,
        t_start=t_start,
        until=wanted.until,
        watch=wanted.watch,
        signs=signs,
        log_time=wanted.log_time,
        settings=wanted.settings,
        **options,
        part=part,
    )
    return found, choice.reason


def _is_plain(wanted: Wanted) -> bool:
    """Whether the cheap mode can do it: from 0 to a final time, without an event."""
    quiet = wanted.until == wanted.watch == NEVER
    return math.isfinite(wanted.t_end) and quiet and wanted.t_start == 0


def _halves(run: Trajectory) -> Float[np.ndarray, " k"]:
    """Times between those at which a run stopped: where events set the steps, tolerance does not.

    With the steps of the first run the second one would have its errors too.
    """
    stops = np.unique(np.append(run.times, run.switches.time))
    return np.unique((stops[1:] + stops[:-1]) / 2)


def _observe(functions: Functions, saved: Rows, start: TwoLayer) -> Any:
    """What the kinked drivers save: the wanted rows, the norm, and the drift of what is kept."""
    with float64():
        kept = functions.conserved({"W": jnp.asarray(start.W), "v": jnp.asarray(start.v)})
        first = {name: np.asarray(value) for name, value in kept.items()}

    def rows(params: TwoLayer, x: Any, y: Any) -> dict[str, Any]:
        by_name = {"W": params.W, "v": params.v}
        size = norm(by_name)
        now = functions.conserved(by_name)
        drifts = {f"{_DRIFT}{k}": jnp.max(jnp.abs(now[k] - first[k])) / size / size for k in first}
        return {**saved(by_name, {"x": x, "y": y}), "norm": size, **drifts}

    return rows


_DRIFT = "drift of "


def _nothing(params: TwoLayer, x: Any, y: Any) -> dict[str, Any]:
    return {}


def _difference(one: Trajectory, other: Trajectory, rtol: float) -> float:
    """Of the times of an event, or of the final states in units of their norm.

    inf where the runs end differently: no digit of what is asked for is known to be right. Two runs
    may agree by accident: never less than `_LEAST` of the tolerance.
    """
    if one.outcome is not other.outcome:
        return math.inf
    least = max(_LEAST * rtol, _ROUNDING)
    if one.outcome is Outcome.EVENT:
        return max(abs(one.t_end - other.t_end), least * one.t_end)
    a, b = (np.concatenate([np.ravel(p) for p in run.params]) for run in (one, other))
    size = float(np.linalg.norm(a))
    return max(float(np.linalg.norm(a - b)) / size, least) if size > 0 else 0.0


def _bar(run: Trajectory) -> float:
    """The cheap mode's error bar of the norm at the end, relative."""
    if "norm" not in run.errors:
        return math.nan
    return float(run.errors["norm"][-1] / run["norm"][-1])


def _finished(flow: GradientFlow, end: Trajectory, why: str, wanted: Wanted, error: float) -> Run:
    columns, first = dict(end.observables), float(end.times[0])
    drifts = {n.removeprefix(_DRIFT): columns.pop(n) for n in list(columns) if n.startswith(_DRIFT)}
    evaluations = end.statistics.evaluations
    stages = (Stage(end.method, first, end.t_end, evaluations, 0.0, why),)
    rises = count_rises(columns["loss"])
    return Run(
        times=end.times,
        observables=columns,
        params={"W": end.params.W, "v": end.params.v},
        outcome=end.outcome,
        events=end.events if isinstance(end, KinkedTrajectory) else (),
        error_estimate=error,
        blow_up_time=math.inf,
        stages=stages if evaluations else (),
        checks=Checks(math.nan, rises, {n: float(np.max(v)) for n, v in drifts.items()}),
        clock=flow.clock,
        rtol=wanted.settings.rtol,
        atol=end.atol,
        statistics=end.statistics,
    )


def _with_start(
    flow: GradientFlow,
    smooth: SmoothFlow,
    saved: Rows,
    start: TwoLayer,
    first: Carried,
    run: Run,
) -> Run:
    """`run` with the rows, the events, the stage and the error of the event-exact start."""
    early = first.early
    times, size = np.linspace(0.0, early.time, _ROWS, endpoint=False), largest_entry(start)
    scale = {"log_scale": math.log(size)}
    states = early_states(flow, start.W / size, start.v / size, times, **scale)  # type: ignore[arg-type]
    by_name = [{"W": s.W, "v": s.v} for s in states]
    before = rows_of(smooth.functions, saved, by_name, smooth.data)
    rows = {name: np.concatenate([before[name], run[name]]) for name in run.observables}
    met, late = run.outcome is Outcome.EVENT, first.late
    if not first.ended:
        late = early.error / pace(flow, early) if met else early.error
    return replace(
        run,
        times=np.concatenate([times, run.times]),
        observables=rows,
        events=(*first.happened, *run.events),
        error_estimate=late if first.ended else run.error_estimate + late,
        stages=(Stage("event-exact", 0.0, early.time, 0, late, early.reason), *run.stages),
    )


def _require(wanted: Wanted) -> None:
    if math.isinf(wanted.t_end) and not wanted.until.events and not wanted.until.classified:
        raise ParameterError(
            "the run has neither a final time nor an event to end it",
            expected="t_end, or until=..., or both",
            fix="until=ft.loss_below(...), or t_end=100.0",
        )
