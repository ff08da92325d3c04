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

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from flowtheory.engine.join import rows_of
from flowtheory.engine.plateau import largest_entry
from flowtheory.errors import ParameterError
from flowtheory.flow import (
    Checks,
    GradientFlow,
    Happened,
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
from flowtheory.flow.recorder import Progress
from flowtheory.flow.smooth import Functions
from flowtheory.flow.trajectory import Statistics, Trajectory
from flowtheory.flow.until import norm
from flowtheory.lower import early_states, event_exact_start, gradient_flow
from flowtheory.lower.event_exact import EarlyFlow
from flowtheory.outcome import Outcome
from flowtheory.precision import float64
from flowtheory.symbolic.network import Network

_LONGEST = 1e9
_FIRST_HORIZON, _FURTHER = 8.0, 2.0
_AHEAD = 1e3  # of the time so far: at rest is what does not get there in this time
_RELATIVE = 1e-12
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
    flow: GradientFlow, functions: Functions, saved: Rows, params: Any, wanted: Wanted
) -> Run:
    """One run of a kinked two-layer network.

    Args:
        flow: the flow as the kinked drivers take it.
        functions: the same network, for observables and conserved quantities.
        saved: (params, data) -> what to save.
        params: W and v by name.
        wanted: what is wanted for.

    Raises:
        ParameterError: An event other than a level of the loss, or no place to stop.
    """
    _require(wanted)
    start = TwoLayer(params["W"], params["v"])
    early = _early(flow, start, wanted)
    parts, pieces = _rest(flow, _observe(functions, saved, start), start, early, wanted)
    end = parts[-1]
    if wanted.estimate and end.outcome.ok and not end.errors:
        coarse = _coarse(wanted, parts)
        # With the start of the first run the second one would have its error too.
        other = None if early is None else _early(flow, start, replace(coarse, times=None))
        again, _ = _rest(flow, _nothing, start, other, coarse)
        error = _difference(end, again[-1], wanted.settings.rtol)
    else:
        error = _bar(end)
    run = _joined(flow, parts, pieces, wanted, error)
    return run if early is None else _with_start(flow, functions, saved, start, early, run)


def _coarse(wanted: Wanted, parts: list[Trajectory]) -> Wanted:
    """What the second run is wanted for; an event may come later in it than the final time."""
    settings = replace(wanted.settings, rtol=coarser(wanted.settings.rtol), atol=None)
    t_end = math.inf if parts[-1].outcome is Outcome.EVENT else wanted.t_end
    return replace(wanted, settings=settings, t_end=t_end, times=_halves(parts), progress=None)


def kinked_flow(network: Network, loss: Any, reduction: Any, data: Any) -> GradientFlow:
    """The flow as the kinked drivers take it."""
    sigma = network.activation or "relu"
    return gradient_flow(data["x"], data["y"], loss=loss, activation=sigma, reduction=reduction)


def _early(flow: GradientFlow, start: TwoLayer, wanted: Wanted) -> EarlyFlow | None:
    """The event-exact start; None where it is not wanted."""
    if not wanted.skip or wanted.t_start > 0 or wanted.log_time or wanted.times is not None:
        return None
    tolerance, size = max(wanted.settings.rtol, _RELATIVE), largest_entry(start)
    W, v = start.W / size, start.v / size
    horizon = wanted.t_end if math.isfinite(wanted.t_end) else _first_horizon(flow, start)
    while True:
        options = {"log_scale": math.log(size), "tolerance": tolerance}
        early = event_exact_start(flow, W, v, horizon, **options)  # type: ignore[arg-type]
        if early.time < horizon or math.isfinite(wanted.t_end) or horizon > _LONGEST:
            return early if early.time > 0 else None
        horizon *= _FURTHER


def _first_horizon(flow: GradientFlow, start: TwoLayer) -> float:
    """A time in which a small start grows to order one, at the largest rate there can be."""
    weight = float(flow.samples.weight)
    rate = weight * float(np.sum(np.linalg.norm(flow.x, axis=1) * np.abs(flow.y)))
    return (_FIRST_HORIZON + max(0.0, -math.log(largest_entry(start)))) / max(rate, 1e-300)


def _rest(
    flow: GradientFlow, observe: Any, start: TwoLayer, early: EarlyFlow | None, wanted: Wanted
) -> tuple[list[Trajectory], list[str]]:
    """The full flow from the hand-over on, in as many parts as it takes to meet an event."""
    at: Any = {"params": start, "t": wanted.t_start, "pattern": None, "sliding": None}
    if early is not None:
        at = {"params": early.params, "t": early.time}
        at |= {"pattern": early.pattern, "sliding": early.sliding}
        if early.time >= wanted.t_end:
            return [_stop(flow, observe, early)], ["the whole run is in closed form"]
    choice = choose(len(start.v), flow.n, wanted.settings.rtol)
    if choice.c is not None and early is None and _is_plain(wanted):
        run = solve_steps(
            flow,
            start,
            wanted.t_end,
            c=choice.c,
            times=wanted.times,
            observe=observe,
            progress=wanted.progress,
        )
        return [run], [choice.reason]
    return _exact(flow, observe, at, wanted), [choice.reason]


def _is_plain(wanted: Wanted) -> bool:
    """Whether the cheap mode can do it: from 0 to a final time, without an event."""
    return math.isfinite(wanted.t_end) and wanted.until == Until() and wanted.t_start == 0


def _exact(flow: GradientFlow, observe: Any, at: Any, wanted: Wanted) -> list[Trajectory]:
    finite = math.isfinite(wanted.t_end)
    rate = _first_horizon(flow, at["params"])
    horizon = wanted.t_end if finite else at["t"] + rate
    parts: list[Trajectory] = []
    while True:
        settings = _left(wanted.settings, parts)
        found = solve(
            flow,
            at["params"],
            horizon,
            pattern=at["pattern"],
            sliding=at["sliding"],
            t_start=at["t"],
            until=wanted.until,
            ahead=0.0 if finite else _AHEAD * horizon,
            times=_within(wanted.times, at["t"], horizon),
            observe=observe,
            log_time=wanted.log_time,
            settings=settings,
            progress=wanted.progress,
        )
        parts.append(found)
        if finite or found.outcome is not Outcome.REACHED_T or horizon > _LONGEST:
            return parts
        at = {"params": found.params, "t": found.t_end}
        at |= {"pattern": found.pattern, "sliding": found.sliding}
        horizon = found.t_end + _FURTHER * (horizon - parts[-1].times[0])


def _left(settings: Settings, parts: list[Trajectory]) -> Settings:
    """The budgets that the parts so far have left."""
    steps = sum(p.statistics.accepted + p.statistics.rejected for p in parts)
    seconds = sum(p.statistics.seconds for p in parts)
    left = max(settings.max_steps - steps, 1)
    return replace(settings, max_steps=left, time_limit=settings.time_limit - seconds)


def _halves(parts: list[Trajectory]) -> Float[np.ndarray, " k"]:
    """Times between those at which a run stopped: where events set the steps, tolerance does not.

    With the steps of the first run the second one would have its errors too.
    """
    stops = np.unique(np.concatenate([np.append(p.times, p.switches.time) for p in parts]))
    return np.unique((stops[1:] + stops[:-1]) / 2)


def _within(times: np.ndarray | None, start: float, end: float) -> np.ndarray | None:
    return None if times is None else times[(times > start) & (times <= end)]


def _stop(flow: GradientFlow, observe: Any, early: EarlyFlow) -> Trajectory:
    """A trajectory that ends where the closed form does."""
    tiny = np.nextafter(early.time, math.inf)
    return solve(
        flow,
        early.params,
        tiny,
        pattern=early.pattern,
        sliding=early.sliding,
        t_start=early.time,
        times=np.array([]),
        observe=observe,
    )


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


def _joined(
    flow: GradientFlow,
    parts: list[Trajectory],
    reasons: list[str],
    wanted: Wanted,
    error: float,
) -> Run:
    keep = [slice(0 if i == 0 else 1, None) for i in range(len(parts))]
    columns = {
        name: np.concatenate([p[name][k] for p, k in zip(parts, keep, strict=True)])
        for name in parts[0].observables
    }
    times = np.concatenate([p.times[k] for p, k in zip(parts, keep, strict=True)])
    end, first = parts[-1], float(parts[0].times[0])
    drifts = {n.removeprefix(_DRIFT): columns.pop(n) for n in list(columns) if n.startswith(_DRIFT)}
    evaluations = sum(p.statistics.evaluations for p in parts)
    stages = (Stage(end.method, first, end.t_end, evaluations, 0.0, reasons[0]),)
    met = end.outcome is Outcome.EVENT
    events = tuple(Happened(e.name, end.t_end, False) for e in wanted.until.events if met)
    rises = count_rises(columns["loss"])
    return Run(
        times=times,
        observables=columns,
        params={"W": end.params.W, "v": end.params.v},
        outcome=end.outcome,
        events=events,
        error_estimate=error,
        blow_up_time=math.inf,
        stages=stages,
        checks=Checks(math.nan, rises, {n: float(np.max(v)) for n, v in drifts.items()}),
        clock=flow.clock,
        rtol=wanted.settings.rtol,
        atol=end.atol,
        statistics=_total([p.statistics for p in parts]),
    )


def _with_start(
    flow: GradientFlow,
    functions: Functions,
    saved: Rows,
    start: TwoLayer,
    early: EarlyFlow,
    run: Run,
) -> Run:
    """`run` with the rows, the stage and the error of the event-exact start before it."""
    times, size = np.linspace(0.0, early.time, _ROWS, endpoint=False), largest_entry(start)
    scale = {"log_scale": math.log(size)}
    states = early_states(flow, start.W / size, start.v / size, times, **scale)  # type: ignore[arg-type]
    data = {"x": flow.x, "y": flow.y}
    before = rows_of(functions, saved, [{"W": s.W, "v": s.v} for s in states], data)
    rows = {name: np.concatenate([before[name], run[name]]) for name in run.observables}
    force, now = flow.vector_field(early.params), early.params
    rate = largest_entry(force) / largest_entry(now)
    late = early.error / rate if run.outcome is Outcome.EVENT else early.error
    return replace(
        run,
        times=np.concatenate([times, run.times]),
        observables=rows,
        error_estimate=run.error_estimate + late,
        stages=(Stage("event-exact", 0.0, early.time, 0, late, early.reason), *run.stages),
    )


def _total(all_of_them: list[Statistics]) -> Statistics:
    sums = jax.tree.map(lambda *values: sum(values), *all_of_them)
    return Statistics(*sums)


def _require(wanted: Wanted) -> None:
    if wanted.watch.events:
        raise ParameterError(
            "events are watched on a network with kinks",
            expected="levels of the loss in until=...",
            fix="leave watch out",
        )
    others = [e.name for e in wanted.until.events if not e.falling]
    if others:
        raise ParameterError(
            f"the event {others[0]!r} on a network with kinks",
            expected="levels of the loss, or a final time",
            fix="until=ft.loss_below(...)",
        )
    if math.isinf(wanted.t_end) and not wanted.until.events and not wanted.until.classified:
        raise ParameterError(
            "the run has neither a final time nor an event to end it",
            expected="t_end, or until=..., or both",
            fix="until=ft.loss_below(...), or t_end=100.0",
        )
