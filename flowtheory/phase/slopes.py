r"""Exponents of the relative change of the weights in the width, and how they are fitted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Grid = Float[np.ndarray, "gamma_prime gamma"]
Widths = Float[np.ndarray, " widths"]
Changes = Float[np.ndarray, "2 widths gamma_prime gamma"]


class Slopes(NamedTuple):
    """Exponents of the relative change in the width, one entry a point.

    Attributes:
        hidden: $S_w$.
        output: $S_a$.
    """

    hidden: Grid
    output: Grid


def width_slopes(changes: Changes, widths: Widths) -> Slopes:
    """Least-squares slopes of log RD in log m, for the input and the output weights."""
    return Slopes(*(log_slopes(np.log(rd), widths) for rd in changes))


def log_slopes(logs: Float[np.ndarray, "widths ..."], widths: Widths) -> Float[np.ndarray, ...]:
    """Least-squares slopes of `logs` in log m, along the first axis."""
    x = np.log(widths) - np.log(widths).mean()
    return np.tensordot(x / (x @ x), logs, axes=1)


def slope_errors(
    logs: Float[np.ndarray, "widths gamma_prime gamma seeds"], widths: Widths
) -> Float[np.ndarray, "gamma_prime gamma"]:
    """Half the 95 % interval of the mean slope: one slope a seed, Student's t; NaN for one seed."""
    from scipy import stats  # here, because it takes half a second to load

    slopes = log_slopes(logs, widths)
    seeds = slopes.shape[-1]
    if seeds < 2:
        return np.full(slopes.shape[:-1], np.nan)
    return stats.t.ppf(0.975, seeds - 1) * stats.sem(slopes, axis=-1)


def rms(values: Float[np.ndarray, ...]) -> float:
    """Root mean square of what is finite; NaN if nothing is."""
    known = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(known**2))) if known.size else float("nan")
