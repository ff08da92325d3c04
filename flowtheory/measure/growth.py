r"""Growth rates: slopes of $\ln A(t)$."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError
from flowtheory.measure.checks import as_curve, require_in
from flowtheory.measure.line import fit_line
from flowtheory.measure.measurement import Measurement

ROWS = 4  # that a line with a quadratic check needs


class LocalRates(NamedTuple):
    r"""Slopes $(\ln A_{i+1} - \ln A_i)/(t_{i+1} - t_i)$ between neighbouring rows.

    Attributes:
        times: $(t_i + t_{i+1})/2$.
        rates: the slopes, per unit of time.
    """

    times: Float[np.ndarray, " k-1"]
    rates: Float[np.ndarray, " k-1"]


def local_growth_rates(
    times: Float[np.ndarray, " k"], amplitude: Float[np.ndarray, " k"]
) -> LocalRates:
    r"""$d\ln A/dt$ between neighbouring rows.

    Args:
        times: times, increasing.
        amplitude: $A > 0$ at these times.

    Raises:
        DataError: no curve, or an amplitude that is not positive.
    """
    times, logs = log_curve(times, amplitude, "the amplitude")
    return LocalRates((times[1:] + times[:-1]) / 2, np.diff(logs) / np.diff(times))


def growth_rate(
    times: Float[np.ndarray, " k"],
    amplitude: Float[np.ndarray, " k"],
    *,
    window: tuple[float, float] | None = None,
    above: float = 10.0,
    below: float = 0.01,
    level: float = 0.95,
) -> Measurement:
    r"""Slope of $\ln A$ against $t$ by least squares, with its interval.

    The window begins after the last row, before that of the largest $A$, with $A$ below `above`
    times its least value there (decaying parts are gone), and ends before $A$ reaches `below` times
    its largest value (saturation has not begun). The half-width is Student's plus half the change
    of the local slope over the window, as far as it is significant: a window that holds no
    exponential says so.

    Args:
        times: times, increasing.
        amplitude: $A > 0$ at these times.
        window: first and last time instead of the rule.
        above: factor over the least value.
        below: fraction of the largest value.
        level: of the interval.

    Raises:
        DataError: no curve, an amplitude that is not positive, or fewer than four rows left.
        ParameterError: a factor below 1, a fraction above 1, or a level outside (0, 1).
    """
    times, logs = log_curve(times, amplitude, "the amplitude")
    require_in(level, "the level", 0.0, 1.0)
    rows = _window(times, logs, above, below) if window is None else _between(times, window)
    if rows.size < ROWS:
        raise DataError(
            f"the window holds {rows.size} rows; the amplitude varies by exp({np.ptp(logs):.3g})",
            expected=f"at least {ROWS} rows in the window",
            fix="save more rows, start at a smaller scale, or give the window",
        )
    line = fit_line(times[rows], logs[rows], level, at=float(times[rows[0]]))
    ends = f"t in [{times[rows[0]]:.6g}, {times[rows[-1]]:.6g}], {rows.size} rows"
    return Measurement(
        line.slope,
        line.slope - line.slope_error,
        line.slope + line.slope_error,
        f"slope of ln A against t, {ends}",
        "1/time",
        level,
    )


def log_curve(
    times: Float[np.ndarray, " k"], values: Float[np.ndarray, " k"], name: str
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Times and logarithms of positive values.

    Raises:
        DataError: no curve, or values that are not positive.
    """
    times, values = as_curve(times, values, name)
    if np.any(values <= 0):
        raise DataError(
            f"{name} is {values.min():g} at its least",
            expected="positive values: the slope of a logarithm is asked for",
            fix="pass norms or absolute values, and drop zero rows",
        )
    return times, np.log(values)


def _window(
    times: Float[np.ndarray, " k"], logs: Float[np.ndarray, " k"], above: float, below: float
) -> np.ndarray:
    require_in(above, "above", 1.0, np.finfo(float).max, closed=True)
    require_in(below, "below", np.finfo(float).tiny, 1.0, closed=True)
    largest = int(np.argmax(logs))
    least = logs[: largest + 1].min()
    low = np.flatnonzero(logs[: largest + 1] < least + np.log(above))
    high = np.flatnonzero(logs >= logs[largest] + np.log(below))
    return np.arange(low[-1] + 1 if low.size else 0, high[0] + (below == 1.0))


def _between(times: Float[np.ndarray, " k"], window: tuple[float, float]) -> np.ndarray:
    return np.flatnonzero((times >= window[0]) & (times <= window[1]))
