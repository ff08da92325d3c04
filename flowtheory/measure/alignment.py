r"""Alignment times, in three definitions, with what ended where and what was not reached.

- `pattern`: the last switch of the activation pattern $1[\langle w, x_i\rangle > 0]$. This is the
  quantity of the theorem of Min, Mallada and Vidal (2024).
- `cosine`: from then on, the time at which $\cos(w, a) \ge 1 - \delta$ with the field $a$ of the
  last cell ($x_+$ or $x_-$ under Assumption 1).
- `phi`: the time at which $\varphi = d\ln|w|/dt$ reaches $(1 - \delta)|a|$; needs norms only, and
  $\varphi$ never decreases, so it is crossed once.

No "speed of the direction below a tolerance": that speed is not monotone and drops to about
$\mu$ while a neuron waits at a partial sum, which reads as a false plateau.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

from flowtheory.errors import ParameterError
from flowtheory.outcome import Outcome


class Cone(Enum):
    """Where a neuron's activation pattern ended."""

    OWN = "own"  # active exactly on the data of its own sign: S_+ for v > 0, S_- for v < 0
    DEAD = "dead"  # active nowhere
    OTHER = "other"  # anything else (possible only on data that violate Assumption 1)


class Paths(Protocol):
    """What is read of a run: the switches, and the first and last cell (see `exact`)."""

    @property
    def outcome(self) -> tuple[Outcome, ...]: ...  # noqa: D102
    @property
    def offsets(self) -> Int[np.ndarray, " h+1"]: ...  # noqa: D102
    @property
    def time(self) -> Float[np.ndarray, " events"]: ...  # noqa: D102
    @property
    def alpha(self) -> Float[np.ndarray, " events"]: ...  # noqa: D102
    @property
    def phi(self) -> Float[np.ndarray, " events"]: ...  # noqa: D102
    @property
    def initial_alpha(self) -> Float[np.ndarray, " h"]: ...  # noqa: D102
    @property
    def initial_phi(self) -> Float[np.ndarray, " h"]: ...  # noqa: D102
    @property
    def final_alpha(self) -> Float[np.ndarray, " h"]: ...  # noqa: D102
    @property
    def final_phi(self) -> Float[np.ndarray, " h"]: ...  # noqa: D102
    @property
    def final_ratio(self) -> Float[np.ndarray, " h"]: ...  # noqa: D102
    @property
    def multipliers(self) -> Float[np.ndarray, "h n"]: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class AlignmentTimes:
    """Per neuron: the three times (NaN where not defined), where it ended, and the censoring.

    `slowest_rate` is the least |a| over the visited cells that move the neuron: the rate of the
    a-posteriori bound, in which it takes the place of X_min. `first_phi` is phi at time 0.
    """

    pattern: Float[np.ndarray, " h"]
    cosine: Float[np.ndarray, " h"]
    phi: Float[np.ndarray, " h"]
    cone: tuple[Cone, ...]
    censored: Bool[np.ndarray, " h"]
    slowest_rate: Float[np.ndarray, " h"]
    first_phi: Float[np.ndarray, " h"]
    delta: float
    horizon: float

    @property
    def live(self) -> Bool[np.ndarray, " h"]:
        """Neurons that are neither dead nor censored."""
        dead = np.array([cone is Cone.DEAD for cone in self.cone])
        return ~dead & ~self.censored

    @property
    def counts(self) -> dict[str, int]:
        """How many neurons ended live, dead, and censored."""
        censored, live = int(self.censored.sum()), int(self.live.sum())
        return {"live": live, "dead": len(self.cone) - live - censored, "censored": censored}

    def quantiles(self, definition: str = "pattern") -> dict[str, float]:
        """Median, 95 % quantile and maximum over live neurons (NaN if there are none)."""
        values = {"pattern": self.pattern, "cosine": self.cosine, "phi": self.phi}
        if definition not in values:
            raise ParameterError(
                f"no alignment time is called {definition!r}",
                expected=f"one of {', '.join(values)}",
                fix="quantiles('pattern')",
            )
        live = values[definition][self.live]
        if not live.size:
            return dict.fromkeys(("median", "q95", "max"), float("nan"))
        median, q95, largest = np.quantile(live, [0.5, 0.95, 1.0])
        return {"median": float(median), "q95": float(q95), "max": float(largest)}


def alignment_times(
    paths: Paths,
    labels: Float[np.ndarray, " n"],
    *,
    delta: float = 1e-3,
    horizon: float = np.inf,
) -> AlignmentTimes:
    """Alignment times of a balanced run, in the run's own clock.

    Args:
        paths: the switches of every neuron.
        labels: -1 or +1 per datum, against which the last pattern is classified.
        delta: tolerance of the cosine and phi definitions.
        horizon: time of censoring (for the full flow: the escape time). A neuron whose last switch
            is later, or whose run failed, is censored: its time is NaN, never infinity.

    Raises:
        ParameterError: delta outside (0, 1).
    """
    if not 0 < delta < 1:
        raise ParameterError(
            f"delta is {delta!r}", expected="a number in (0, 1)", fix="leave it at 1e-3"
        )
    counts = np.diff(paths.offsets)
    last = np.zeros(counts.size)
    last[counts > 0] = paths.time[paths.offsets[1:][counts > 0] - 1]
    failed = np.array([not outcome.ok for outcome in paths.outcome])
    censored = failed | (last > horizon)
    cone = _cones(paths, labels)
    return AlignmentTimes(
        pattern=np.where(censored, np.nan, last),
        cosine=_per_neuron(paths, censored, cone, delta, last, _cosine_time),
        phi=_per_neuron(paths, censored, cone, delta, last, _phi_time),
        cone=cone,
        censored=censored,
        slowest_rate=np.array([_slowest(paths, j) for j in range(counts.size)]),
        first_phi=paths.initial_phi,
        delta=delta,
        horizon=horizon,
    )


def _cones(paths: Paths, labels: np.ndarray) -> tuple[Cone, ...]:
    own = np.sign(paths.final_ratio)[:, None] * labels > 0
    active = paths.multipliers == 1.0
    dead: np.ndarray = np.all(paths.multipliers == 0, axis=1)
    unambiguous = (paths.multipliers == 0) | active
    in_own: np.ndarray = np.all((active == own) & unambiguous, axis=1)
    return tuple(
        Cone.DEAD if dead[j] else Cone.OWN if in_own[j] else Cone.OTHER for j in range(len(dead))
    )


def _per_neuron(
    paths: Paths,
    censored: np.ndarray,
    cone: tuple[Cone, ...],
    delta: float,
    last: np.ndarray,
    measure: Callable[[Paths, int, float, float], float],
) -> np.ndarray:
    times = np.full(censored.size, np.nan)
    for j in np.flatnonzero(~censored).tolist():
        if cone[j] is not Cone.DEAD and paths.final_alpha[j] > 0:
            times[j] = measure(paths, j, delta, last[j])
    return times


def _cosine_time(paths: Paths, j: int, delta: float, last: float) -> float:
    """T_pat + (artanh(1 - delta) - artanh cos)/|a|: the half-angle law of the last cell."""
    cosine = paths.final_phi[j] / paths.final_alpha[j]
    if cosine >= 1 - delta:
        return last
    return last + (np.arctanh(1 - delta) - np.arctanh(max(cosine, -1.0))) / paths.final_alpha[j]


def _phi_time(paths: Paths, j: int, delta: float, last: float) -> float:
    """First time at which phi reaches (1 - delta)|a_final|: phi = |a| tanh in every cell."""
    rows = slice(int(paths.offsets[j]), int(paths.offsets[j + 1]))
    time = np.concatenate([[0.0], paths.time[rows]])
    phi = np.concatenate([[paths.initial_phi[j]], paths.phi[rows]])
    alpha = np.concatenate([[paths.initial_alpha[j]], paths.alpha[rows]])
    target = (1 - delta) * paths.final_alpha[j]
    if phi[0] >= target:
        return 0.0
    reached = np.flatnonzero(phi >= target)
    cell = (reached[0] if reached.size else phi.size) - 1
    start, rate = phi[cell], alpha[cell]
    return time[cell] + (np.arctanh(target / rate) - np.arctanh(max(start / rate, -1.0))) / rate


def _slowest(paths: Paths, j: int) -> float:
    rows = slice(int(paths.offsets[j]), int(paths.offsets[j + 1]))
    rates = np.concatenate([[paths.initial_alpha[j]], paths.alpha[rows]])
    moving = rates[rates > 0]
    return float(moving.min()) if moving.size else float("nan")
