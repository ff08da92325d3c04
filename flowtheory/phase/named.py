r"""Where an initialization lies in the diagram: in the limit, or at its own width."""

from __future__ import annotations

import math
from typing import NamedTuple

from flowtheory.errors import ParameterError
from flowtheory.phase.asymptotic import regime_of
from flowtheory.symbolic.activation import find_activation
from flowtheory.symbolic.phase import GAMMA, GAMMA_PRIME, Regime
from flowtheory.symbolic.scalings import EXPONENT, INITIALIZATIONS, find_initialization


class Place(NamedTuple):
    r"""A place in the diagram.

    Attributes:
        kappa: $\kappa = \beta_1\beta_2^p/\alpha$.
        kappa_prime: $\kappa' = \beta_1/\beta_2$.
        gamma: $-\ln\kappa/\ln m$.
        gamma_prime: $-\ln\kappa'/\ln m$.
        regime: of that point.
        hidden: $S_w$ there.
        output: $S_a$ there.
        capability: $m\kappa$: what the start can express, over labels of order 1.
    """

    kappa: float
    kappa_prime: float
    gamma: float
    gamma_prime: float
    regime: Regime
    hidden: float
    output: float
    capability: float


def place_of(
    width: int, std_a: float, std_w: float, *, alpha: float = 1.0, activation: str = "relu"
) -> Place:
    r"""Where a network of one width lies, with $\gamma$ and $\gamma'$ read off at that width.

    A factor in a standard deviation shifts them by its logarithm over $\ln m$: what families of
    initializations have in the limit is `limits`.

    Args:
        width: $m$, at least 2.
        std_a: $\beta_1$, standard deviation of the output weights.
        std_w: $\beta_2$, of the input weights.
        alpha: the divisor of the output.
        activation: of the network.

    Raises:
        ParameterError: a width below 2, or a scale that is not positive and finite.
    """
    if width < 2:
        raise ParameterError(f"width = {width}", expected="an integer >= 2", fix="width=1000")
    for name, value in (("std_a", std_a), ("std_w", std_w), ("alpha", alpha)):
        if not (math.isfinite(value) and value > 0):
            raise ParameterError(
                f"{name} = {value}",
                expected="a number > 0",
                fix="a standard deviation, no variance",
            )
    p = find_activation(activation).local.multiplicity
    log_kappa = math.log(std_a) + p * math.log(std_w) - math.log(alpha)
    log_ratio, size = math.log(std_a) - math.log(std_w), math.log(width)
    # Rounded as a study's axes are: 1 is 1, and on the boundary.
    gamma, other = (float(f"{-value / size:.12g}") + 0.0 for value in (log_kappa, log_ratio))
    regime = regime_of(gamma, other, activation)
    values = {GAMMA: gamma, GAMMA_PRIME: other}
    hidden, output = (float(f.expression.xreplace(values)) for f in (regime.hidden, regime.output))
    capability = math.exp(log_kappa + size)
    return Place(
        math.exp(log_kappa), math.exp(log_ratio), gamma, other, regime, hidden, output, capability
    )


def limits(activation: str = "relu") -> dict[str, tuple[float, float]]:
    r"""$(\gamma, \gamma')$ of the named initializations without a free exponent, in the limit."""
    p = find_activation(activation).local.multiplicity
    found = {}
    for name in INITIALIZATIONS:
        initialization = find_initialization(name, p)
        gamma, other = initialization.gamma, initialization.gamma_prime
        if not (gamma.has(EXPONENT) or other.has(EXPONENT)):
            found[name] = (float(gamma), float(other))
    return found
