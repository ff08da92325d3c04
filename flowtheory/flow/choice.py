r"""Which method goes on: a rule from what a stretch of the run looked like.

With $\rho$ the spectral radius of the Jacobian, an explicit pair of real stability interval $\beta$
and $e$ evaluations a step cannot cover more than $\beta/e$ of $\rho t$ an evaluation: 0.40 for
'dopri8', 0.58 for 'tsit5'. 'rock4' covers $z = h\rho$ with about $\sqrt{z/0.35}$ evaluations, but
its steps are shorter where accuracy decides, since its order is 4.

To 'rock4', when all hold:

- stability, not accuracy, limits the explicit step: $h\rho > 0.8\beta$ on average, or
  $> 0.5\beta$ with more than 10 % of the steps rejected (a controller that runs against the limit
  has 10 to 20 % rejected);
- enough is left: $\rho\,T > 1000$, $T$ the time left, as far as it can be told. Below that the
  explicit pair needs 2500 evaluations at most;
- what is growing unseen (`dormant`) permits its steps to be longer than those at which it would go
  back.

Back, when at least 50 steps had the fewest stages and $h\rho$ so small that the explicit pair costs
a third less even at its limit, $h\rho < (2/3)\,e'\beta/e$, $e'$ the fewest evaluations of a
stabilised step.

The explicit pair is 'dopri8' throughout. 'tsit5' would save a third of the evaluations of a phase
that is limited by stability and too short for 'rock4', at most 800; to compile it costs more.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from flowtheory.flow.integrate import BETA, STAGES
from flowtheory.flow.rock4 import DEGREES
from flowtheory.flow.settings import PAIRS, Explicit, Fixed

EXPLICIT: Explicit = "dopri8"
STRAIN = 0.1
"""Share of rejected steps from which on the host looks at the spectral radius."""

_NEAR, _HALF = 0.8, 0.5
_WORTH = 1000.0
_LESS = 2 / 3
_LARGEST = 300.0  # of an exponent
_FEWEST = int(DEGREES[0])

SETTLED, SOON = 50, 25
"""Steps of a stabilised method that are judged together; the second where steps are long."""


class Seen(NamedTuple):
    r"""A stretch of a run by one method.

    Attributes:
        method: the method.
        steps: steps taken.
        rejections: share of rejected steps.
        stages: evaluations a step.
        span: $h\rho$ of a step.
        left: $\rho\,T$, $T$ the time left.
        enough: steps of a stabilised method after which to think of the way back.
        room: $h\rho$ of the longest stabilised step that the growth of what is dormant permits.
    """

    method: Fixed
    steps: int
    rejections: float
    stages: float
    span: float
    left: float
    enough: int = 50
    room: float = math.inf


class Choice(NamedTuple):
    """The method that goes on, and why if it is another one."""

    method: Fixed
    why: str = ""


def choose(seen: Seen) -> Choice:
    """The method to go on with."""
    back = _LESS * _FEWEST * BETA[EXPLICIT] / STAGES[EXPLICIT]
    if seen.method in PAIRS:
        beta = BETA[seen.method]
        strained = seen.rejections > STRAIN and seen.span > _HALF * beta
        limited = seen.span > _NEAR * beta or strained
        if limited and seen.left > _WORTH and seen.room > back:
            return Choice("rock4", f"stability limits {seen.method}: h rho = {seen.span:.2g}")
        return Choice(seen.method)
    if seen.steps >= seen.enough and seen.stages <= _FEWEST + 0.5 and seen.span < back:
        return Choice(EXPLICIT, f"accuracy limits {seen.method}: h rho = {seen.span:.2g}")
    return Choice(seen.method)


def time_left(now: float, end: float, loss: float, power: float, target: float | None) -> float:
    r"""Time to the end, or to the loss that is waited for as far as that can be told.

    With the present rate $\lambda = |\nabla L|^2/L$ it takes $T_1 = \ln(L/L^*)/\lambda$ if the loss
    falls exponentially from now on, and $T_2 = t\,((L/L^*)^{1/(\lambda t)} - 1) > T_1$ if it falls
    like a power of $t$, as it does while slower and slower modes take over. Between the two:
    $(T_1 T_2)^{1/2}$.

    Args:
        now: time.
        end: final time; inf for none.
        loss: $L$.
        power: $|\nabla L|^2$, what $L$ loses a unit of time.
        target: the loss $L^*$ that ends the run; None if none does.
    """
    if target is None or not (loss > target > 0):
        return end - now
    if power <= 0:
        return end - now
    folds = math.log(loss / target)
    quick = folds * loss / power
    slow = now * math.expm1(min(quick / now, _LARGEST)) if now > 0 else quick
    return min(end - now, math.sqrt(quick) * math.sqrt(slow))
