r"""Networks of pReLU units, powers of a ReLU that are homogeneous of degree 1 in their weights."""

from __future__ import annotations

from sympy import Rational

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import relu
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.index import sum_over, tensor
from flowtheory.symbolic.network import COORDINATE, INPUT_DIMENSION, SAMPLE, SAMPLES, Network
from flowtheory.symbolic.networks.layer import (
    hidden_axis,
    linear_layer,
    require_layers,
    weight_name,
)


def prelu(layers: int = 2, *, power: int = 2) -> Network:
    r"""$f_i = \sum_j v_j\,\frac{\max(\langle w_j, x_i\rangle, 0)^p}{|w_j|^{p-1}}$, $p$ = `power`.

    The unit of Min and Vidal (2024), whose networks have two layers; in deeper ones the same unit
    acts on the layer before. It is of degree 1 in its weights for every $p$, so that two layers
    have degree 2 and $|w_j|^2 - v_j^2$ is constant, as for a ReLU, to which $p = 1$ leads back.
    Where $w_j = 0$ the unit is not defined for $p > 1$. Tensors as in `fully_connected`.

    Raises:
        ParameterError: `layers` is no integer of at least 2, or `power` is no positive integer.
    """
    require_layers(layers, 2)
    if isinstance(power, bool) or not isinstance(power, int) or power < 1:
        raise ParameterError(
            f"power is {power!r}", expected="a positive integer", fix="power=1 is the ReLU"
        )
    x = tensor("x", SAMPLES, INPUT_DIMENSION)[SAMPLE, COORDINATE]
    signal: Expr = x
    axis = (COORDINATE, INPUT_DIMENSION)
    parameters: list[Indexed] = []
    for layer in range(1, layers):
        after = hidden_axis(layer, layers)
        w, signal = linear_layer(weight_name(layer, layers), signal, axis, (after,))
        norm = sum_over(w**2, axis) ** Rational(power - 1, 2)
        signal, axis = relu()(signal) ** power / norm, after
        parameters.append(w)
    v, output = linear_layer("v", signal, axis, ())
    return Network(
        name=f"{layers}-layer pReLU network of power {power}",
        output=output,
        parameters=(*parameters, v),
        inputs=x,
    )
