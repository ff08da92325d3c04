r"""A smooth gradient flow from a start to an end, checked.

The run is made twice, at `rtol` and at ten times `rtol`, and the difference is the error estimate
of the finer one: a bound as far as the coarser run is at least twice as wrong; where accuracy
decides the steps it is about ten times as wrong. Both runs choose their methods themselves, by the
same rule (`choice`).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from flowtheory.flow.drive import Drive, drive
from flowtheory.flow.keeping import SECOND
from flowtheory.flow.position import Keeper
from flowtheory.flow.recorder import Progress
from flowtheory.flow.run import Checks, Run
from flowtheory.flow.schedule import save_times
from flowtheory.flow.settings import Settings
from flowtheory.flow.smooth import Observe, Params, SmoothFlow
from flowtheory.flow.task import NOTHING, Before, Task
from flowtheory.flow.trajectory import Statistics
from flowtheory.flow.until import NEVER, Until
from flowtheory.outcome import Outcome

COARSER = 10.0
_COARSEST = 1e-2
_ROUNDING = 1e-12

DEFAULT = Settings(rtol=1e-8)


def descend(
    flow: SmoothFlow,
    params: Params,
    t_end: float = math.inf,
    *,
    t_start: float = 0.0,
    before: Before = NOTHING,
    until: Until = NEVER,
    watch: Until = NEVER,
    times: Float[np.ndarray, " k"] | None = None,
    observe: Observe | None = None,
    log_time: bool = False,
    settings: Settings = DEFAULT,
    estimate: bool = True,
    progress: Progress | None = None,
    keeper: Keeper | None = None,
) -> Run:
    r"""Integrate the exact gradient flow of a smooth network.

    Args:
        flow: network, loss, data and clock.
        params: parameters at `t_start`.
        t_end: final time; may be left out if `until` ends the run.
        t_start: time of `params`.
        before: what a part of the flow before `t_start` leaves, if there was one.
        until: events that end the run.
        watch: events that are noted in `Run.events` while the run goes on.
        times: times to save at; by default a row is saved whenever the loss, the norm or (in a
            decade of) time has changed by a sixteenth.
        observe: what to save beside loss and norm, a JAX function (params, data) -> dict.
        log_time: integrate in log(1 + t): for losses with an exponential tail on data that the
            network separates, to a large `t_end`. Never for a loss with a finite minimum: the
            Jacobian in log t grows with t there.
        settings: tolerances and budgets.
        estimate: whether to make the second run.
        progress: called now and then with (t, log10 loss, outcome so far).
        keeper: writes the run down as it goes, and knows from where to go on.

    Returns:
        The run. Outcomes: `REACHED_T`, `EVENT`, `BLEW_UP`, `CONVERGED`, `STALLED`, `STEP_LIMIT`,
        `TIME_LIMIT`, `STIFF`, `NONFINITE`.

    Raises:
        DataError: parameters that are not finite or all zero.
        ParameterError: times or tolerances that make no sense.
        Faint: see `before.faint`.
    """
    given = None if times is None else save_times(times, t_start, t_end)
    task = Task(flow, t_end, until, watch, given, observe, log_time, settings)
    made = drive(task, params, t_start, before, progress=progress, keeper=keeper)
    second = _second(task, made, params, t_start, before, keeper) if estimate else None
    return finish(made, second)


def _second(
    task: Task,
    made: Drive,
    params: Params,
    t_start: float,
    before: Before,
    keeper: Keeper | None,
) -> Drive | None:
    """The coarser run to the same end; None where there is no end. It shares the compiled loop."""
    if made.outcome not in (Outcome.REACHED_T, Outcome.EVENT) or made.t == t_start:
        return None
    settings = task.settings
    coarse = replace(settings, rtol=coarser(settings.rtol), atol=None)
    # An event may come later in the second run than the final time.
    end = math.inf if made.outcome is Outcome.EVENT else made.t
    task = task._replace(t_end=end, settings=coarse)
    return drive(task, params, t_start, before, keeper=keeper, part=SECOND)


def finish(made: Drive, second: Drive | None) -> Run:
    """The run's result, with what the second run says about its error."""
    driven, task = made.result(), made.task
    drifts = driven.rows.pop("drift")
    times, at = np.array(driven.times), driven.position
    evaluations = at.evaluations + (second.position.evaluations if second else 0)
    statistics = Statistics(at.accepted, at.rejected, evaluations, made.stretches, at.seconds)
    return Run(
        times=times,
        observables=driven.rows,
        params=at.params,
        outcome=driven.outcome,
        events=tuple(driven.happened),
        error_estimate=_difference(made, second),
        blow_up_time=driven.blow_up_time,
        stages=driven.stages,
        checks=checks(driven.rows, drifts),
        clock=task.flow.clock,
        rtol=task.settings.rtol,
        atol=made.atol,
        statistics=statistics,
    )


def _difference(made: Drive, second: Drive | None) -> float:
    """Of the times of an event, or of the final states in units of their norm.

    inf where the runs end differently: no digit of what is asked for is confirmed.
    """
    if second is None:
        return math.nan if made.times[-1] > made.times[0] else 0.0
    if second.outcome is not made.outcome:
        return math.inf
    if made.outcome is Outcome.EVENT:
        return abs(made.t - second.t) + made.position.lost
    a, b = (_flat(run.position.params) for run in (made, second))
    return float(np.linalg.norm(a - b) / np.linalg.norm(a))


def _flat(params: Params) -> Float[np.ndarray, " N"]:
    return np.concatenate([np.ravel(a) for a in jax.tree.leaves(params)])


def coarser(rtol: float) -> float:
    """The tolerance of the second run."""
    return min(COARSER * rtol, _COARSEST)


def count_rises(loss: Float[np.ndarray, " k"]) -> int:
    """How often the loss rises from one row to the next by more than rounding."""
    unit = abs(loss[0]) if loss[0] else 1.0
    return int(np.count_nonzero(np.diff(loss) > _ROUNDING * np.maximum(unit, np.abs(loss[:-1]))))


def checks(rows: dict[str, Any], drifts: dict[str, np.ndarray]) -> Checks:
    """Energy identity, monotone loss and conserved quantities of the saved rows."""
    loss, dissipated = rows["loss"], rows["dissipated"]
    unit = abs(loss[0]) if loss[0] else 1.0
    defect = np.max(np.abs(loss + dissipated - loss[0])) / unit
    largest = {name: float(np.max(values)) for name, values in drifts.items()}
    return Checks(float(defect), count_rises(loss), largest)
