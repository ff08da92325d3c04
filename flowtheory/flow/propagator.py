r"""One linear symmetric flow in closed form: `flowtheory.flow.propagators` with a single lane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from flowtheory.flow.propagators import LONGEST as LONGEST
from flowtheory.flow.propagators import Propagators, propagators

Vector = Float[np.ndarray, " N"]

_GROWING = 1e-3  # of the leading rate: slower modes are not waited for


@dataclass(frozen=True)
class Propagator:
    r"""$e^{tM}$ on one start.

    Attributes:
        lane: the one lane.
    """

    lane: Propagators

    @property
    def log_size(self) -> float:
        r"""$\ln|\theta(0)|$."""
        return float(self.lane.log_sizes[0])

    @property
    def rates(self) -> Float[np.ndarray, " K"]:
        r"""Eigenvalues $\mu_i$ of $T$, in rising order."""
        return self.lane.rates[0]

    @property
    def rate(self) -> float:
        r"""$\lambda$, the largest rate of the space."""
        return float(self.lane.rate[0])

    @property
    def closed(self) -> bool:
        """Whether the space is invariant, up to roundoff."""
        return bool(self.lane.closed[0])

    def log_norm(self, t: float) -> float:
        r"""$\ln|\theta(t)|$."""
        return float(self.lane.log_norm(np.array([t]))[0])

    def at(self, t: float) -> Vector:
        r"""$\theta(t)$; at $t = 0$ the start, to roundoff."""
        return self.lane.at(np.array([t]))[0]

    def time_of(self, log_norm: float) -> float:
        r"""From when on $\ln|\theta|$ is at least `log_norm` and rising; inf if nothing grows."""
        return float(self.lane.time_of(np.array([log_norm]))[0])

    def dormant(self, t: float) -> float:
        r"""The least share of the norm that a growing mode has at time t; 1 if only one grows.

        Below the resolution of float64, $2\cdot10^{-16}$, the numbers of $\theta(t)$ no longer hold
        that mode, and what grows later grows from rounding.
        """
        first = np.abs(self.lane.modes[0, 0])
        shares = first * np.exp((self.rates - self.rate) * t)
        present = (self.rates > _GROWING * self.rate) & (first > 0)
        return float(np.min(shares[present]) / np.max(shares[present]))


def propagator(product: Callable[[Vector], Vector], start: Vector) -> Propagator:
    """The closed form of one flow.

    Args:
        product: the product with M, for vectors of norm 1.
        start: the start, not zero.
    """
    return Propagator(propagators(lambda v: product(v[0])[None], start[None]))
