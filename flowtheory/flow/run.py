"""The result of a run: what was saved, what happened, how it ended, and how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from flowtheory.clock import Clock
from flowtheory.errors import unknown_name
from flowtheory.flow.trajectory import Statistics, readonly
from flowtheory.outcome import Outcome


class Happened(NamedTuple):
    """An event that was passed.

    Attributes:
        name: the event's name.
        time: its located time, in the run's clock.
        rising: whether its value rose through zero.
    """

    name: str
    time: float
    rising: bool


class Stage(NamedTuple):
    """A part of a run that one method covered.

    Attributes:
        method: what was used, in words.
        start: time at which it began.
        end: time at which it ended.
        evaluations: of the vector field.
        error: what it may have changed the run's times by, where that is known beforehand; else 0.
        why: why this method was chosen.
    """

    method: str
    start: float
    end: float
    evaluations: int
    error: float
    why: str


class Checks(NamedTuple):
    r"""What a run found out about itself.

    Attributes:
        energy: largest $|L(t) + \int_0^t|\nabla L|^2 - L(0)|$ over the saved times, in units of
            $L(0)$; 0 for the exact flow.
        rises: how often the loss rose between two saved times by more than rounding; 0 for the
            exact flow.
        drifts: for every conserved quantity the largest change over the saved times, in units of
            $|\theta|^2$ at that time.
    """

    energy: float
    rises: int
    drifts: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Run:
    r"""An integrated gradient flow. Arrays are float64 NumPy, read-only.

    Attributes:
        times: saved times, shape (k,), in the run's clock; the start first, the end last.
        observables: name -> array of shape (k, ...): `loss`, `norm`, and what was asked for.
        params: parameters at the end.
        outcome: how the run ended; ask `outcome.ok`.
        events: what was passed on the way, in order of time; the event that ended the run last.
        error_estimate: of the time at which an event ended the run, or of the final parameters in
            units of their norm; inf if the second run ended differently, so that no digit is
            confirmed; NaN if no estimate was asked for, or what was asked for was not reached.
        blow_up_time: where the norm becomes infinite, for `Outcome.BLEW_UP`; else inf.
        stages: the methods used, in order.
        checks: energy identity, monotone loss, conserved quantities.
        clock: the run's time convention.
        rtol: relative tolerance a step.
        atol: absolute tolerance a step.
        statistics: what it cost, error estimate included.
    """

    times: Float[np.ndarray, " k"]
    observables: Mapping[str, np.ndarray]
    params: Any
    outcome: Outcome
    events: tuple[Happened, ...]
    error_estimate: float
    blow_up_time: float
    stages: tuple[Stage, ...]
    checks: Checks
    clock: Clock
    rtol: float
    atol: float
    statistics: Statistics

    def __post_init__(self) -> None:
        rows = {name: readonly(value) for name, value in self.observables.items()}
        object.__setattr__(self, "observables", MappingProxyType(rows))
        object.__setattr__(self, "params", jax.tree.map(readonly, self.params))
        object.__setattr__(self, "times", readonly(self.times))

    @property
    def t_end(self) -> float:
        """Time at which the run ended."""
        return float(self.times[-1])

    @property
    def loss(self) -> Float[np.ndarray, " k"]:
        """Loss at the saved times, in the clock's reduction."""
        return self["loss"]

    def observable(self, name: str) -> np.ndarray:
        """What was saved under `name`, one row a time.

        Raises:
            UnknownNameError: the run did not save that.
        """
        if name not in self.observables:
            raise unknown_name("observable", name, self.observables)
        return self.observables[name]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.observable(name)
