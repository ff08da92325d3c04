r"""Conserved quantities: differentiated along the field, and shown to have the derivative zero.

For any loss $\ell$ and any 1-homogeneous activation, Euler's identity $\sigma(z) = \sigma'(z) z$
makes $v_j^2 - |w_j|^2$ constant: $v_j\dot v_j = \langle w_j, \dot w_j\rangle$.
"""

from __future__ import annotations

from flowtheory.symbolic.activation import euler
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.field import VectorField
from flowtheory.symbolic.index import sum_over
from flowtheory.symbolic.network import Network
from flowtheory.symbolic.normal import normal


def residual(quantity: Expr, field: VectorField) -> Expr:
    r"""$\frac{d}{dt}$ `quantity` in normal form, after Euler's identity; 0 if conserved."""
    return normal(euler(field.along(quantity)))


def is_conserved(quantity: Expr, field: VectorField) -> bool:
    """Whether `quantity` is proved to be constant along `field`, for every size and all data."""
    return residual(quantity, field) == 0


def imbalance(network: Network) -> Expr:
    r"""$v_j^2 - \sum_p W_{jp}^2$, of neuron $j$ of a two-layer network."""
    W, v = network.parameter("W"), network.parameter("v")
    j, p = W.indices
    width_of_input = W.shape[1]
    return v.base[j] ** 2 - sum_over(W.base[j, p] ** 2, (p, width_of_input))
