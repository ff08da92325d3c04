"""A run whose first plateau was carried by the leading flow, as one run."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flowtheory.engine.plateau import HandOver
from flowtheory.flow.descend import checks
from flowtheory.flow.run import Run, Stage
from flowtheory.flow.smooth import Functions, Moving, Observe, SmoothFlow, Watched, row
from flowtheory.flow.until import Until, norm
from flowtheory.outcome import Outcome
from flowtheory.precision import float64

_ROWS = 24


def may_skip(events: Until) -> bool:
    """Whether no event can fall into a plateau: only levels of the loss are asked for."""
    return all(event.falling for event in events.events)


def joined(
    flow: SmoothFlow, observe: Observe, start: Any, t_start: float, ahead: HandOver, run: Run
) -> Run:
    """`run` from the hand-over on, with the rows, the stage and the error of what was before.

    Args:
        flow: the full flow.
        observe: what is saved.
        start: parameters at `t_start`.
        t_start: time of the start.
        ahead: the hand-over.
        run: the run from there.
    """
    times = np.array([0.0])
    states = [start]
    if ahead.path is not None:
        times = np.linspace(0.0, ahead.time, _ROWS, endpoint=False)
        states += [ahead.path(float(t)) for t in times[1:]]
    before = rows_of(flow.functions, observe, states, flow.data)
    before["dissipated"] = ahead.fallen(states)
    rows = {name: np.concatenate([before[name], run[name]]) for name in run.observables}
    stage = Stage(
        ahead.method,
        t_start,
        t_start + ahead.time,
        0,
        ahead.error,
        ahead.why,
    )
    found = checks(rows, {})
    return replace(
        run,
        times=np.concatenate([t_start + times, run.times]),
        observables=rows,
        error_estimate=run.error_estimate + _effect(flow, run, ahead.error),
        stages=(stage, *run.stages),
        checks=found._replace(drifts=run.checks.drifts),
    )


def _effect(flow: SmoothFlow, run: Run, delay: float) -> float:
    """A delay as an error of the run's end: of its time, or of its state in units of the norm."""
    if run.outcome is Outcome.EVENT:
        return delay
    with float64():
        force = flow.vector_field(jax.tree.map(np.array, run.params))
        return delay * float(norm(force) / norm(run.params))


def rows_of(functions: Functions, observe: Observe, states: list[Any], data: Any) -> dict[str, Any]:
    """What a run saves, at given states."""
    with float64():
        stacked = jax.tree.map(lambda *a: np.stack(a), *states)
        rows = jax.tree.map(np.asarray, _mapped(functions, observe, stacked, data))
    del rows["drift"]
    return rows


@partial(jax.jit, static_argnames=("functions", "observe"))
def _mapped(functions: Functions, observe: Observe, states: Any, data: Any) -> dict[str, Any]:
    zero = jnp.zeros(())

    def one(params: Any) -> dict[str, Any]:
        args = Watched(
            data, functions.conserved(params), jnp.zeros(0), jnp.zeros(0), zero, zero, zero
        )
        return row(functions, observe, Moving(params, zero), args)

    return jax.lax.map(one, states)
