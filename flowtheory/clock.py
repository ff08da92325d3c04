r"""Time conventions of a gradient flow, and the conversion between them.

The reference clock ("sum clock, unit slope") is the gradient flow of the summed loss
$\sum_i \ell(y_i, f_i)$ with $-\partial_f\ell(y, 0) = y$. A loss with slope $c_0$ at zero runs $c_0$
times as fast while $|f|$ is small; a mean over $n$ samples runs $1/n$ times as fast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from flowtheory.errors import ParameterError

Reduction = Literal["sum", "mean"]


@dataclass(frozen=True)
class Clock:
    r"""How time is counted: `reduction` of the loss over samples, and slope `slope` at zero output.

    The early flow of the clock is `rate(n)` times that of the reference clock, hence
    $t_{ref} = rate(n)\, t$ with $rate = c_0$ (sum) or $c_0/n$ (mean).

    >>> Clock("mean", slope=0.5).to_reference(8.0, n=4)
    1.0
    """

    reduction: Reduction = "sum"
    slope: float = 1.0

    def __post_init__(self) -> None:
        if self.reduction not in ("sum", "mean"):
            raise ParameterError(
                f"reduction is {self.reduction!r}",
                expected="'sum' or 'mean'",
                fix="Clock('sum') for sum_i l(y_i, f_i), Clock('mean') for its average",
            )
        if not (math.isfinite(self.slope) and self.slope > 0):
            raise ParameterError(
                f"slope at zero is {self.slope!r}",
                expected="a finite number > 0",
                fix="use 1 (exponential, 2 * logistic) or 0.5 (logistic)",
            )

    def rate(self, n: int) -> float:
        """Reference time that passes per unit of this clock, for `n` samples."""
        return self.slope if self.reduction == "sum" else self.slope / n

    def to_reference(self, time: float, n: int) -> float:
        """Time of this clock, in the reference clock (sum loss, unit slope)."""
        return time * self.rate(n)

    def from_reference(self, time: float, n: int) -> float:
        """Time of the reference clock, in this clock."""
        return time / self.rate(n)

    def __str__(self) -> str:
        return f"{self.reduction} loss, slope {self.slope:g} at zero"


REFERENCE = Clock()
