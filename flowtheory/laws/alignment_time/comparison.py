r"""Holding one batch of neurons against the bounds that apply to each of them.

Everything is dimensionless ($T X_{min}$ against the bound times $X_{min}$), for $V_+$ neurons; the
mirror problem covers $V_-$.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from flowtheory.data import Case
from flowtheory.exact import propagate
from flowtheory.judge import Evidence
from flowtheory.laws.alignment_time import formulas
from flowtheory.laws.alignment_time.proof import Neuron
from flowtheory.laws.rows import evidence
from flowtheory.measure import AlignmentTimes, Cone, alignment_times

PARTS = ("a", "b", "c")
_ROUNDING = 1e-11  # of times from event-exact propagation
_ULPS = 1e-13  # of the directions of a start and of x_-, propagated


@dataclass(frozen=True, eq=False)
class Comparison:
    """Measured T X_min with its error and the applicable bound, per neuron, and the part."""

    case: Case
    times: AlignmentTimes
    measured: Float[np.ndarray, " h"]
    predicted: Float[np.ndarray, " h"]
    part: np.ndarray
    error: Float[np.ndarray, " h"]

    def row(
        self,
        experiment: str,
        *,
        part: str | None = None,
        predicted: Float[np.ndarray, " h"] | float | None = None,
        seed: int | None = None,
        note: str = "",
    ) -> Evidence | None:
        """The neuron with the largest ratio, among those to which `part` applies (None: all).

        `predicted` replaces the theorem's bound; None if no neuron qualifies.
        """
        bound = np.broadcast_to(self.predicted if predicted is None else predicted, self.part.shape)
        chosen = np.isfinite(self.measured)
        if part is not None:
            chosen = chosen & (self.part == part)
        if not chosen.any():
            return None
        j = int(np.argmax(np.where(chosen, self.measured, -np.inf) / bound))
        row = evidence(
            experiment,
            self.case.data,
            bound[j],
            self.measured[j],
            family=self.case.family,
            h=self.case.h,
            seed=seed,
            counts=self.times.counts,
            note=note or (f"part {part}" if part else ""),
        )
        data, case = self.case.data, self.case
        neuron = Neuron(data.x, data.y, case.w0[j], case.active[j], str(self.part[j]))
        return replace(row, error=float(self.error[j]), instance=neuron)


def align(case: Case, *, delta: float = 1e-3) -> AlignmentTimes:
    """Alignment times of the case's neurons (v > 0, balanced) under the effective flow."""
    data = case.data
    paths = propagate(data.x, data.y, case.w0, active=case.active)
    return alignment_times(paths, data.y, delta=delta)


def compare(case: Case) -> Comparison:
    """Propagate and compare each neuron with its part of the sharp theorem.

    Parts: (a) any start outside S_-; (b) phi(0) >= 0, or the neuron dies; (c) a start in S_-, with
    the time spent there added. Neurons that start dead are left out (NaN).
    """
    data, times = case.data, align(case)
    started_dead = ~case.active.any(axis=1)
    in_repelling_cone = (case.active == (data.y < 0)).all(axis=1) & ~started_dead
    dies = np.array([cone is Cone.DEAD for cone in times.cone])
    part = np.where(in_repelling_cone, "c", np.where(dies | (times.first_phi >= 0), "b", "a"))
    plain = float(formulas.bound(data.mu))
    predicted = np.where(part == "b", float(formulas.rising_bound(data.mu)), plain)
    measured = np.where(started_dead, np.nan, times.pattern * data.x_min)
    error = _ROUNDING * measured
    if in_repelling_cone.any():
        angle = _angle_to(case.w0[in_repelling_cone], data.x_minus)
        extra = formulas.repeller_term(angle, np.linalg.norm(data.x_minus))
        predicted[in_repelling_cone] += extra * data.x_min
        # Rounding errors of w_0 are errors of the small angle to x_-, on which the time depends.
        unit = data.x_min / np.linalg.norm(data.x_minus)
        error[in_repelling_cone] += _ULPS / angle * unit
    return Comparison(case, times, measured, predicted, part, error)


def a_posteriori(comparison: Comparison) -> Float[np.ndarray, " h"]:
    """The bounds with X_min replaced by the least |a| that the neuron visited."""
    scale = comparison.case.data.x_min / comparison.times.slowest_rate
    plain = np.where(
        comparison.part == "b",
        float(formulas.rising_bound(comparison.case.data.mu)),
        float(formulas.bound(comparison.case.data.mu)),
    )
    return comparison.predicted - plain + plain * scale


def _angle_to(w: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Angle between rows and an axis, accurate for small angles."""
    unit = axis / np.linalg.norm(axis)
    rows = w / np.linalg.norm(w, axis=1, keepdims=True)
    along = rows @ unit
    across = np.linalg.norm(rows - along[:, None] * unit, axis=1)
    return np.arctan2(across, along)
