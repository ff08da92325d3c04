"""The closed form that a run through kinks may begin with, and the events that lie in it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.engine.passage import late, outlook
from flowtheory.engine.plateau import largest_entry
from flowtheory.flow import GradientFlow, Happened, TwoLayer
from flowtheory.flow.along import passages
from flowtheory.flow.kinked_task import first_horizon
from flowtheory.flow.smooth import SmoothFlow
from flowtheory.flow.until import Until
from flowtheory.lower import event_exact_start
from flowtheory.lower.early_path import EarlyPath
from flowtheory.lower.event_exact import EarlyFlow

_RELATIVE = 1e-12
_LONGEST, _FURTHER = 1e9, 2.0


class Carried(NamedTuple):
    """A start carried on in closed form.

    Attributes:
        early: its end.
        happened: events on the way.
        signs: of the events after it, in the order of `smooth.resolved`.
        ended: whether an event ended the run.
        late: then the error of its time.
    """

    early: EarlyFlow
    happened: tuple[Happened, ...]
    signs: Float[np.ndarray, " e"]
    ended: bool
    late: float


def carried(
    flow: GradientFlow,
    smooth: SmoothFlow,
    start: TwoLayer,
    t_end: float,
    rtol: float,
    until: Until,
    watch: Until,
) -> Carried | None:
    """Carry a start on in closed form, up to the first event of `until`; None where that cannot be.

    Args:
        flow: the flow as the kinked drivers take it.
        smooth: the same flow, for events.
        start: parameters at time 0.
        t_end: final time.
        rtol: tolerance of the run.
        until: events that end the run, with levels in numbers.
        watch: events that are noted, likewise.
    """
    early = _handed_over(flow, start, t_end, rtol)
    if early is None:
        return None
    if not (until.events or watch.events):
        return Carried(early, (), np.zeros(0), False, 0.0)
    first, last = ({"W": p.W, "v": p.v} for p in (start, early.params))
    seen = outlook(smooth, until, watch, first, last, 0.0)
    if seen is None:
        return None
    if not seen.wanted.any():
        return Carried(early, seen.noted, seen.signs, False, 0.0)
    size = largest_entry(start)
    units = np.asarray(start.W) / size, np.asarray(start.v) / size
    path = EarlyPath(flow, *units, early.time, log_scale=math.log(size))
    found = passages(path, smooth, seen.events, seen.signs, seen.stops, seen.wanted)
    met = [Happened(m.event.name, m.time, m.rising) for m in found.met]
    happened = (*seen.noted, *met)
    if not (found.met and found.met[-1].event in seen.stops):
        return Carried(early, happened, found.signs, False, 0.0)
    end = found.met[-1]
    early = path.state(end.time)
    at = {"W": early.params.W, "v": early.params.v}
    error = late(smooth, end, at, early.error, pace(flow, early))
    return Carried(early, happened, found.signs, True, error)


def pace(flow: GradientFlow, early: EarlyFlow) -> float:
    """The relative change of the largest weight in a unit of time."""
    return largest_entry(flow.vector_field(early.params)) / largest_entry(early.params)


def _handed_over(
    flow: GradientFlow, start: TwoLayer, t_end: float, rtol: float
) -> EarlyFlow | None:
    """The event-exact start; None if nothing can be skipped."""
    tolerance, size = max(rtol, _RELATIVE), largest_entry(start)
    W, v = start.W / size, start.v / size
    horizon = t_end if math.isfinite(t_end) else first_horizon(flow, start)
    options: dict[str, Any] = {"log_scale": math.log(size), "tolerance": tolerance}
    while True:
        early = event_exact_start(flow, W, v, horizon, **options)  # type: ignore[arg-type]
        if early.time < horizon or math.isfinite(t_end) or horizon > _LONGEST:
            return early if early.time > 0 else None
        horizon *= _FURTHER
