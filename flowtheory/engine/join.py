"""A run whose first plateau was carried by the leading flow, as one run."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from flowtheory.engine.passage import Passage
from flowtheory.engine.plateau import CLOSED_FORM
from flowtheory.flow.descend import checks
from flowtheory.flow.diagnose import pace
from flowtheory.flow.run import Run, Stage
from flowtheory.flow.smooth import Functions, Moving, Observe, SmoothFlow, Watched, row
from flowtheory.flow.task import Task
from flowtheory.flow.trajectory import Statistics
from flowtheory.outcome import Outcome
from flowtheory.precision import float64

_ROWS = 24


def joined(task: Task, start: Any, t_start: float, passed: Passage, run: Run) -> Run:
    """`run` from the hand-over on, with the rows, the stage and the error of what was before.

    Args:
        task: what the whole run is asked for.
        start: parameters at `t_start`.
        t_start: time of the start.
        passed: the plateau.
        run: the run from the hand-over on.
    """
    ahead = passed.ahead
    before, drifts = _rows(task, start, t_start, passed)
    # The first row of the run is at the hand-over, which is no time that was asked for.
    kept = slice(0 if task.times is None else 1, None)
    names = run.observables
    rows = {name: np.concatenate([before[name], run[name][kept]]) for name in names}
    largest = {name: max(value, drifts[name]) for name, value in run.checks.drifts.items()}
    return replace(
        run,
        times=np.concatenate([before["times"], run.times[kept]]),
        observables=rows,
        events=(*passed.happened, *run.events),
        error_estimate=run.error_estimate + _effect(task.flow, run, ahead.error),
        stages=(_stage(passed, t_start), *run.stages),
        checks=checks(rows, {})._replace(drifts=largest),
    )


def ended(task: Task, start: Any, t_start: float, passed: Passage, seconds: float) -> Run:
    """The run that an event ended in the plateau.

    Args:
        task: what the whole run is asked for.
        start: parameters at `t_start`.
        t_start: time of the start.
        passed: the plateau up to the event.
        seconds: that it took.
    """
    ahead = passed.ahead
    rows, drifts = _rows(task, start, t_start, passed, last=True)
    return Run(
        times=rows.pop("times"),
        observables=rows,
        params=ahead.params,
        outcome=Outcome.EVENT,
        events=passed.happened,
        error_estimate=ahead.error,
        blow_up_time=math.inf,
        stages=(_stage(passed, t_start),),
        checks=checks(rows, {})._replace(drifts=drifts),
        clock=task.flow.clock,
        rtol=task.settings.rtol,
        atol=task.settings.atol or 0.0,
        statistics=Statistics(0, 0, 0, 0, seconds),
    )


def _stage(passed: Passage, t_start: float) -> Stage:
    ahead = passed.ahead
    return Stage(ahead.method, t_start, t_start + ahead.time, 0, ahead.error, ahead.why)


def _rows(
    task: Task, start: Any, t_start: float, passed: Passage, *, last: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """What is saved of the plateau, and the largest drifts; with its end if that is the `last`."""
    ahead = passed.ahead
    inside = _inside(t_start, passed, task.times)
    at, states = np.append(0.0, inside), [start]
    if len(inside):
        trail = passed.trail or ahead.trace()
        assert trail is not None
        states += [trail.state(float(t)) for t in inside]
    if last:
        at, states = np.append(at, ahead.time), [*states, ahead.params]
    assert task.observe is not None
    rows = rows_of(task.flow.functions, task.observe, states, task.flow.data)
    drifts = {name: float(np.max(values)) for name, values in rows.pop("drift").items()}
    rows["dissipated"] = ahead.leading.fallen(states)
    return {**rows, "times": t_start + at}, drifts


def _inside(
    t_start: float, passed: Passage, times: Float[np.ndarray, " k"] | None
) -> Float[np.ndarray, " k"]:
    """Times since the start, between it and the hand-over, at which there is a row."""
    ahead = passed.ahead
    if times is not None:
        since = times - t_start
        return since[(since > 0) & (since < ahead.time)]
    if passed.trail is None and ahead.method != CLOSED_FORM:
        return np.zeros(0)
    return np.linspace(0.0, ahead.time, _ROWS, endpoint=False)[1:]


def _effect(flow: SmoothFlow, run: Run, delay: float) -> float:
    """A delay as an error of the run's end: of its time, or of its state in units of the norm."""
    if run.outcome is Outcome.EVENT:
        return delay
    return delay * pace(flow, jax.tree.map(np.array, run.params))


def rows_of(functions: Functions, observe: Observe, states: list[Any], data: Any) -> dict[str, Any]:
    """What a run saves, at given states of which the first is its start."""
    with float64():
        stacked = jax.tree.map(lambda *a: np.stack(a), *states)
        return jax.tree.map(np.asarray, _mapped(functions, observe, stacked, data))


@partial(jax.jit, static_argnames=("functions", "observe"))
def _mapped(functions: Functions, observe: Observe, states: Any, data: Any) -> dict[str, Any]:
    zero = jnp.zeros(())
    first = functions.conserved(jax.tree.map(lambda a: a[0], states))
    args = Watched(data, first, jnp.zeros(0), jnp.zeros(0), zero, zero, zero)
    return jax.lax.map(lambda p: row(functions, observe, Moving(p, zero), args), states)
