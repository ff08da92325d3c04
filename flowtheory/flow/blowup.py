r"""Blow-up of homogeneous flows: its time with an enclosure, and the time to any growth.

The flow is integrated in `flowtheory.flow.coordinates` until the norm has grown enough for the rest
to be enclosed: since $h = H/|\theta|^k$ never decreases once it is positive, the time left at
$(\xi, r)$ is at most $r^{-(k-2)}/(k(k-2)h)$, and better bounds (`Bracket`) come from whoever knows
more of $H$. What is left to estimate is the error of the integration, by a second run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from flowtheory.errors import ParameterError
from flowtheory.flow.coordinates import (
    Polar,
    Sundman,
    SundmanFlow,
    Tree,
    Units,
    from_polar,
    inner,
    to_polar,
)
from flowtheory.flow.integrate import STAGES, SmoothEnd, solve_smooth
from flowtheory.flow.settings import Explicit
from flowtheory.outcome import Outcome
from flowtheory.precision import float64

Bracket = Callable[[float, Tree], tuple[float, float]]
r"""Bounds (low, high) on the time left at a direction $\xi$ of norm 1, from ($H(\xi) > 0$, $\xi$);
`high` is taken as the estimate."""

HORIZON = 1000.0
RTOL = 1e-11

METHOD: Explicit = "dopri8"
_ROUNDOFF = 2.0**-52
_FINEST = 1e-14
_LEAST_GAIN = 6.0
_CHECK = 100.0


class Interval(NamedTuple):
    """An estimate and its enclosure, low <= estimate <= high, in one unit."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class BlowUp:
    r"""How a homogeneous flow ended.

    Times are multiples of $e^{u}$, $u$ = `log_unit` $= -(k-2)\ln|\theta(0)|$: in this unit they
    neither overflow nor vanish, whatever the scale of the start.

    Attributes:
        outcome: `BLEW_UP`; `NOT_DETECTED` where the norm did not grow by `gain` within the horizon
            (neurons that die, a start on the stable manifold of the saddle); `STATIONARY` for a
            start without a force; or how the integration failed.
        end: $T^*$ with its enclosure; infinite, with `low` the time integrated, without a blow-up.
        ode_error: the part of the enclosure that allows for the integration: the difference from a
            run at rtol/100, and roundoff. NaN if no second run was asked for.
        log_unit: $u$.
        degree: $k$.
        polar: direction and log-norm at the last point.
        gain: $\rho$ gained there.
        time: the time there, in the same unit.
        level: $h = H(\xi)$ there.
        moving_share: norm at the start of the part that moves, over that of all parameters; `gain`
            is the growth of that part.
        steps: attempted steps of all runs.
        evaluations: evaluations of $\nabla H$ of all runs.
    """

    outcome: Outcome
    end: Interval
    ode_error: float
    log_unit: float
    degree: float
    polar: Polar
    gain: float
    time: float
    level: float
    steps: int
    evaluations: int
    moving_share: float = 1.0

    @property
    def log_time(self) -> float:
        r"""$\ln T^*$."""
        return math.log(self.end.estimate) + self.log_unit

    @property
    def blow_up_time(self) -> Interval:
        r"""$T^*$ in the clock of the flow; infinite or 0 where float64 has no such number."""
        with np.errstate(over="ignore"):
            unit = np.exp(self.log_unit / 2)
            return Interval(*(float(unit * (unit * t)) for t in self.end))

    def params(self) -> Tree:
        """The parameters at the last point."""
        return from_polar(self.polar)

    def time_of_growth(self, log_growth: float) -> Interval:
        r"""Time at which $|\theta|$ is $e^g$ times the start's, for $g$ = `log_growth` >= `gain`.

        From the last point on, $d(r^{-(k-2)})/dt = -k(k-2)h$ with an $h$ that does not decrease.

        Raises:
            ParameterError: There was no blow-up, or the growth is less than `gain`.
        """
        # The part at rest adds a constant to the square of the norm.
        rest = 1 / self.moving_share**2 - 1
        moved = log_growth + 0.5 * math.log1p(rest * (1 - math.exp(-2 * log_growth)))
        if self.outcome is not Outcome.BLEW_UP or not moved >= self.gain:
            raise ParameterError(
                f"log_growth is {log_growth!r}, outcome {self.outcome.name}, gain {self.gain:.3g}",
                expected="a growth beyond the last point of a run that blew up",
                fix="use `time_of_growth` of a flow, which integrates to it",
            )
        k = self.degree

        def tail(gain: float) -> float:
            return math.exp(-(k - 2) * gain) / (k * (k - 2) * self.level)

        left = tail(moved)
        error = 0.0 if math.isnan(self.ode_error) else self.ode_error
        high = min(self.end.high, self.time + tail(self.gain) - left + error)
        estimate = min(self.end.estimate - left, high)
        return Interval(estimate, min(self.end.low - left, estimate), high)


class _Run(NamedTuple):
    """One integration to the level, and what follows from its last point."""

    outcome: Outcome
    last: Sundman
    end: Interval
    level: float
    time: float
    steps: int


def blow_up(
    flow: SundmanFlow,
    start: Tree,
    args: Any = None,
    *,
    bracket: Bracket | None = None,
    rate: float | None = None,
    gain: float | None = None,
    horizon: float = HORIZON,
    rtol: float = RTOL,
    max_steps: int = 4096,
    check: bool = True,
) -> BlowUp:
    r"""Integrate a gradient flow of degree $k > 2$ to its blow-up, and enclose the time.

    Args:
        flow: The field; keep the object, it is compiled once for each set of shapes.
        start: $\theta(0)$, of any size.
        args: What the gradient takes besides.
        bracket: Bounds on the time left; by default from 0 to the tangent bound.
        rate: The unit of $1/\sigma$, a value of $kh$; by default $|\nabla H|$ at the direction of
            the start.
        gain: How much $\ln|\theta|$ must grow. The error of the estimate is about $e^{-kg}$; so is
            the width of the enclosure if the lower bound is attained in the limit, and
            $e^{-(k-2)g}$ if it is not. By default `gain_for` the one or, without a bracket, the
            other.
        horizon: Longest $\sigma$ in units of 1/`rate`.
        rtol: Tolerance of a step.
        max_steps: Budget of steps of one run.
        check: Whether to estimate the error of the integration by a second run at `rtol`/100.

    Raises:
        ParameterError: $k \le 2$, or `gain`, `horizon`, `rtol` or `rate` out of range.
        DataError: The start is zero or not finite.
    """
    if not flow.degree > 2:
        raise ParameterError(
            f"the degree is {flow.degree}",
            expected="a degree above 2",
            fix="a flow of degree 2 grows exponentially: use `time_of_growth`",
        )
    if gain is None:
        gain = gain_for(flow.degree if bracket else flow.degree - 2)
    require_positive(gain=gain, horizon=horizon)
    polar = to_polar(start)
    unit = -(flow.degree - 2) * polar.log_norm
    speed = force(flow, polar.direction, args)[0] if rate is None else float(rate)
    if not (math.isfinite(speed) and speed > 0):
        return motionless(flow, polar, unit, speed, rate)
    units = Units(args, np.float64(speed), np.float64(gain), np.float64(0.0))
    options = (bracket or tangent_bracket(flow.degree), horizon, max_steps)
    run = _run(flow, polar.direction, units, rtol, *options)
    second = None
    if check and run.outcome is Outcome.BLEW_UP:
        second = _run(flow, polar.direction, units, finer(rtol), *options)
    return _judge(flow, polar, unit, run, second)


def gain_for(exponent: float) -> float:
    r"""The gain at which $e^{-pg}$, $p$ = `exponent`, is 1e-12, and at least 6."""
    return max(_LEAST_GAIN, 12 * math.log(10) / exponent)


def tangent_bracket(degree: float) -> Bracket:
    r"""From 0 to $1/(k(k-2)h)$."""
    return lambda h, xi: (0.0, 1.0 / (degree * (degree - 2) * h))


@partial(jax.jit, static_argnames="flow")
def _force(flow: SundmanFlow, xi: Tree, args: Any) -> tuple[Any, Any]:
    r"""$|\nabla H|$ and $\langle\xi, \nabla H\rangle = kH$ at a direction."""
    force = flow.gradient(xi, args)
    return jnp.sqrt(inner(force, force)), inner(xi, force)


def force(flow: SundmanFlow, direction: Tree, args: Any = None) -> tuple[float, float]:
    r"""$|\nabla H(\xi)|$ and $kh = \langle\xi, \nabla H(\xi)\rangle$ at a direction."""
    with float64():
        size, growth = _force(flow, direction, args)
    return float(size), float(growth)


def finer(rtol: float) -> float:
    """The tolerance of the second run."""
    return max(rtol / _CHECK, _FINEST)


def run_error(value: float, second: float, steps: int) -> float:
    """Bound on the error of a time from that of a run at rtol/100, with the roundoff of the sum.

    The error of the finer run is near 1/100 of the other one's: twice the difference holds both.
    """
    return 2 * abs(value - second) + steps * _ROUNDOFF * value


def require_positive(**values: float) -> None:
    """Raise `ParameterError` unless all are positive and finite."""
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise ParameterError(
                f"{name} is {value!r}", expected="a finite number > 0", fix="leave it out"
            )


def motionless(
    flow: SundmanFlow, polar: Polar, unit: float, speed: float, rate: float | None
) -> BlowUp:
    """The result where no time passes: no force at the start, or no finite one."""
    if rate is not None:
        raise ParameterError(f"rate is {rate!r}", expected="a rate > 0", fix="leave it out")
    outcome = Outcome.STATIONARY if speed == 0 else Outcome.NONFINITE
    never = Interval(math.inf, 0.0, math.inf)
    values = (math.nan, unit, flow.degree, polar, 0.0, 0.0, math.nan)
    return BlowUp(outcome, never, *values, steps=0, evaluations=1)


def _run(
    flow: SundmanFlow,
    direction: Tree,
    units: Units,
    rtol: float,
    bracket: Bracket,
    horizon: float,
    max_steps: int,
) -> _Run:
    ended = advance(flow, direction, units, rtol, horizon, max_steps)
    last: Sundman = ended.state
    rate = float(units.rate)
    h = math.nan
    outcome = ended.outcome
    xi = to_polar(last.xi).direction if outcome is not Outcome.NONFINITE else last.xi
    if outcome.ok:
        growth = force(flow, xi, units.args)[1]
        h = growth / flow.degree
        # h never decreases while it is positive, so its last value is at least its mean.
        mean = float(last.gain) * rate / max(ended.time, 1e-300)
        grown = float(last.gain) >= float(units.level) and growth >= mean * (1 - 1e-6) > 0
        outcome = Outcome.BLEW_UP if grown else Outcome.NOT_DETECTED
    time = float(last.time) / rate
    end = Interval(math.inf, time, math.inf)
    if outcome is Outcome.BLEW_UP:
        low, high = bracket(h, xi)
        scale = math.exp(-(flow.degree - 2) * float(last.gain))
        end = Interval(time + scale * high, time + scale * low, time + scale * high)
    return _Run(outcome, last._replace(xi=xi), end, h, time, ended.steps)


def _judge(flow: SundmanFlow, polar: Polar, unit: float, run: _Run, second: _Run | None) -> BlowUp:
    """The first run's result, its enclosure widened by the error of the integration."""
    outcome, end, error = run.outcome, run.end, math.nan
    steps = run.steps + (second.steps if second else 0)
    if second is not None:
        outcome = second.outcome
        error = run_error(end.estimate, second.end.estimate, run.steps)
        if outcome is Outcome.BLEW_UP:
            end = Interval(end.estimate, end.low - error, end.high + error)
    gained = float(run.last.gain)
    return BlowUp(
        outcome,
        end,
        error,
        unit,
        flow.degree,
        Polar(run.last.xi, polar.log_norm + gained),
        gained,
        float(run.time),
        run.level,
        steps,
        STAGES[METHOD] * steps,
    )


def advance(
    flow: SundmanFlow, direction: Tree, units: Units, rtol: float, horizon: float, max_steps: int
) -> SmoothEnd:
    """From a direction on until the level is passed or the horizon reached."""
    first = Sundman(direction, np.float64(0.0), np.float64(0.0))
    return solve_smooth(
        flow,
        first,
        horizon,
        units,
        rtol=rtol,
        max_steps=max_steps,
        method=METHOD,
        stop=flow.passed,
    )
