"""The result of event-exact propagation: every switch of every neuron, and the last cell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Float, Int

from flowtheory.exact import _codes
from flowtheory.outcome import Outcome


class EventKind(IntEnum):
    """What happened to a datum (or to the output weight's sign) at an event."""

    DEACTIVATED = _codes.DEACTIVATED
    ACTIVATED = _codes.ACTIVATED
    SLIDE_BEGINS = _codes.SLIDE_BEGINS
    SLIDE_ENDS_INACTIVE = _codes.SLIDE_ENDS_INACTIVE
    SLIDE_ENDS_ACTIVE = _codes.SLIDE_ENDS_ACTIVE
    SIGN_FLIP = _codes.SIGN_FLIP


@dataclass(frozen=True, eq=False)
class Samples:
    """States at the requested times; NaN where a neuron's run ended before (see its outcome)."""

    times: Float[np.ndarray, " k"]
    direction: Float[np.ndarray, "h k D"]
    log_norm: Float[np.ndarray, "h k"]
    ratio: Float[np.ndarray, "h k"]


@dataclass(frozen=True, eq=False)
class EffectivePaths:
    r"""Paths of $h$ neurons under the effective flow, in the reference clock.

    Events of neuron $j$ are rows `offsets[j]:offsets[j + 1]` of `time`, `datum`, `kind`, `alpha`
    ($|a|$ just after), `phi` and `log_norm` ($\ln|w|$), in order. $\varphi$ is
    $\mathrm{sign}(v)\,\langle \hat w, a\rangle$, so that $\varphi = d\ln|w|/dt$ when $|v| = |w|$.
    `datum` is -1 for a sign flip of $v$.

    The last cell is described by `final_*`: its field has norm `final_alpha` (0 if the neuron is
    dead), and `multipliers` gives each datum's share in it (0 inactive, 1 active, between: slides).
    """

    outcome: tuple[Outcome, ...]
    offsets: Int[np.ndarray, " h+1"]
    time: Float[np.ndarray, " events"]
    datum: Int[np.ndarray, " events"]
    kind: Int[np.ndarray, " events"]
    alpha: Float[np.ndarray, " events"]
    phi: Float[np.ndarray, " events"]
    log_norm: Float[np.ndarray, " events"]
    initial_alpha: Float[np.ndarray, " h"]
    initial_phi: Float[np.ndarray, " h"]
    initial_active: Bool[np.ndarray, "h n"]
    final_alpha: Float[np.ndarray, " h"]
    final_phi: Float[np.ndarray, " h"]
    final_direction: Float[np.ndarray, "h D"]
    final_log_norm: Float[np.ndarray, " h"]
    final_ratio: Float[np.ndarray, " h"]
    multipliers: Float[np.ndarray, "h n"]
    samples: Samples

    @property
    def size(self) -> int:
        """Number of neurons."""
        return len(self.outcome)

    @property
    def last_event_time(self) -> Float[np.ndarray, " h"]:
        """Time of each neuron's last event; 0 where there was none."""
        counts = np.diff(self.offsets)
        last = np.zeros(self.size)
        last[counts > 0] = self.time[self.offsets[1:][counts > 0] - 1]
        return last

    @property
    def final_active(self) -> Bool[np.ndarray, "h n"]:
        """Data fully active in the last cell."""
        return self.multipliers == 1.0

    def events_of(self, neuron: int) -> slice:
        """The rows of one neuron's events."""
        return slice(int(self.offsets[neuron]), int(self.offsets[neuron + 1]))
