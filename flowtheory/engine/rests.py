r"""Lanes of an ensemble that come to rest, and what is done about them.

At a saddle nothing but stability would limit a step, however fast something grows there unseen
(`flowtheory.flow.dormant`). So a lane comes back before a step that would change it little. If
nothing grows where it is, it goes on with the others; if something does, it is to be run by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from flowtheory.engine.plateaus import Lanes, PerLane
from flowtheory.flow.choice import time_left
from flowtheory.flow.diagnose import motion
from flowtheory.flow.dormant import BLUNT, CALMER, TRUST, Dormant, dormant, moves
from flowtheory.flow.ensemble import Many, solve_many
from flowtheory.outcome import Outcome
from flowtheory.precision import float64


class Ask(NamedTuple):
    """What all lanes are run for, see `flowtheory.flow.solve_many`.

    Attributes:
        rate: of one lane.
        level: positive before the event; None without one.
        targets: what the level takes besides the data.
        ends: final times.
        rtol: relative tolerance of a step.
        loop: budgets and sizes of the loop.
    """

    rate: Callable[[Any, Any], Any]
    level: Callable[[Any, Any], Any] | None
    targets: PerLane
    ends: PerLane
    rtol: float
    loop: dict[str, Any]


def taken(lanes: Lanes, index: Int[np.ndarray, " k"] | int) -> Lanes:
    """Some of the lanes; one, without the axis of lanes, if `index` is a number."""

    def take(tree: Any) -> Any:
        return jax.tree.map(lambda a: a[index], tree)

    return lanes._replace(
        params=take(lanes.params), data=lanes.data if lanes.shared else take(lanes.data)
    )


def through_rests(lanes: Lanes, times: PerLane, ask: Ask) -> tuple[Many, list[int]]:
    """All lanes to their ends, and which of them are to be taken alone.

    A lane comes back before a step that would change it little: at a saddle nothing but stability
    would limit that step, however fast something grows unseen (`flowtheory.flow.dormant`). If
    nothing grows there, it goes on.
    """
    alone: list[int] = []
    pending, found = np.arange(len(times)), None
    resting = _Resting.of(len(times), ask.rtol)
    shared = (dict.fromkeys(lanes.data, lanes.shared), False)
    while len(pending):
        here = taken(lanes, pending)
        part = solve_many(
            ask.rate, ask.level, here.params, ask.ends[pending], (here.data, ask.targets[pending]),
            shared=shared, t_start=times[pending], rtol=ask.rtol, sizes=lanes.functions.sizes,
            rest=resting.change[pending], moved=resting.moved[pending], trust=TRUST, **ask.loop,
        )  # fmt: skip
        found = part if found is None else _continued(found, part, pending)
        lanes, times = lanes._replace(params=found.params), found.times
        rests = pending[[outcome is Outcome.STALLED for outcome in part.outcomes]]
        grows = []
        for i in rests:
            span, target = (float(times[i]), float(ask.ends[i])), float(ask.targets[i])
            seen, left = _look(lanes, i, *span, target if target > 0 else None)
            grows.append(resting.grows(i, seen, float(found.changes[i]), left))
        out = np.array(grows, bool)
        alone, pending = alone + rests[out].tolist(), rests[~out]
    assert found is not None
    return found, alone


class _Resting(NamedTuple):
    """When each lane is next held to be at rest.

    Attributes:
        change: below what change in a step.
        moved: what it has changed by since it was looked at.
        usual: `change` of a lane that was not looked at here.
    """

    change: PerLane
    moved: PerLane
    usual: float

    @classmethod
    def of(cls, count: int, rtol: float) -> _Resting:
        usual = moves("dopri8", rtol)
        return cls(np.full(count, usual), np.full(count, math.inf), usual)

    def grows(self, i: int, found: Dormant, change: float, left: float) -> bool:
        """Whether something grows unseen at a lane's place; else when to look again."""
        if found.unseen and found.rate * left > 1:
            return True
        grows = found.rate > 0
        # What grows, or how long it has, may be covered by what still decays: look again.
        self.change[i] = CALMER * change if grows else self.usual
        self.moved[i] = math.inf if grows else 0.0
        return False


def _look(
    lanes: Lanes, i: int, now: float, end: float, target: float | None
) -> tuple[Dormant, float]:
    """What grows at a lane's place, and the time that it has for that."""
    lane = taken(lanes, i)
    with float64():
        _, _, power, loss = map(float, motion(lane.functions, lane.params, lane.data))
    left = time_left(now, end, loss, power, target)
    return dormant(lane.functions, lane.params, lane.data, BLUNT), left


def _continued(found: Many, part: Many, index: Int[np.ndarray, " k"]) -> Many:
    """The results with those of some lanes that went on."""

    def put(all_: np.ndarray, some: np.ndarray) -> np.ndarray:
        out = np.array(all_)
        out[index] = some
        return out

    outcomes = list(found.outcomes)
    for i, outcome in zip(index, part.outcomes, strict=True):
        outcomes[i] = outcome
    sums = {
        name: put(getattr(found, name), getattr(found, name)[index] + getattr(part, name))
        for name in ("time_errors", "accepted", "evaluations")
    }
    params = jax.tree.map(put, found.params, part.params)
    times, changes = put(found.times, part.times), put(found.changes, part.changes)
    return Many(params=params, times=times, outcomes=tuple(outcomes), changes=changes, **sums)
