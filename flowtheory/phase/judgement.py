r"""What a measured diagram says about the boundary and the slopes of the theory.

At finite widths slopes are those of infinite width up to terms of order $1/\ln m$; what is judged
is therefore stated with tolerances, and against alternatives that they must tell apart:

- the boundary, for multiplicity 1: $\gamma = 1$ for $\gamma' \le 0$ and $\gamma' = \gamma - 1$
  above, against $\gamma = 1$ throughout (a boundary that ignores $\gamma'$);
- the slopes, by the prediction at the same widths (`prediction`): for multiplicity 1 against the
  published upper bounds on RD taken as equalities (Luo et al. 2021, Theorem 6), for leaders against
  exponents of a fit that all neurons share.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from flowtheory.judge.verdict import Verdict
from flowtheory.phase.diagram import Diagram
from flowtheory.phase.slopes import rms
from flowtheory.symbolic.activation import find_activation

BOUNDARY = 0.02
"""Tolerance of zero crossings for gamma' >= 0; below, finite widths shift them by up to 0.08."""
ONE_SEED = 0.1
"""What the noise of a single start may do to a zero crossing, at widths from 256 on."""


class Judged(NamedTuple):
    """One question and its answer.

    Attributes:
        name: what is asked.
        verdict: the answer.
        left: root mean square of what is left of the theory.
        tolerance: below which it agrees.
        alternative: the other theory, in words.
        other: what is left of that.
        scope: of how many rows or points it is made.
    """

    name: str
    verdict: Verdict
    left: float
    tolerance: float
    alternative: str
    other: float
    scope: str


def judged(diagram: Diagram) -> tuple[Judged, ...]:
    """The verdicts on the boundary, of multiplicity 1, and on the slopes."""
    single = find_activation(diagram.activation).local.multiplicity == 1
    return (boundary(diagram), slopes(diagram)) if single else (slopes(diagram),)


def boundary(diagram: Diagram) -> Judged:
    r"""Zero crossings of $S_w$ in the rows with $\gamma' \ge 0$ that have one."""
    rows = (diagram.gamma_prime >= 0) & np.isfinite(diagram.zeros())
    zeros = diagram.zeros()[rows]
    left, other = rms(zeros - diagram.boundary()[rows]), rms(zeros - 1.0)
    name, alternative = "the boundary is at max(1, 1 + gamma')", "a boundary at gamma = 1"
    noise = _noise(diagram)[rows] if diagram.seeds > 1 else np.full(len(zeros), ONE_SEED)
    verdict = verdict_of(left, other, BOUNDARY, rms(noise))
    return Judged(name, verdict, left, BOUNDARY, alternative, other, f"{len(zeros)} zero crossings")


def slopes(diagram: Diagram) -> Judged:
    r"""$S_w$ at all points that were reached, and of which something is predicted."""
    measured, theory = diagram.slopes.hidden, diagram.prediction
    left, other = theory.left(measured), theory.left_of_other(measured)
    points = f"{int((np.isfinite(measured) & theory.where).sum())} points"
    verdict = verdict_of(left, other, theory.tolerance)
    return Judged(theory.claim, verdict, left, theory.tolerance, theory.alternative, other, points)


def _noise(diagram: Diagram) -> np.ndarray:
    """Half the interval of every zero crossing: that of the slopes beside it over their rise."""
    gamma, zeros = diagram.gamma, diagram.zeros()
    found = np.full(len(zeros), np.nan)
    for row in np.flatnonzero(np.isfinite(zeros)):
        k = min(int(np.searchsorted(gamma, zeros[row], side="right")) - 1, len(gamma) - 2)
        rise = np.diff(diagram.slopes.hidden[row, k : k + 2])[0] / (gamma[k + 1] - gamma[k])
        found[row] = diagram.error[row, k : k + 2].max() / rise
    return found


def verdict_of(left: float, other: float, tolerance: float, noise: float = 0.0) -> Verdict:
    """Of two theories: the one within the tolerance, if the other is not; noise excuses no theory.

    One that is off by less than twice the tolerance and the noise is not refuted either.
    """
    if not np.isfinite(left):
        return Verdict.INCONCLUSIVE
    if left <= tolerance:
        return Verdict.AGREES if other > tolerance else Verdict.INCONCLUSIVE
    return Verdict.DISAGREES if left > 2 * tolerance + noise else Verdict.INCONCLUSIVE
