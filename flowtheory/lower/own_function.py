"""The loss of a network that is given as a JAX function, lowered from the symbolic loss."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from flowtheory.clock import Reduction
from flowtheory.flow.smooth import Functions
from flowtheory.lower.lower import lower
from flowtheory.symbolic.index import tensor
from flowtheory.symbolic.loss import Loss
from flowtheory.symbolic.network import CLASS, CLASSES, SAMPLE, SAMPLES, Network, reduced_loss


@lru_cache(maxsize=128)
def function_flow(
    network: Callable[[Any, Any], Any], loss: Loss, reduction: Reduction, classes: bool
) -> Functions:
    """Energy and outputs of `network`, a JAX function (params, x) -> f.

    Args:
        network: define it at module level, so that it is compiled once.
        loss: the loss of one sample.
        reduction: of the loss over samples.
        classes: whether f has shape (n, C) instead of (n,).
    """
    axes = ((SAMPLE, SAMPLES), (CLASS, CLASSES)) if classes else ((SAMPLE, SAMPLES),)
    f = tensor("f", *(extent for _, extent in axes))[tuple(i for i, _ in axes)]
    alone = Network("outputs", f, parameters=(f,), axes=axes)
    total = lower(reduced_loss(alone, loss, reduction), (f.base, alone.labels.base))

    def outputs(params: Any, data: Any) -> Any:
        return network(params, data["x"])

    def energy(params: Any, data: Any) -> Any:
        return total(outputs(params, data), data["y"])

    return Functions(energy, outputs)
