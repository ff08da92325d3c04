r"""Two linear branches with inputs of their own that meet in a common trunk."""

from __future__ import annotations

from typing import Literal

from flowtheory.errors import ParameterError
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.index import index, size, tensor
from flowtheory.symbolic.loss import Axes
from flowtheory.symbolic.network import SAMPLE, SAMPLES, Network
from flowtheory.symbolic.networks.layer import (
    Axis,
    hidden_axis,
    linear_layer,
    output_axes,
    output_name,
    require_layers,
)


def late_fusion(
    layers: int = 2,
    *,
    fusion: int | None = None,
    output: Literal["scalar", "vector"] = "scalar",
) -> Network:
    r"""$f = W_L \cdots W_{F+1}\,(W_{A,F} \cdots W_{A,1}\, x_A + W_{B,F} \cdots W_{B,1}\, x_B)$.

    Args:
        layers: $L$, the number of weight layers.
        fusion: $F$, the layer whose outputs are added. $F = L$, the default, is late fusion and
            $F = 1$ is early fusion, a linear network on the concatenated inputs.
        output: "scalar" or "vector".

    The inputs are `x_A` [n, D_A] and `x_B` [n, D_B]. A branch has the tensors `W_A1`, `W_A2`, ...
    (`W_A` if it has one hidden layer and no trunk), and ends in `v_A` if it is late; the trunk has
    `W3`, ..., `v`. With a vector output the last one is called V. The tensors of both branches at
    the same depth are one layer. (Zhang, Latham, Saxe 2023.)

    Raises:
        ParameterError: `layers` is not positive, or `fusion` is not one of 1, ..., `layers`.
    """
    require_layers(layers)
    fusion = layers if fusion is None else fusion
    if isinstance(fusion, bool) or not isinstance(fusion, int) or not 1 <= fusion <= layers:
        raise ParameterError(
            f"fusion is {fusion!r}",
            expected=f"the layer at which the branches meet, 1 to {layers}",
            fix=f"fusion={layers} is late, fusion=1 is early",
        )
    outputs = output_axes(output)
    meet: Axes = outputs if fusion == layers else (hidden_axis(fusion, layers),)
    last = output_name(output)
    inputs, branches = [], []
    for name in "AB":
        ends = f"{last}_{name}" if fusion == layers else f"W_{name}{fusion}"
        x, entries, signal = _branch(name, fusion, ends, meet)
        inputs.append(x)
        branches.append((entries, signal))
    groups: list[tuple[Indexed, ...]] = list(
        zip(*(entries for entries, _ in branches), strict=True)
    )
    signal: Expr = branches[0][1] + branches[1][1]
    for layer in range(fusion + 1, layers + 1):
        name = last if layer == layers else f"W{layer}"
        after = outputs if layer == layers else (hidden_axis(layer, layers),)
        entry, signal = linear_layer(name, signal, hidden_axis(layer - 1, layers), after)
        groups.append((entry,))
    return Network(
        name=f"two-branch linear network of {layers} layers with fusion in layer {fusion}",
        output=signal,
        parameters=tuple(entry for group in groups for entry in group),
        inputs=inputs[0],
        axes=((SAMPLE, SAMPLES), *outputs),
        groups=tuple(tuple(str(entry.base) for entry in group) for group in groups),
        further_inputs=(inputs[1],),
    )


def _branch(
    name: str, depth: int, last: str, meet: Axes
) -> tuple[Indexed, tuple[Indexed, ...], Expr]:
    """The input, the tensors and the output of the branch called `name`."""
    axis: Axis = (index(f"p_{name}"), size(f"D_{name}"))
    x = tensor(f"x_{name}", SAMPLES, axis[1])[SAMPLE, axis[0]]
    signal: Expr = x
    entries = []
    for layer in range(1, depth + 1):
        hidden = hidden_axis(layer, depth, name)
        own = f"W_{name}" if depth == 2 else f"W_{name}{layer}"
        entry, signal = linear_layer(
            last if layer == depth else own, signal, axis, meet if layer == depth else (hidden,)
        )
        entries.append(entry)
        axis = hidden
    return x, tuple(entries), signal
