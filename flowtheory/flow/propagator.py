r"""A linear symmetric flow in closed form, at any scale and for any time.

$\dot\theta = M\theta$ with $M = M^T$ known by its products: in an orthonormal basis $Q$ of the
Krylov space of the start, $MQ = QT$, and $\theta(t) = |\theta(0)|\,Q e^{tT} e_1$. The leading flow
of two layers at small initialization has few different eigenvalues (two layers and one output:
$\pm\lambda$ and 0), so that the space closes after as many products, up to roundoff.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Vector = Float[np.ndarray, " N"]

CLOSED = 1e-13
"""What a product may leave of a space that is called closed, relative to the largest product."""

_GROWING = 1e-3  # of the leading rate: slower modes are not waited for

LONGEST = 64
"""Products after which a space that has not closed is given up."""


@dataclass(frozen=True)
class Propagator:
    r"""$e^{tM}$ on one start.

    Attributes:
        log_size: $\ln|\theta(0)|$.
        basis: orthonormal columns, the first along the start.
        rates: eigenvalues $\mu_i$ of $T$, in rising order.
        modes: eigenvectors of $T$, one a column.
        left: what $M$ maps out of the space, in units of $|M|$; of the order of roundoff.
    """

    log_size: float
    basis: Float[np.ndarray, "N K"]
    rates: Float[np.ndarray, " K"]
    modes: Float[np.ndarray, "K K"]
    left: float

    @property
    def rate(self) -> float:
        r"""$\lambda$, the largest rate of the space."""
        return float(self.rates[-1])

    @property
    def closed(self) -> bool:
        """Whether the space is invariant, up to roundoff."""
        return self.left <= CLOSED

    def _weights(self, t: float) -> tuple[Float[np.ndarray, " K"], float]:
        """Weights of the basis at time t, over the exponential of the second number."""
        shift = float(np.max(self.rates * t))
        weights = self.modes @ (np.exp(self.rates * t - shift) * self.modes[0])
        return weights, shift

    def log_norm(self, t: float) -> float:
        r"""$\ln|\theta(t)|$."""
        weights, shift = self._weights(t)
        return self.log_size + shift + math.log(float(np.linalg.norm(weights)))

    def at(self, t: float) -> Vector:
        r"""$\theta(t)$; at $t = 0$ the start, to roundoff."""
        weights, shift = self._weights(t)
        return (self.basis @ weights) * math.exp(self.log_size + shift)

    def dormant(self, t: float) -> float:
        r"""The least share of the norm that a growing mode has at time t; 1 if only one grows.

        Below the resolution of float64, $2\cdot10^{-16}$, the numbers of $\theta(t)$ no longer hold
        that mode, and what grows later grows from rounding.
        """
        growing = self.rates > _GROWING * self.rate
        shares = np.abs(self.modes[0]) * np.exp((self.rates - self.rate) * t)
        present = growing & (np.abs(self.modes[0]) > 0)
        return float(np.min(shares[present]) / np.max(shares[present]))

    def time_of(self, log_norm: float) -> float:
        r"""The last time at which $\ln|\theta|$ is `log_norm`; inf if it never is.

        $|\theta|^2$ is a sum of exponentials with positive weights, so convex: its logarithm is
        convex too, and rises for good once it rises.
        """
        if self.rate <= 0:
            return math.inf

        def past(t: float) -> bool:
            now = self.log_norm(t)
            return now >= log_norm and now >= self.log_norm((1 - 1e-6) * t)

        high = 1.0 / self.rate
        while not past(high):
            high *= 2
            if not math.isfinite(high):
                return math.inf
        low = 0.0
        while high - low > 1e-15 * high:
            middle = (low + high) / 2
            if middle in (low, high):
                break
            low, high = (low, middle) if past(middle) else (middle, high)
        return high


def propagator(product: Callable[[Vector], Vector], start: Vector) -> Propagator:
    """Lanczos' iteration with full orthogonalisation, until the space closes.

    Args:
        product: the product with M, for vectors of norm 1.
        start: the start, not zero.
    """
    largest = float(np.max(np.abs(start)))
    scaled = start / largest
    size = float(np.linalg.norm(scaled))
    basis = [scaled / size]
    diagonal: list[float] = []
    beside: list[float] = []
    scale = left = 0.0
    for _ in range(min(LONGEST, start.size)):
        image = product(basis[-1])
        diagonal.append(float(basis[-1] @ image))
        scale = max(scale, float(np.linalg.norm(image)))
        known = np.stack(basis, axis=1)
        for _ in range(2):
            image = image - known @ (known.T @ image)
        left = float(np.linalg.norm(image))
        if left <= CLOSED * scale:
            break
        beside.append(left)
        basis.append(image / left)
    count = len(diagonal)
    off = np.array(beside[: count - 1])
    small = np.diag(np.array(diagonal)) + np.diag(off, 1) + np.diag(off, -1)
    rates, modes = np.linalg.eigh(small)
    columns = np.stack(basis[:count], axis=1)
    relative = left / scale if scale > 0 else 0.0
    return Propagator(math.log(size) + math.log(largest), columns, rates, modes, relative)
