r"""When a loss leaves a level: the plateau time $T_\delta$, and start, end and length of plateaus.

All times are crossings of a level by a falling curve. With $\rho$ the largest rise of the curve
(noise, a solver's wiggles; a flow has none), the loss was above the level until the last row before
$L \le \ell + \rho$, and is below it from the first row with $L \le \ell - \rho$: that is the
enclosure. The value is read off the monotone cubic through the non-increasing curve nearest to the
rows (Fritsch and Carlson 1980; itself where the rows never rise).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError, ParameterError
from flowtheory.measure.checks import as_curve, require_in
from flowtheory.measure.measurement import Measurement
from flowtheory.measure.stages import falling, largest_rise, loss_stages, without_rises


class Plateau(NamedTuple):
    """A plateau of a loss curve.

    Attributes:
        start: when nine tenths of the descent before it are done; exact if the run begins in it.
        end: when a tenth of the next descent is done; cut where the run ends in it.
        duration: end - start.
        level: the loss where the gradient is least, within twice the largest rise.
    """

    start: Measurement
    end: Measurement
    duration: Measurement
    level: Measurement


def plateau_time(
    times: Float[np.ndarray, " k"],
    loss: Float[np.ndarray, " k"],
    *,
    saddle: float,
    following: float,
    fraction: float = 0.1,
) -> Measurement:
    r"""$T_\delta = \inf\{t : L(t) \le L_{sad} - \delta (L_{sad} - L_{next})\}$.

    $L_{sad}$ is the loss at the saddle, not that of the start, from which it differs by
    $\varepsilon^k H$; $\delta$ stays fixed as $\varepsilon \to 0$.

    Args:
        times: times, increasing.
        loss: the loss at these times.
        saddle: $L_{sad}$; at the origin of a network without output bias the loss of zero outputs.
        following: $L_{next}$, the level of the next plateau, or the least loss.
        fraction: $\delta$.

    Returns:
        The time, enclosed by rows; cut if the level is not reached.

    Raises:
        DataError: no curve, or one that begins below the level.
        ParameterError: levels in the wrong order, or a fraction outside (0, 1).
    """
    times, loss = as_curve(times, loss)
    require_in(fraction, "the fraction", 0.0, 1.0)
    if not (np.isfinite([saddle, following]).all() and following < saddle):
        raise ParameterError(
            f"the saddle's loss is {saddle!r} and the following level {following!r}",
            expected="finite levels, the following one below the saddle's",
            fix="compute both; for zero outputs and half a mean square L_sad = mean(y^2)/2",
        )
    level = saddle - fraction * (saddle - following)
    if loss[0] <= level:
        raise DataError(
            f"the curve begins at {loss[0]:.6g}, at or below the level {level:.6g}",
            expected="a start above L_sad - fraction (L_sad - L_next)",
            fix="a larger fraction or a smaller start: here the start is not near the saddle",
        )
    definition = f"first time with L <= L_sad - {fraction:g} (L_sad - L_next) = {level:.6g}"
    return crossing(times, loss, level, definition)


def crossing(
    times: Float[np.ndarray, " k"],
    loss: Float[np.ndarray, " k"],
    level: float,
    definition: str,
    rises: float = 1.0,
) -> Measurement:
    """When a falling curve passes a level that is known within `rises - 1` largest rises."""
    rise = largest_rise(loss)
    note = f"rows rise by up to {rise:.2g}" if rise else ""
    slack = rises * rise
    first = int(np.argmax(loss <= level + slack)) if loss.min() <= level + slack else loss.size
    low = float(times[max(first - 1, 0)])
    if loss.min() > level - slack:
        return Measurement.above(low, definition, "time", note or "the run ends above the level")
    high = float(times[np.argmax(loss <= level - slack)])
    value = _interpolate(times, falling(loss), level)
    return Measurement(min(max(value, low), high), low, high, definition, "time", note=note)


def _interpolate(
    times: Float[np.ndarray, " k"], curve: Float[np.ndarray, " k"], level: float
) -> float:
    """Where the monotone cubic through a non-increasing curve passes a level."""
    from scipy.interpolate import PchipInterpolator
    from scipy.optimize import brentq

    if curve[-1] > level:
        return float(times[-1])
    after = max(int(np.argmax(curve <= level)), 1)
    rows = slice(max(after - 2, 0), after + 2)
    first, unit = float(times[after - 1]), float(times[after] - times[after - 1])
    size = curve[rows][0] - curve[rows][-1]
    cubic = PchipInterpolator((times[rows] - first) / unit, (curve[rows] - level) / size)
    if cubic(0.0) <= 0 or cubic(1.0) >= 0:
        return first if cubic(0.0) <= 0 else first + unit
    return first + unit * float(brentq(cubic, 0.0, 1.0, xtol=1e-15))  # type: ignore[arg-type]


def plateaus(
    times: Float[np.ndarray, " k"],
    loss: Float[np.ndarray, " k"],
    *,
    prominence: float = 10.0,
    drop: float = 1e-3,
) -> tuple[Plateau, ...]:
    """The plateaus of `loss_stages`, in order, with enclosures; the second is the secondary one.

    Args:
        times: times, increasing.
        loss: the loss at these times.
        prominence: as in `loss_stages`.
        drop: as in `loss_stages`.

    Raises:
        DataError: no curve.
        ParameterError: thresholds out of range.
    """
    times, loss = as_curve(times, loss)
    stages = loss_stages(times, loss, prominence=prominence, drop=drop)
    found = []
    for stage in stages:
        if stage.kind == "plateau":
            start = _edge(times, loss, stage.start, "nine tenths of the descent before are done")
            end = _edge(times, loss, stage.end, "a tenth of the next descent is done")
            level = _level(stage.level, largest_rise(loss))
            found.append(Plateau(start, end, _duration(start, end), level))
    return tuple(found)


def _edge(
    times: Float[np.ndarray, " k"], loss: Float[np.ndarray, " k"], time: float, definition: str
) -> Measurement:
    """The edge of a stage, enclosed by the rows between which the loss passes its level there."""
    if time == times[0]:
        return Measurement.exact(time, "the run begins", "time")
    if time == times[-1]:
        return Measurement.above(time, definition, "time", "the run ends in this plateau")
    level = float(np.interp(time, *without_rises(times, loss)))
    # The levels of the plateaus around it, of which this one is a mean, are known to two rises.
    return crossing(times, loss, level, definition, rises=3.0)


def _level(level: float, rise: float) -> Measurement:
    definition = "loss where -dL/dt is least between two descents"
    return Measurement(level, level - 2 * rise, level + 2 * rise, definition, "loss")


def _duration(start: Measurement, end: Measurement) -> Measurement:
    definition = "end - start of a plateau"
    if start.cut:
        return Measurement.above(0.0, definition, "time", start.note)
    if end.cut:
        return Measurement.above(max(end.low - start.high, 0.0), definition, "time", end.note)
    low, high = max(end.low - start.high, 0.0), end.high - start.low
    return Measurement(end.value - start.value, low, high, definition, "time", note=end.note)
