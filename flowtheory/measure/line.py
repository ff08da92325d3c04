r"""A straight line through rows, with intervals that hold scatter and curvature.

The rows of an integrated flow scatter hardly at all; what limits a fit is that the curve is no
line. A parabola is fitted too. To Student's half-width of the slope is added half the change of the
parabola's slope over the rows, as far as that exceeds its own half-width; to that of the value the
difference of parabola and line.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float


class Line(NamedTuple):
    r"""$y \approx s (x - x_0) + b$, with the half-widths of slope $s$ and value $b$ at $x_0$.

    `bend` is the change of the slope from the first to the last row, and `bend_error` its
    half-width from scatter.
    """

    slope: float
    slope_error: float
    value: float
    value_error: float
    bend: float
    bend_error: float


def fit_line(
    x: Float[np.ndarray, " k"], y: Float[np.ndarray, " k"], level: float, at: float = 0.0
) -> Line:
    """Least squares through at least four rows with distinct x."""
    from scipy import stats

    line: Any = stats.linregress(x, y)
    # linregress divides 0 by 0 for constant ordinates, which scatter not at all.
    stderr = line.stderr if np.isfinite(line.stderr) else 0.0
    scatter = stats.t.ppf(0.5 + level / 2, x.size - 2) * stderr
    mean, unit = x.mean(), np.ptp(x)
    z = (x - mean) / unit
    quadratic, covariance = _quadratic(z, y)
    here = (at - mean) / unit
    value = float(line.slope * (at - mean) + y.mean())
    curved = float(np.polyval(quadratic, here))
    deviation = scatter * np.sqrt(np.sum((x - at) ** 2) / x.size)
    rounding = 4 * np.finfo(float).eps * float(np.max(np.abs(y)))
    bend = float(2 * quadratic[0] / unit)
    tail = stats.t.ppf(0.5 + level / 2, x.size - 3)
    bend_error = float((2 * tail * np.sqrt(covariance) + 8 * rounding) / unit)
    return Line(
        slope=float(line.slope),
        slope_error=float(scatter + max(abs(bend) - bend_error, 0.0) / 2 + rounding / unit),
        value=value,
        value_error=float(deviation + abs(curved - value) + rounding),
        bend=bend,
        bend_error=bend_error,
    )


def _quadratic(
    z: Float[np.ndarray, " k"], y: Float[np.ndarray, " k"]
) -> tuple[Float[np.ndarray, " 3"], float]:
    """Coefficients of a parabola, highest first, and the variance of the highest."""
    inverse = np.linalg.pinv(np.vander(z, 3))
    found = inverse @ y
    variance = np.sum((y - np.polyval(found, z)) ** 2) / (z.size - 3)
    return found, float(variance * np.sum(inverse[0] ** 2))
