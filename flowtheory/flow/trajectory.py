"""The result of a run: what was saved, every pattern switch, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from flowtheory.clock import Clock
from flowtheory.errors import unknown_name
from flowtheory.flow.field import TwoLayer
from flowtheory.outcome import Outcome


class Switches(NamedTuple):
    """Pattern switches in order of time; one entry each.

    Attributes:
        time: located time of the switch, in the run's clock.
        neuron: index j.
        datum: index i.
        on: whether the datum became active for the neuron.
    """

    time: Float[np.ndarray, " s"]
    neuron: Int[np.ndarray, " s"]
    datum: Int[np.ndarray, " s"]
    on: Bool[np.ndarray, " s"]


class Statistics(NamedTuple):
    """What a run cost.

    Attributes:
        accepted: accepted steps, those that land on an event included.
        rejected: steps rejected by the error norm.
        evaluations: evaluations of the vector field.
        stretches: calls of the compiled loop.
        seconds: wall time, compilation included.
    """

    accepted: int
    rejected: int
    evaluations: int
    stretches: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Trajectory:
    r"""An integrated gradient flow. All arrays are float64 NumPy (patterns bool), read-only.

    Attributes:
        times: saved times, shape (k,), in the run's clock; the start first, the end last.
        observables: name -> array of shape (k, ...): `loss`, and what the run was asked to save.
        errors: name -> error bar of the observable of that name, same shape; empty where the run
            is adaptive with located events (its error is set by `rtol`).
        params: parameters at the end.
        pattern: activation pattern at the end, shape (h, n); kept by book-keeping, so it is right
            on a kink too.
        switches: every pattern switch; empty where the method does not locate them.
        escape_time: first time with $\max_i |f(x_i)|$ above `escape_level`; inf if that was not
            reached (or not watched).
        escape_level: the level of `escape_time`.
        outcome: how the run ended; ask `outcome.ok`.
        clock: the run's time convention.
        method: integrator, in words.
        rtol: relative tolerance a step, or the constant c of a run with fixed-type steps.
        atol: absolute tolerance a step (0 where there is none).
        statistics: what it cost.
    """

    times: Float[np.ndarray, " k"]
    observables: Mapping[str, np.ndarray]
    errors: Mapping[str, np.ndarray]
    params: TwoLayer
    pattern: Bool[np.ndarray, "h n"]
    switches: Switches
    escape_time: float
    escape_level: float
    outcome: Outcome
    clock: Clock
    method: str
    rtol: float
    atol: float
    statistics: Statistics

    def __post_init__(self) -> None:
        for name in ("observables", "errors"):
            frozen = {key: readonly(value) for key, value in getattr(self, name).items()}
            object.__setattr__(self, name, MappingProxyType(frozen))
        object.__setattr__(self, "params", TwoLayer(*map(readonly, self.params)))  # type: ignore[arg-type]
        object.__setattr__(self, "switches", Switches(*map(readonly, self.switches)))
        for name in ("times", "pattern"):
            object.__setattr__(self, name, readonly(getattr(self, name)))

    @property
    def t_end(self) -> float:
        """Time at which the run ended."""
        return float(self.times[-1])

    @property
    def loss(self) -> Float[np.ndarray, " k"]:
        """Loss at the saved times, in the clock's reduction."""
        return self["loss"]

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.observables:
            raise unknown_name("observable", name, self.observables)
        return self.observables[name]

    def saved_params(self) -> TwoLayer:
        """Parameters at the saved times, W of shape (k, h, D) and v of shape (k, h).

        Raises:
            UnknownNameError: the run did not save `weights`.
        """
        return TwoLayer(self["W"], self["v"])  # type: ignore[arg-type]

    def last_switch_times(self) -> Float[np.ndarray, " h"]:
        """Time of the last pattern switch of every neuron; 0 for one that never switched."""
        last = np.zeros(len(self.pattern))
        np.maximum.at(last, self.switches.neuron, self.switches.time)
        return last

    def switch_counts(self) -> Int[np.ndarray, "h n"]:
        """How often each (neuron, datum) switched; at most once under Assumption 1."""
        counts = np.zeros(self.pattern.shape, dtype=np.int64)
        np.add.at(counts, (self.switches.neuron, self.switches.datum), 1)
        return counts


def readonly(value: Any) -> np.ndarray:
    """A copy that cannot be written to."""
    array = np.array(value)
    array.setflags(write=False)
    return array
