"""The leading flow with everything that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from flowtheory.clock import Reduction
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.leading import LeadingFlow, leading_flow
from flowtheory.symbolic.loss import Loss
from flowtheory.symbolic.model import Vanishes
from flowtheory.symbolic.network import Network


@dataclass(frozen=True)
class EffectiveFlow(LeadingFlow):
    """A leading flow; what follows from it is derived when it is asked for."""


def effective_flow(
    network: Network,
    loss: str | Expr | Loss = "half_square",
    *,
    reduction: Reduction | None = None,
    scales: Mapping[str, int] | None = None,
    vanishes: Vanishes | None = None,
) -> EffectiveFlow:
    """Derive the leading flow, as `leading_flow`, and what follows from it."""
    flow = leading_flow(network, loss, reduction=reduction, scales=scales, vanishes=vanishes)
    return EffectiveFlow(**{f.name: getattr(flow, f.name) for f in fields(flow)})
