"""The time to any growth of a homogeneous flow: landed on, or close to a blow-up in closed form."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import numpy as np

from flowtheory.flow.blowup import (
    HORIZON,
    METHOD,
    RTOL,
    Bracket,
    Interval,
    advance,
    blow_up,
    finer,
    force,
    motionless,
    require_positive,
    run_error,
)
from flowtheory.flow.coordinates import Polar, SundmanFlow, Tree, Units, to_polar
from flowtheory.flow.integrate import STAGES, SmoothEnd, solve_smooth
from flowtheory.outcome import Outcome

LONGEST_GAIN = 12.0
"""Up to here a growth is landed on; beyond, the closed end is exact to roundoff."""

_CLOSED_GAIN = 10.0
_STEPS = 4096


class Growth(NamedTuple):
    r"""When a flow has grown by a given factor.

    Attributes:
        outcome: `REACHED_T`, or as `BlowUp.outcome` where it does not.
        time: the time with its enclosure, a multiple of $e^{u}$.
        log_unit: $u = -(k-2)\ln|\theta(0)|$.
        evaluations: evaluations of $\nabla H$.
    """

    outcome: Outcome
    time: Interval
    log_unit: float
    evaluations: int


def time_of_growth(
    flow: SundmanFlow,
    start: Tree,
    log_growth: float,
    args: Any = None,
    *,
    bracket: Bracket | None = None,
    rate: float | None = None,
    horizon: float = HORIZON,
    rtol: float = RTOL,
    max_steps: int = 4096,
) -> Growth:
    r"""The time at which $|\theta|$ is $e^g$ times the start's, $g$ = `log_growth` > 0.

    Up to a growth of `LONGEST_GAIN`, and for $k \le 2$, the last step is made with $\rho$ as the
    independent variable, so that the growth is landed on (Hénon's trick); the enclosure is then
    the difference from a run at `rtol`/100. For $k > 2$ and any larger growth the cost does not
    depend on it.

    Args:
        flow: As `blow_up`.
        start: As `blow_up`.
        log_growth: $g$.
        args: As `blow_up`.
        bracket: As `blow_up`.
        rate: As `blow_up`.
        horizon: As `blow_up`.
        rtol: As `blow_up`.
        max_steps: As `blow_up`.
    """
    require_positive(log_growth=log_growth, horizon=horizon)
    if flow.degree > 2 and log_growth > LONGEST_GAIN:
        ending = {"bracket": bracket, "rate": rate, "horizon": horizon, "rtol": rtol}
        found = blow_up(flow, start, args, gain=_CLOSED_GAIN, max_steps=max_steps, **ending)
        if found.outcome is not Outcome.BLEW_UP:
            return Growth(found.outcome, found.end, found.log_unit, found.evaluations)
        if found.gain <= log_growth:
            time = found.time_of_growth(log_growth)
            return Growth(Outcome.REACHED_T, time, found.log_unit, found.evaluations)
    polar = to_polar(start)
    unit = -(flow.degree - 2) * polar.log_norm
    speed = force(flow, polar.direction, args)[0] if rate is None else float(rate)
    if not (math.isfinite(speed) and speed > 0):
        still = motionless(flow, polar, unit, speed, rate)
        return Growth(still.outcome, still.end, unit, still.evaluations)
    units = Units(args, np.float64(speed), np.float64(log_growth), np.float64(0.0))
    runs = [
        _landed(flow, polar.direction, units, tolerance, horizon, max_steps)
        for tolerance in (rtol, finer(rtol))
    ]
    outcome = runs[0].outcome.then(runs[1].outcome)
    times = [float(run.state.time) / speed for run in runs]
    cost = STAGES[METHOD] * sum(run.steps for run in runs)
    if not outcome.ok:
        return Growth(outcome, Interval(math.inf, times[0], math.inf), unit, cost)
    error = run_error(times[0], times[1], runs[0].steps)
    return Growth(outcome, Interval(times[0], times[0] - error, times[0] + error), unit, cost)


class Grown(NamedTuple):
    r"""Where a flow is when it has grown.

    Attributes:
        time: in units of $|\theta(0)|^{-(k-2)}$; inf if it does not grow so far.
        error: of the time, from a second run at a hundredth of the tolerance.
        state: the parameters.
    """

    time: float
    error: float
    state: Polar


def grown(
    flow: SundmanFlow, start: Tree, log_growth: float, args: Any = None, *, rtol: float = RTOL
) -> Grown:
    r"""The time and the state when $|\theta|$ is $e^g$ times the start's, $g$ = `log_growth`."""
    polar = to_polar(start)
    speed = force(flow, polar.direction, args)[0]
    if not (math.isfinite(speed) and speed > 0):
        return Grown(math.inf, math.nan, polar)
    units = Units(args, np.float64(speed), np.float64(log_growth), np.float64(0.0))
    runs = [
        _landed(flow, polar.direction, units, tolerance, HORIZON, _STEPS)
        for tolerance in (rtol, finer(rtol))
    ]
    if not all(run.outcome.ok for run in runs):
        return Grown(math.inf, math.nan, polar)
    times = [float(run.state.time) / speed for run in runs]
    error = run_error(times[0], times[1], runs[0].steps)
    end = runs[1].state
    state = Polar(to_polar(end.xi).direction, polar.log_norm + float(end.gain))
    return Grown(times[1], error, state)


def _landed(
    flow: SundmanFlow, direction: Tree, units: Units, rtol: float, horizon: float, max_steps: int
) -> SmoothEnd:
    """From a direction to the level exactly: past it in sigma, then back in rho."""
    passed = advance(flow, direction, units, rtol, horizon, max_steps)
    if not passed.outcome.ok:
        return passed
    over = float(passed.state.gain - units.level)
    if over < 0:
        return passed._replace(outcome=Outcome.NOT_DETECTED)
    if over == 0:
        return passed._replace(outcome=Outcome.REACHED_T)
    back = units._replace(span=np.float64(-over))
    state = jax.tree.map(np.array, passed.state)
    landed = solve_smooth(
        flow, state, 1.0, back, rtol=rtol, max_steps=max_steps, method=METHOD, stop=flow.passed
    )
    return landed._replace(steps=landed.steps + passed.steps)
