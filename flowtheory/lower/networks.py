r"""The functions that a gradient flow needs, lowered from a symbolic network and a loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jaxtyping import Array, Float

from flowtheory.clock import Reduction
from flowtheory.lower.lower import lower, lower_all
from flowtheory.symbolic.activation import Activation
from flowtheory.symbolic.expression import Expr, IndexedBase
from flowtheory.symbolic.field import VectorField
from flowtheory.symbolic.index import tensor
from flowtheory.symbolic.kinks import freeze
from flowtheory.symbolic.loss import Loss, find_loss
from flowtheory.symbolic.network import (
    NEURON,
    SAMPLE,
    SAMPLES,
    WIDTH,
    Network,
    labels,
    reduced_loss,
)
from flowtheory.symbolic.networks.fully_connected import two_layer

Parameters = Mapping[str, Array]
"""The parameter arrays by name, for example {"W": [h, D], "v": [h]}."""

PATTERN = tensor("P", WIDTH, SAMPLES)


@dataclass(frozen=True)
class NetworkFunctions:
    r"""JAX functions of a two-layer network; `params` = {"W": [h, D], "v": [h]}, x [n, D], y [n].

    Attributes:
        outputs: (params, x) to $f$ [n].
        loss: (params, x, y) to the loss, a scalar; its `jax.grad` is the exact gradient, with the
            stated derivative at the kink.
        preactivations: (params, x) to $\langle w_j, x_i\rangle$ [h, n]; a kink where one is 0.
        frozen_outputs: (params, x, pattern) to $f$ with $\sigma(z_{ji})$ replaced by
            $(s_- + (s_+ - s_-) P_{ji})\, z_{ji}^p$, smooth across kinks; `pattern` [h, n] holds
            $P_{ji} = 1[z_{ji} > 0]$, whatever the slopes $s_\pm$ of the activation, or a fraction.
        frozen_loss: (params, x, y, pattern) to the loss of `frozen_outputs`.
    """

    outputs: Callable[[Parameters, Array], Float[Array, " n"]]
    loss: Callable[[Parameters, Array, Array], Float[Array, ""]]
    preactivations: Callable[[Parameters, Array], Float[Array, "h n"]]
    frozen_outputs: Callable[[Parameters, Array, Array], Float[Array, " n"]]
    frozen_loss: Callable[[Parameters, Array, Array, Array], Float[Array, ""]]


@lru_cache(maxsize=64)
def two_layer_functions(
    activation: str | Activation = "relu",
    loss: str | Loss = "exponential",
    reduction: Reduction | None = None,
) -> NetworkFunctions:
    r"""Lower $f_i = \sum_j v_j \sigma(\langle w_j, x_i\rangle)$ and its summed or averaged loss.

    Without a `reduction`, samples are combined as the loss says.

    The result is cached: equal arguments give the same functions, which keeps JAX's own cache warm.
    """
    network = two_layer(activation)
    energy = reduced_loss(network, find_loss(loss), reduction)
    (surface,) = network.surfaces
    x, y = network.inputs.base, labels().base
    return NetworkFunctions(
        outputs=of_parameters(network, network.output, (x,), (SAMPLE,)),
        loss=of_parameters(network, energy, (x, y)),
        preactivations=of_parameters(network, surface.argument, (x,), (NEURON, SAMPLE)),
        frozen_outputs=of_parameters(
            network, freeze(network.output, PATTERN), (x, PATTERN), (SAMPLE,)
        ),
        frozen_loss=of_parameters(network, freeze(energy, PATTERN), (x, y, PATTERN)),
    )


def lower_field(
    field: VectorField, data: Sequence[IndexedBase]
) -> Callable[..., dict[str, Float[Array, ...]]]:
    """A vector field as a function of (params, *data) that returns the rates by name."""
    state = tuple(entry.base for entry, _ in field.components)
    rates = lower_all([(rate, entry.indices) for entry, rate in field.components], (*state, *data))
    names = tuple(map(str, state))

    def function(params: Parameters, *arrays: Any) -> dict[str, Float[Array, ...]]:
        values = rates(*(params[name] for name in names), *arrays)
        return dict(zip(names, values, strict=True))

    return function


def of_parameters(
    network: Network, expr: Expr, data: Sequence[IndexedBase], outputs: Sequence[Any] = ()
) -> Callable[..., Any]:
    """`expr` lowered to a function of (params, *data), `params` a mapping by name."""
    names = tuple(map(str, network.bases))
    raw = lower(expr, (*network.bases, *data), outputs)

    def function(params: Parameters, *arrays: Any) -> Any:
        return raw(*(params[name] for name in names), *arrays)

    return function
