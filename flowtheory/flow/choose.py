r"""Which of the two modes a kinked flow takes: exact (located events) or cheap (fixed-type steps).

The exact mode costs a few steps an event, at any tolerance, and the number of events grows like
$h n$ (0.2 to 0.9 of it over a training run on generic data). The cheap mode with constant $c$ takes
$\propto 1/c$ steps; where neurons slide its error falls in proportion to $c$. Measured for Gaussian
data, mean square loss, weights of 0.1, runs through most of the descent, $h n$ = 480, 1800, 5000
(`benchmarks/kinked_flow.py`): relative error of the parameters $(1.2 \pm 0.3)\, c/(h n)$, and the
wall time of the two modes equal at $c \approx 1/30$.

| wanted error | mode |
|---|---|
| below $0.04/(h n)$ | exact |
| above it | cheap, $c = h n \cdot$ error / 1.2 but at most 0.5; its error bar says what it is |

On data without sliding the cheap mode is of second order and better than this. Adaptive steps of a
solver that is not told of the kinks are neither: their cost grows like 1/rtol where neurons slide.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from flowtheory.errors import ParameterError

_ERROR_OF_C = 1.2  # error * h n / c
_BREAK_EVEN = 1 / 30
_LARGEST_C = 0.5


class Choice(NamedTuple):
    """A mode and why.

    Attributes:
        mode: "exact" for `flowtheory.flow.solve`, "cheap" for `flowtheory.flow.solve_steps`.
        c: step constant for the cheap mode; None for the exact one.
        reason: the numbers that decided, in words.
    """

    mode: Literal["exact", "cheap"]
    c: float | None
    reason: str


def choose(h: int, n: int, error: float) -> Choice:
    """The cheaper mode that reaches a relative error of the parameters.

    Args:
        h: neurons.
        n: data.
        error: wanted relative error of the parameters, in (0, 1).

    Raises:
        ParameterError: `h` or `n` below 1, or an error outside (0, 1).

    >>> choose(30, 16, 1e-8).mode, choose(1000, 1000, 1e-4).mode
    ('exact', 'cheap')
    """
    if h < 1 or n < 1:
        raise ParameterError(f"h = {h}, n = {n}", expected="h, n >= 1", fix="count the rows")
    if not (math.isfinite(error) and 0 < error < 1):
        raise ParameterError(
            f"error is {error!r}", expected="a relative error in (0, 1)", fix="for example 1e-6"
        )
    c = error * h * n / _ERROR_OF_C
    kinks = f"{h} x {n} kinks"
    if c < _BREAK_EVEN:
        reason = (
            f"exact: with {kinks} an error of {error:.0e} would need steps of c = {c:.1e}, which "
            f"cost more than locating the switches (break even at c = {_BREAK_EVEN:.2g})"
        )
        return Choice("exact", None, reason)
    c = min(c, _LARGEST_C)
    reason = f"cheap: with {kinks} steps of c = {c:.2g} reach an error of {error:.0e}"
    return Choice("cheap", c, reason)
