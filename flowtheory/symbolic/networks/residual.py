r"""Residual networks: blocks that add to what they are given."""

from __future__ import annotations

from typing import Literal

from flowtheory.symbolic.activation import ANY_ACTIVATION, Activation, find_activation
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.index import index, size, substitute, sum_over, tensor, tidy
from flowtheory.symbolic.network import COORDINATE, INPUT_DIMENSION, SAMPLE, SAMPLES, Network
from flowtheory.symbolic.networks.layer import require_choice, require_layers


def residual(
    layers: int = 1,
    activation: str | Expr | Activation = "tanh",
    *,
    readout: Literal["trained", "fixed"] = "trained",
) -> Network:
    r"""$h_l = h_{l-1} + V_l\,\sigma(W_l h_{l-1})$ from $h_0 = x$, and $f = \langle v, h_L\rangle$.

    Args:
        layers: The number $L \ge 1$ of blocks, each a layer with the tensors `Wl` [hl, D] and `Vl`
            [D, hl].
        activation: The activation of every block.
        readout: "trained", where `v` [D] is a last layer. If it is as small as the blocks, the
            output starts at $\langle v, x\rangle$, of degree 1: there is no saddle at the origin.
            Or "fixed", where `v` is a given constant: then it starts at the level
            $\langle v, x\rangle$, and the leading part is the sum of the separate blocks.

    Raises:
        ParameterError: `layers` is no positive integer, or `readout` is neither kind.
    """
    sigma = find_activation(activation)
    require_layers(layers)
    require_choice("readout", readout, ("trained", "fixed"))
    p, q, axis = COORDINATE, index("q"), INPUT_DIMENSION
    x = tensor("x", SAMPLES, axis)[SAMPLE, p]
    v = tensor("v", axis)[p]
    signal: Expr = x
    blocks: list[tuple[Indexed, Indexed]] = []
    for block in range(1, layers + 1):
        j, width = index(f"j_{block}"), size(f"h{block}")
        W, V = tensor(f"W{block}", width, axis)[j, q], tensor(f"V{block}", axis, width)[p, j]
        hidden = ANY_ACTIVATION(sum_over(W * substitute(signal, {p: q}), (q, axis)))
        signal = signal + sum_over(V * hidden, (j, width))
        blocks.append((W.base[j, p], V))
    trained = readout == "trained"
    groups: list[tuple[Indexed, ...]] = [*blocks, (v,)] if trained else [*blocks]
    return Network(
        name=f"residual {sigma.name} network of {layers} block{'s' * (layers > 1)}",
        output=tidy(sum_over(v * signal, (p, axis))),
        parameters=tuple(entry for group in groups for entry in group),
        inputs=x,
        groups=tuple(tuple(str(entry.base) for entry in group) for group in groups),
        constants=() if trained else (v,),
    ).with_activation(sigma)
