r"""Plateaus and descents of a loss curve.

A descent is a local maximum of $-L' = |\nabla L|^2$ that stands out by a factor of ten on both
sides and across which the loss drops by at least $10^{-3} L(0)$; without the second condition the
noise of a converged run has dozens. A plateau is what lies between two descents; its level is the
loss where $|\nabla L|^2$ is least.

The loss of a gradient flow never rises. The largest rise $\rho$ of the curve above an earlier
value is therefore what noise and a solver's wiggles do to it, and nothing below that is read: the
curve is replaced by the non-increasing one nearest to it in least squares, sampled whenever it has
fallen by $2\rho$, and a descent falls by at least $4\rho$.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from flowtheory.errors import ParameterError
from flowtheory.measure.checks import as_curve

Kind = Literal["plateau", "descent", "late"]

_NOISE = 1e-13  # of the largest loss: what rounding may make of a difference
_STEP, _LEAST = 2.0, 4.0  # falls between rows that are kept, and of a descent, in largest rises
_EDGE = 0.1


class LossStage(NamedTuple):
    """A part of a loss curve.

    Attributes:
        kind: plateau, descent, or late: the end of a run whose loss is below the smallest drop.
        start: time at which it begins: a descent when a tenth of its drop is done.
        end: time at which it ends: a descent when nine tenths are done.
        level: of a plateau the loss where the gradient is least; of a descent the loss where it is
            largest.
        error: of the level: the change of the loss between the two rows that are nearest to it.
    """

    kind: Kind
    start: float
    end: float
    level: float
    error: float = 0.0


def loss_stages(
    times: Float[np.ndarray, " k"],
    loss: Float[np.ndarray, " k"],
    *,
    prominence: float = 10.0,
    drop: float = 1e-3,
) -> tuple[LossStage, ...]:
    r"""Plateaus and descents, in order; they cover the run.

    Args:
        times: times, increasing.
        loss: the loss at these times.
        prominence: factor by which $-L'$ at a descent exceeds its least value on either side.
        drop: least drop of the loss across a descent, in units of $L(0)$.

    Raises:
        DataError: arrays of different or too small length, times that do not increase, values that
            are not finite.
        ParameterError: a prominence not above 1, or a drop not in (0, 1).
    """
    times, loss = as_curve(times, loss)
    _require(prominence, drop)
    least = max(drop * abs(loss[0]), _LEAST * largest_rise(loss))
    times, loss = without_rises(times, loss)
    rate = _log_rate(times, loss)
    if rate is None:
        return (LossStage("plateau", times[0], times[-1], float(loss[0])),)
    peaks = _descents(rate, loss, math.log10(prominence), least)
    return _cover(times, loss, rate, peaks, math.log10(prominence), least)


def largest_rise(loss: Float[np.ndarray, " k"]) -> float:
    r"""$\rho = \max_{s<t} (L(t) - L(s))$, the largest rise; 0 if it is only rounding."""
    rise = float(np.max(loss - np.minimum.accumulate(loss)))
    return rise if rise > _NOISE * np.max(np.abs(loss)) else 0.0


def falling(loss: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    """The non-increasing curve that is nearest in least squares."""
    from scipy.optimize import isotonic_regression

    return isotonic_regression(loss, increasing=False).x


def without_rises(
    times: Float[np.ndarray, " k"], loss: Float[np.ndarray, " k"]
) -> tuple[Float[np.ndarray, " r"], Float[np.ndarray, " r"]]:
    """The falling curve at the rows where it has fallen by two rises, and at both ends.

    A curve that does not rise is returned as it is.
    """
    rise = largest_rise(loss)
    if rise == 0:
        return times, loss
    curve = falling(loss)
    kept = [0]
    while True:
        after = int(np.searchsorted(-curve, _STEP * rise - curve[kept[-1]]))
        if after >= len(curve) - 1:
            break
        kept.append(after)
    rows = np.array([*kept, len(curve) - 1])
    return times[rows], curve[rows]


def _log_rate(
    times: Float[np.ndarray, " k"], loss: Float[np.ndarray, " k"]
) -> Float[np.ndarray, " k-1"] | None:
    """log10 of -L' between neighbouring times; None if the loss never falls by more than noise.

    Where the loss does not change by more than rounding, what is known on both sides is joined.
    """
    fall = -np.diff(loss)
    known = np.flatnonzero(fall > _NOISE * np.max(np.abs(loss)))
    if known.size == 0:
        return None
    rates = np.log10(fall[known]) - np.log10(np.diff(times)[known])
    return np.interp(np.arange(fall.size), known, rates)


def _descents(
    rate: Float[np.ndarray, " k-1"], loss: Float[np.ndarray, " k"], decades: float, drop: float
) -> Int[np.ndarray, " d"]:
    """The intervals in which the loss falls fastest, one a descent."""
    from scipy.signal import find_peaks

    # Lower ends on both sides: a run may begin or end in the middle of a descent.
    bottom = rate.min() - 10 * decades
    padded = np.concatenate([[bottom], rate, [bottom]])
    peaks = find_peaks(padded, prominence=decades)[0] - 1
    cuts = _valleys(rate, peaks)
    falls = [loss[a] - loss[b + 1] for a, b in pairwise(cuts)]
    return peaks[np.array(falls) >= drop] if peaks.size else peaks


def _valleys(rate: Float[np.ndarray, " k-1"], peaks: Int[np.ndarray, " d"]) -> list[int]:
    """Where the loss falls slowest: before the first peak, between peaks, after the last."""
    edges = [0, *(int(p) for p in peaks), rate.size - 1]
    return [a + int(np.argmin(rate[a : b + 1])) for a, b in pairwise(edges)]


def _slowest_row(rate: Float[np.ndarray, " k-1"], cut: int) -> int:
    """The end of an interval at which the loss falls slower, as the intervals beyond it tell.

    Where rows are few, all of a descent's tail may lie in the interval in which it falls slowest.
    """
    before = rate[cut - 1] if cut > 0 else -math.inf
    after = rate[cut + 1] if cut + 1 < rate.size else -math.inf
    return cut if before <= after else cut + 1


def _cover(
    times: Float[np.ndarray, " k"],
    loss: Float[np.ndarray, " k"],
    rate: Float[np.ndarray, " k-1"],
    peaks: Int[np.ndarray, " d"],
    decades: float,
    drop: float,
) -> tuple[LossStage, ...]:
    """The stages between and at the descents."""
    cuts = _valleys(rate, peaks)
    levels = [float(loss[_slowest_row(rate, cut)]) for cut in cuts]
    changes = -np.diff(loss)
    falling = np.minimum.accumulate(loss)
    stages, now = [], float(times[0])
    for k, peak in enumerate(peaks):
        high, low = levels[k], levels[k + 1]
        edges = np.array([high - _EDGE * (high - low), low + _EDGE * (high - low)])
        start, end = np.interp(-edges, -falling, times)
        # No valley on the outer side: the run begins, or ends, inside this descent.
        if k == 0 and rate[peak] - rate[cuts[0]] < decades:
            start = times[0]
        if k == len(peaks) - 1 and rate[peak] - rate[cuts[-1]] < decades:
            end = times[-1]
        if start > now:
            error = float(changes[cuts[k]])
            stages.append(LossStage("plateau", now, float(start), high, error))
        middle = float((loss[peak] + loss[peak + 1]) / 2)
        half = float(changes[peak] / 2)
        stages.append(LossStage("descent", float(start), float(end), middle, half))
        now = float(end)
    if now < times[-1]:
        left: Kind = "plateau" if levels[-1] > drop else "late"
        error = float(changes[cuts[-1]])
        stages.append(LossStage(left, now, float(times[-1]), levels[-1], error))
    return tuple(stages)


def _require(prominence: float, drop: float) -> None:
    if not (math.isfinite(prominence) and prominence > 1 and 0 < drop < 1):
        raise ParameterError(
            f"prominence is {prominence!r} and drop {drop!r}",
            expected="a prominence > 1 and a drop in (0, 1)",
            fix="10 and 1e-3 (default)",
        )
