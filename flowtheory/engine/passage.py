r"""Events in a plateau that the leading flow carries: where they are, and how well that is known.

An event is located on the leading path (`flowtheory.flow.along`). There the leading flow is off by
its defect $d$ (`plateau`), so that the parameters of each neuron $g$ are off by $d/q$ of
themselves, and the time of $G(\theta) = 0$ by

$$ \delta t = \max\Big(\frac{d}{q\lambda},\;
   \frac{d}{q}\,\sum_g \frac{|\partial_g G|_\infty |\theta_g|_\infty}{|\dot G|}\Big) $$

and by the rounding errors of $G$ and of $\ln|\theta|$. Where $d$ is not below the tolerance, the
run is one without the leading flow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from flowtheory.engine.plateau import SHARE, HandOver
from flowtheory.flow.along import Met, passages
from flowtheory.flow.run import Happened
from flowtheory.flow.sight import first_look
from flowtheory.flow.smooth import Functions, SmoothFlow, resolved, snapshot
from flowtheory.flow.task import Before, Task
from flowtheory.flow.trail import Trail
from flowtheory.flow.until import Event, Snapshot, Until
from flowtheory.precision import float64

_INFO = np.finfo(np.float64)
_ULPS = 8  # rounding of what the value of an event is computed from


class Passage(NamedTuple):
    """A plateau with what happens in it.

    Attributes:
        ahead: the hand-over; if an event ends the run before, that end.
        happened: events, in times of the run.
        signs: of the events after it, in the order of `resolved`.
        ended: whether an event ended the run.
        trail: the path, if it was needed.
    """

    ahead: HandOver
    happened: tuple[Happened, ...]
    signs: Float[np.ndarray, " e"]
    ended: bool
    trail: Trail | None

    @property
    def before(self) -> Before:
        """What it leaves to the run after it."""
        return Before(self.ahead.dissipated, self.signs, self.ahead.faint)

    def later(
        self, times: Float[np.ndarray, " k"] | None, t_start: float
    ) -> Float[np.ndarray, " k"] | None:
        """Of the times to save at, those after the hand-over."""
        return None if times is None else times[times > t_start + self.ahead.time]


class Outlook(NamedTuple):
    """What is looked for on a path.

    Attributes:
        events: with levels in numbers, those looked at inside a step first.
        stops: those that end the run.
        signs: of each at the start.
        noted: what is past at the start.
        wanted: which of the events may lie on the path: what only falls does if it is past at the
            end.
    """

    events: tuple[Event, ...]
    stops: frozenset[Event]
    signs: Float[np.ndarray, " e"]
    noted: tuple[Happened, ...]
    wanted: Bool[np.ndarray, " e"]


def outlook(
    flow: SmoothFlow, until: Until, watch: Until, start: Any, end: Any, t_start: float
) -> Outlook | None:
    """What to look for between two states; None where an event has ended the run at the first.

    Args:
        flow: what the events look at.
        until: events that end the run.
        watch: events that are noted.
        start: parameters at `t_start`.
        end: parameters at the end of the path.
        t_start: time of the start.
    """
    level = flow.plateau(start)
    events = resolved((*until.events, *watch.events), level)
    stops = frozenset(e.resolved(level) for e in until.events)
    first, last = (_values(flow, params, events) for params in (start, end))
    signs = np.array([e.sign(v) for e, v in zip(events, first, strict=True)])
    noted = [e for e, v in zip(events, first, strict=True) if e.past(v)]
    if any(event in stops for event in noted):
        return None
    wanted = (signs != 0) & np.array(
        [not e.falling or v * -e.direction <= 0 for e, v in zip(events, last, strict=True)], bool
    )
    happened = tuple(Happened(e.name, t_start, e.direction > 0) for e in noted)
    return Outlook(events, stops, signs, happened, wanted)


def passage(ahead: HandOver, task: Task, start: Any, t_start: float) -> Passage | None:
    """Look for all events on the way to a hand-over.

    Args:
        ahead: the hand-over.
        task: what the run is asked for.
        start: parameters at `t_start`.
        t_start: where the run begins.

    Returns:
        None where an event has already ended the run, or is not known well enough, or the path
        leaves the range of float64.
    """
    flow, rtol = task.flow, task.settings.rtol
    seen = outlook(flow, task.until, task.watch, start, ahead.params, t_start)
    if seen is None:
        return None
    events, stops, signs, noted, wanted = seen
    happened = list(noted)
    if not wanted.any() and task.times is None:
        return Passage(ahead, noted, signs, False, None)
    trail = ahead.trace()
    if trail is None:
        return None
    if not wanted.any():
        return Passage(ahead, tuple(happened), signs, False, trail)
    found = passages(trail, flow, events, signs, stops, wanted)
    known = [_known(ahead, flow, start, trail, met, rtol) for met in found.met]
    if None in known:
        return None
    happened += [Happened(m.event.name, t_start + m.time, m.rising) for m in found.met]
    ended = bool(found.met) and found.met[-1].event in stops
    end = known[-1] if ended else ahead
    assert end is not None
    return Passage(end, tuple(happened), found.signs, ended, trail)


def _values(flow: SmoothFlow, params: Any, events: tuple[Event, ...]) -> list[float]:
    """The values of the events at a point."""
    keys = tuple((e.value, e.falling) for e in events)
    levels = np.array([e.level for e in events])
    with float64():
        return np.asarray(first_look(flow.functions, keys, params, flow.data, levels)[2]).tolist()


def _known(
    ahead: HandOver, flow: SmoothFlow, start: Any, trail: Trail, met: Met, rtol: float
) -> HandOver | None:
    """The plateau up to an event, with the error of its time; None if that is too large."""
    point, leading = trail.point(met.place), ahead.leading
    defect, rate = leading.judged(point.params)
    # The norm may have been larger before than it is here.
    defect = max(defect, leading.judged(start)[0] if leading.rate(start) > 0 else 0.0)
    if not defect <= SHARE * rtol:
        return None
    relative = defect / leading.lead.gap
    error = late(flow, met, point.params, relative, rate) + ahead.own
    if not math.isfinite(error):
        return None
    fallen = leading.potential(point.params) - leading.potential(start)
    return ahead._replace(
        time=met.time,
        params=point.params,
        dissipated=fallen,
        error=error,
        defect=defect,
        trace=lambda: trail,
    )


def late(flow: SmoothFlow, met: Met, params: Any, relative: float, rate: float) -> float:
    """The error of the time of an event on a path.

    Args:
        flow: what the event looks at.
        met: the event.
        params: parameters there.
        relative: by how much the parameters of each neuron are off, of themselves.
        rate: at which they grow.
    """
    numbers = (params, flow.data, np.float64(met.event.level))
    with float64():
        found = _reach(flow.functions, met.event.value, *numbers)
        reach, rounding = (float(a) for a in found)
    slope = abs(met.slope) or math.nan
    off = max(relative / rate, relative * reach / slope)
    return off + rounding / slope + _INFO.eps * abs(rate * met.time) / rate


@partial(jax.jit, static_argnames=("functions", "value"))
def _reach(
    functions: Functions, value: Callable[..., Array], params: Any, data: Any, level: Array
) -> tuple[Array, Array]:
    """By how much an event's value changes with each neuron's own size, and by rounding errors."""
    slopes = jax.grad(lambda p: value(snapshot(functions, p, data), level))(params)
    seen = snapshot(functions, params, data)[:3]
    partial_slopes = jax.grad(lambda a: value(Snapshot(a[0], a[1], a[2], data), level))(seen)
    parts = jax.tree.map(
        lambda d, a: jnp.sum(jnp.abs(d) * (_ULPS * _INFO.eps * jnp.abs(a) + _INFO.tiny)),
        partial_slopes,
        seen,
    )
    rounding = jnp.sum(jnp.stack(jax.tree.leaves(parts)))
    return jnp.sum(functions.sizes(slopes) * functions.sizes(params)), rounding
