"""When a run may stop before its final time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from flowtheory.errors import ParameterError


@dataclass(frozen=True)
class Until:
    """A stopping rule; make one with `loss_below` or `all_classified`.

    Attributes:
        loss: stop when the loss (in the clock's reduction) falls to this value; None for never.
        classified: stop when every neuron's pattern is final under Assumption 1.
    """

    loss: float | None = None
    classified: bool = False

    def __or__(self, other: Until) -> Until:
        """Stop at whichever comes first."""
        losses = [u.loss for u in (self, other) if u.loss is not None]
        return Until(max(losses, default=None), self.classified or other.classified)


NEVER = Until()


def require_escape(level: float) -> None:
    """Raise `ParameterError` unless `level` can be an escape level of max |f|."""
    if not (math.isfinite(level) and level > 0):
        raise ParameterError(
            f"escape is {level!r}",
            expected="a finite level > 0 of max |f|",
            fix="0.1 (default); a level that is never reached, such as 1e9, records nothing",
        )


def loss_below(value: float) -> Until:
    """Stop when the loss falls to `value`; the time is located to root accuracy.

    Raises:
        ParameterError: `value` is not a finite number > 0.
    """
    if not (math.isfinite(value) and value > 0):
        raise ParameterError(
            f"loss_below({value!r})",
            expected="a finite loss > 0",
            fix="a fraction of the loss at zero output, for example 0.5 * n for the exponential",
        )
    return Until(loss=float(value))


def all_classified() -> Until:
    """Stop at the switch after which every neuron is in S_+ (v > 0), in S_- (v < 0) or dead."""
    return Until(classified=True)
