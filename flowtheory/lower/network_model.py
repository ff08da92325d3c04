r"""A network of any depth and its loss, as the functions that steps through kinks need."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from flowtheory.flow.field import Model
from flowtheory.flow.rates import rate_along
from flowtheory.lower.networks import of_parameters
from flowtheory.lower.smooth import sample_loss
from flowtheory.symbolic.index import free_axes, tensor
from flowtheory.symbolic.kinks import freeze
from flowtheory.symbolic.loss import Loss, find_loss
from flowtheory.symbolic.network import SAMPLE, Network


@lru_cache(maxsize=64)
def network_model(network: Network, loss: str | Loss) -> Model:
    r"""The functions of a network with a scalar output; its parameters are arrays by name.

    Cached: problems of a sweep share function objects, and with them compiled code. The pattern of
    a network with kinks is a tuple of arrays, one a kinked layer, each with the axes of its
    preactivation; that of a smooth network is empty, and both kinds of outputs are the same.

    Args:
        network: as of `flowtheory.symbolic.fully_connected`.
        loss: name of a loss, or one.

    Raises:
        UnknownNameError: no such loss.
        ParameterError: kinked layers whose sizes have the same name.
    """
    x, arguments = network.inputs.base, [surface.argument for surface in network.surfaces]
    axes = [free_axes(argument) for argument in arguments]
    patterns = tuple(tensor(f"P{k}", *sizes.values()) for k, sizes in enumerate(axes, 1))
    levels = [
        of_parameters(network, argument, (x,), tuple(sizes))
        for argument, sizes in zip(arguments, axes, strict=True)
    ]
    live = of_parameters(network, network.output, (x,), (SAMPLE,))
    held = of_parameters(network, freeze(network.output, *patterns), (x, *patterns), (SAMPLE,))

    def frozen_outputs(params: Any, x: Any, pattern: Any) -> Any:
        return held(params, x, *pattern)

    def preactivations(params: Any, x: Any) -> Any:
        return tuple(level(params, x) for level in levels)

    return Model(frozen_outputs, live, sample_loss(find_loss(loss)), preactivations, rate_along)
