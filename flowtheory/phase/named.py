r"""Where an initialization lies in the diagram: in the limit, or at its own width."""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

from sympy import Float, log

from flowtheory.errors import ParameterError
from flowtheory.phase.asymptotic import regime_of
from flowtheory.plot.regimes import Family
from flowtheory.symbolic.activation import find_activation
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.phase import GAMMA, GAMMA_PRIME, Regime
from flowtheory.symbolic.scalings import (
    EXPONENT,
    INITIALIZATIONS,
    Initialization,
    find_initialization,
)

_DIGITS = 30
_WRITTEN = {
    "ntk": "NTK",
    "he": "He",
    "lecun": "LeCun",
    "xavier": "Xavier",
    "pytorch": "PyTorch",
    "e-ma-wu": "E-Ma-Wu",
    "equal": "equal deviations",
}


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
    scales = (Float(alpha, _DIGITS), Float(std_a, _DIGITS), Float(std_w, _DIGITS))
    start = Initialization("given", *scales, p)
    # Logarithms of SymPy numbers: kappa may lie below the range of float64.
    exponents = (-log(scale) / log(width) for scale in (start.kappa, start.kappa_prime))
    # Rounded as a study's axes are: 1 is 1, and on the boundary.
    gamma, other = (float(f"{float(value):.12g}") + 0.0 for value in exponents)
    regime = regime_of(gamma, other, activation)
    values = {GAMMA: gamma, GAMMA_PRIME: other}
    hidden, output = (float(f.expression.xreplace(values)) for f in (regime.hidden, regime.output))
    kappa, ratio = float(start.kappa), float(start.kappa_prime)
    return Place(kappa, ratio, gamma, other, regime, hidden, output, width * kappa)


def limits(activation: str = "relu") -> dict[str, tuple[float, float]]:
    r"""$(\gamma, \gamma')$ of the named initializations without a free exponent, in the limit."""
    return {
        name: (float(gamma), float(other))
        for name, (gamma, other) in _exponents(activation).items()
        if not (gamma.has(EXPONENT) or other.has(EXPONENT))
    }


def named_places(activation: str = "relu") -> dict[str, tuple[float, float]]:
    """The points of `limits`, those of one point under a common name, as pictures write them."""
    places: dict[tuple[float, float], list[str]] = {}
    for name, point in limits(activation).items():
        places.setdefault(point, []).append(_WRITTEN.get(name, name))
    return {", ".join(names): point for point, names in places.items()}


def families(activation: str = "relu") -> tuple[Family, ...]:
    r"""The named initializations with a free exponent $b$: rays $(\gamma, \gamma') \propto b$."""
    return tuple(
        Family(
            _WRITTEN.get(name, name), (float(gamma.coeff(EXPONENT)), float(other.coeff(EXPONENT)))
        )
        for name, (gamma, other) in _exponents(activation).items()
        if gamma.has(EXPONENT) or other.has(EXPONENT)
    )


@cache
def _exponents(activation: str) -> dict[str, tuple[Expr, Expr]]:
    r"""$(\gamma, \gamma')$ of all named initializations, as they depend on a free exponent."""
    p = find_activation(activation).local.multiplicity
    named = {name: find_initialization(name, p) for name in INITIALIZATIONS}
    return {name: (one.gamma, one.gamma_prime) for name, one in named.items()}
