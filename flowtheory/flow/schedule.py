"""Times at which a run saves."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from flowtheory.errors import ParameterError


def log_times(
    start: float, end: float, *, per_decade: int = 16, first: float | None = None
) -> Float[np.ndarray, " k"]:
    """Times from `start` to `end` (both included), equally spaced in log t.

    Args:
        start: first time, >= 0.
        end: last time, > start.
        per_decade: times per decade, at least.
        first: first time after a `start` of 0; by default 1e-3 of `end`.

    Raises:
        ParameterError: times out of order, or not finite.
    """
    require_span(start, end)
    low = start if start > 0 else (end * 1e-3 if first is None else first)
    if not 0 < low < end:
        raise ParameterError(
            f"first is {first!r} with end = {end!r}",
            expected="0 < first < end",
            fix="leave first out: 1e-3 of the end",
        )
    count = max(2, math.ceil(per_decade * math.log10(end / low)) + 1)
    times = np.geomspace(low, end, count)
    times[-1] = end
    return times if start > 0 else np.concatenate([[0.0], times])


def save_times(
    times: Float[np.ndarray, " k"] | None, start: float, end: float
) -> Float[np.ndarray, " k"]:
    """The times of `times` in (start, end], a finite `end` appended; log-spaced by default.

    Without an end (inf) the times must be given.

    Raises:
        ParameterError: times not increasing, not finite or outside, or neither times nor an end.
    """
    if times is None or math.isfinite(end):
        require_span(start, end)
    wanted = log_times(start, end) if times is None else np.asarray(times, dtype=np.float64)
    if wanted.ndim != 1 or not np.all(np.isfinite(wanted)) or np.any(np.diff(wanted) <= 0):
        raise ParameterError(
            f"times to save at are not increasing finite numbers (shape {wanted.shape})",
            expected="a one-dimensional, strictly increasing array",
            fix="numpy.unique(times)",
        )
    if wanted.size and (wanted[0] < start or wanted[-1] > end):
        raise ParameterError(
            f"times to save at span [{wanted[0]:g}, {wanted[-1]:g}]",
            expected=f"times within [{start:g}, {end:g}]",
            fix="drop the times outside, or move t_end",
        )
    last = [end] if math.isfinite(end) else []
    return np.unique(np.append(wanted[wanted > start], last))


def require_span(start: float, end: float) -> None:
    """Raise `ParameterError` unless 0 <= start < end, both finite."""
    if not (math.isfinite(start) and math.isfinite(end) and 0 <= start < end):
        raise ParameterError(
            f"the run goes from t = {start!r} to t = {end!r}",
            expected="0 <= start < end, both finite",
            fix="give a later t_end",
        )
