"""What a run through kinks is asked for."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.flow.cells import Keys
from flowtheory.flow.field import TwoLayer
from flowtheory.flow.observe import Observe
from flowtheory.flow.problem import GradientFlow
from flowtheory.flow.settings import Settings
from flowtheory.flow.until import Event, Until

_GROWTH = 8.0


class KinkedTask(NamedTuple):
    """What a run through kinks is asked for.

    Attributes:
        flow: network, loss, data and clock.
        t_start: time of the start.
        t_end: final time; inf to go on until an event, or until the flow rests.
        until: events that end the run.
        events: these and those that are noted, with levels in numbers, see `smooth.resolved`.
        signs: of the events at the start, see `Piece`; None for a run that begins here: what is
            past at its start is then noted there.
        times: increasing times to save at, after the start; None for log-spaced ones.
        observe: what to save.
        escape: level of the largest output whose first crossing is recorded.
        log_time: whether to integrate in log(1 + t).
        settings: tolerances, method and budgets.
    """

    flow: GradientFlow
    t_start: float
    t_end: float
    until: Until
    events: tuple[Event, ...]
    signs: Float[np.ndarray, " e"] | None
    times: Float[np.ndarray, " k"] | None
    observe: Observe
    escape: float
    log_time: bool
    settings: Settings

    @property
    def levels(self) -> Float[np.ndarray, " e"]:
        """The level of every event."""
        return np.array([e.level for e in self.events])

    @property
    def keys(self) -> Keys:
        """The functions of the events, as `cell_system` takes them."""
        return tuple((e.value, e.falling) for e in self.events)


def first_horizon(flow: GradientFlow, start: TwoLayer) -> float:
    """A time in which a small start grows to order one, at the largest rate there can be."""
    weight, largest = float(flow.samples.weight), max(float(np.max(np.abs(a))) for a in start)
    rate = weight * float(np.sum(np.linalg.norm(flow.x, axis=1) * np.abs(flow.y)))
    return (_GROWTH + max(0.0, -math.log(largest))) / max(rate, 1e-300)
