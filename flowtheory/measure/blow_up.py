r"""Blow-up times from norms alone, and the degree of the growth.

For the gradient flow of a $k$-homogeneous $H$, $k > 2$, the norm obeys $\dot r = k h r^{k-1}$ with
$h = H(\theta)/r^k$, which never decreases while $H > 0$. Hence $y = r^{-(k-2)}$ is concave in $t$,
$\dot y = -k(k-2) h \to -k(k-2) h_*$, and $T^*$ is the zero of $y$. A tangent lies above:

$$ t + \frac{y}{k(k-2) h_{\max}} \;\le\; T^* \;\le\; t + \frac{r}{(k-2)\dot r}
   = t + \frac{r^2}{k(k-2) H} . $$
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError, ParameterError
from flowtheory.measure.checks import require_in
from flowtheory.measure.growth import ROWS, log_curve
from flowtheory.measure.line import Line, fit_line
from flowtheory.measure.measurement import Measurement
from flowtheory.outcome import Outcome

_BEND = 1e-2  # relative change of h over the window that is no evidence of a decrease
_WIDEST = 50.0  # ln of the largest ratio of y in a window: beyond, one row decides
_LARGEST = 700.0  # the exponential of more overflows
_TIME = "zero of y = |theta|^-(k-2)"
_LIMIT = "h_* = -y'/(k(k-2)) over the window"


class BlowUpTime(NamedTuple):
    r"""A blow-up time, and the slope it rests on.

    Attributes:
        outcome: `BLEW_UP` or `NOT_DETECTED`.
        time: $T^*$; cut at the last row where no blow-up was detected, the note saying why.
        limit: $h_*$, to be compared with the largest $H$ on the unit sphere; cut likewise.
    """

    outcome: Outcome
    time: Measurement
    limit: Measurement


def blow_up_time(
    times: Float[np.ndarray, " r"],
    norms: Float[np.ndarray, " r"],
    degree: float,
    *,
    energy: float | None = None,
    rate: float | None = None,
    largest: float | None = None,
    time_error: float = 0.0,
    window: float = 2.0,
    gain: float = 6.0,
    level: float = 0.95,
) -> BlowUpTime:
    r"""$T^*$ by regression of $t$ on $y = |\theta|^{-(k-2)}$ over a late window.

    The window holds the last rows with norms within a factor $e^{window}$ of the last one. A
    blow-up is detected only if the norm grew by $e^{gain}$ over the run and $h$ does not decrease
    over the window; else the time is cut at the last row: it may be infinite.

    Args:
        times: times, increasing.
        norms: $|\theta|$ at these times.
        degree: $k$, the degree of $H$; `growth_degree` measures it.
        energy: $H$ at the last row. With it, or with `rate`, the interval is the enclosure by the
            tangent, certain if $H > 0$ and the rows are right within `time_error`. Without, it is
            the confidence interval of the regression.
        rate: $d|\theta|/dt$ at the last row.
        largest: $h_{\max}$, the largest $H$ on the unit sphere: the enclosure's lower end.
        time_error: what the integration may have shifted the times by; added to both ends.
        window: logarithm of the factor.
        gain: least logarithm of the growth.
        level: of the confidence interval.

    Raises:
        DataError: no curve of positive norms, or fewer than four rows in the window.
        ParameterError: a degree that is not above 2, or other numbers out of range.
    """
    times, logs = log_curve(times, norms, "the norm")
    _require(degree, largest, window, gain, level)
    require_in(time_error, "the error of the times", 0.0, np.finfo(float).max, closed=True)
    reason = _no_growth(logs, gain, energy, rate)
    if reason:
        return _not_detected(times[-1], reason)
    rows = _late(logs, window)
    # y in units of its last value: no power of a norm over- or underflows.
    y = np.exp((degree - 2) * (logs[-1] - logs[rows]))
    line = fit_line(y, times[rows], level)
    if line.bend > line.bend_error + _BEND * abs(line.slope) or line.slope >= 0:
        return _not_detected(times[-1], "h decreases over the window")
    unit = (degree - 2) * float(logs[-1])  # -ln of the last y
    ends = _tangents(times[-1], logs[-1], degree, energy, rate, largest)
    time = _time(line, times[-1], ends, level, time_error)
    return BlowUpTime(Outcome.BLEW_UP, time, _limit(line, degree, unit, level))


def growth_degree(
    times: Float[np.ndarray, " r"],
    norms: Float[np.ndarray, " r"],
    *,
    window: float = 2.0,
    level: float = 0.95,
) -> Measurement:
    r"""$k$ from $d\ln\dot r/d\ln r = k - 1$ over a late window; 2 is exponential growth.

    With $u = \ln r$ the slope of $\ln(dt/du)$ against $u$ is $-(k-2)$. Between two rows the mean of
    $e^{-(k-2)u}$ exceeds its value in the middle by the factor $\sinh(z)/z$, $z = (k-2)\Delta u/2$,
    which is divided out: a power law is read exactly at any spacing of the rows.

    Args:
        times: times, increasing.
        norms: $|\theta|$ at these times, increasing in the window.
        window: the window holds norms within a factor $e^{window}$ of the last.
        level: of the interval.

    Raises:
        DataError: no curve of positive norms, fewer than five rows in the window, or norms that do
            not increase there.
        ParameterError: a window that is not positive, or a level outside (0, 1).
    """
    times, logs = log_curve(times, norms, "the norm")
    _require(3.0, None, window, 1.0, level)
    rows = _late(logs, window, ROWS + 1)
    steps = np.diff(logs[rows])
    if np.any(steps <= 0):
        raise DataError(
            "norms do not increase in the window",
            expected="norms that grow from row to row",
            fix="a shorter window, or fewer rows if the norms are noisy",
        )
    middle, slow = (logs[rows][1:] + logs[rows][:-1]) / 2, np.log(np.diff(times[rows]) / steps)
    excess, line = 0.0, fit_line(middle, slow, level)
    for _ in range(50):
        line = fit_line(middle, slow - _log_sinhc(excess * steps / 2), level)
        excess, before = -line.slope, excess
        if abs(excess - before) <= 1e-14 * max(1.0, abs(excess)):
            break
    value, half = 2.0 - line.slope, line.slope_error
    definition = f"1 + d ln(d|theta|/dt) / d ln|theta|, {rows.size} rows"
    return Measurement(value, value - half, value + half, definition, "1", level)


def _log_sinhc(z: Float[np.ndarray, " r"]) -> Float[np.ndarray, " r"]:
    small = np.abs(z) < 1e-3
    safe = np.where(small, 1.0, z)
    return np.where(small, z**2 / 6, np.log(np.sinh(safe) / safe))


def _require(
    degree: float, largest: float | None, window: float, gain: float, level: float
) -> None:
    if not (np.isfinite(degree) and degree > 2):
        raise ParameterError(
            f"degree is {degree!r}",
            expected="a degree above 2: below, growth is exponential or slower, without blow-up",
            fix="growth_degree(times, norms) measures it; growth_rate is for degree 2",
        )
    require_in(window, "the window", 0.0, _WIDEST / (degree - 2))
    require_in(gain, "the gain", 0.0, np.inf)
    require_in(level, "the level", 0.0, 1.0)
    if largest is not None:
        require_in(largest, "the largest H on the sphere", 0.0, np.inf)


def _no_growth(
    logs: Float[np.ndarray, " r"], gain: float, energy: float | None, rate: float | None
) -> str:
    """Why no blow-up can be claimed, empty if it can."""
    grown = float(logs[-1] - logs[0])
    if not grown >= gain:
        return f"the norm grew by exp({grown:.3g}), less than exp({gain:.3g})"
    if (energy is not None and not energy > 0) or (rate is not None and not rate > 0):
        return "H or the rate is not positive at the last row"
    return ""


def _late(logs: Float[np.ndarray, " r"], window: float, least: int = ROWS) -> np.ndarray:
    """The last rows, all with norms within a factor exp(window) of the last one."""
    small = np.flatnonzero(logs < logs[-1] - window)
    rows = np.arange(small[-1] + 1 if small.size else 0, logs.size)
    if rows.size < least:
        raise DataError(
            f"the last factor exp({window:g}) of the norm holds {rows.size} rows",
            expected=f"at least {least} rows",
            fix="save more rows near the end, or widen the window",
        )
    return rows


def _tangents(
    time: float,
    log_norm: float,
    degree: float,
    energy: float | None,
    rate: float | None,
    largest: float | None,
) -> tuple[float, float] | None:
    """Lower and upper end from the last row; None without H and without the rate."""
    logs = []
    if energy is not None:
        logs.append(2 * log_norm - np.log(energy) - np.log(degree))
    if rate is not None:
        logs.append(log_norm - np.log(rate))
    if not logs:
        return None
    most = np.exp(min(*logs, _LARGEST)) / (degree - 2)
    least = 0.0
    if largest is not None:
        log_least = -(degree - 2) * log_norm - np.log(largest)
        least = np.exp(min(log_least, _LARGEST)) / (degree * (degree - 2))
    return float(time + min(least, most)), float(time + most)


def _time(
    line: Line, last: float, ends: tuple[float, float] | None, level: float, error: float
) -> Measurement:
    """The zero of y: enclosed by tangents where they are known, else by the regression."""
    if ends is None:
        half = line.value_error + error
        low = max(line.value - half, float(last) - error)
        value = max(line.value, low)
        return Measurement(value, low, max(line.value + half, value), _TIME, "time", level)
    low, high = ends[0] - error, ends[1] + error
    value = min(max(line.value, low), high)
    apart = abs(value - line.value) > line.value_error
    note = "the regression lies outside: the norms err, or H is no energy of them" if apart else ""
    return Measurement(value, low, high, f"{_TIME}, enclosed by tangents", "time", note=note)


def _limit(line: Line, degree: float, unit: float, level: float) -> Measurement:
    """h_* = -1/(k(k-2) dt/dy), the slope being in units of the last y = exp(-unit)."""
    scale = np.exp(min(-unit, _LARGEST)) / (degree * (degree - 2))
    value = -scale / line.slope
    low = scale / (line.slope_error - line.slope)
    steep = -line.slope - line.slope_error
    high = scale / steep if steep > 0 else np.inf
    return Measurement(float(value), float(low), float(high), _LIMIT, "1", level)


def _not_detected(last: float, reason: str) -> BlowUpTime:
    return BlowUpTime(
        Outcome.NOT_DETECTED,
        Measurement.above(last, _TIME, "time", reason),
        Measurement.above(-np.inf, _LIMIT, "1", reason),
    )
