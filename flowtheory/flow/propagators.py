r"""Linear symmetric flows in closed form, at any scale and for any time: many at once.

$\dot\theta = M\theta$ with $M = M^T$ known by its products: in an orthonormal basis $Q$ of the
Krylov space of the start, $MQ = QT$, and $\theta(t) = |\theta(0)|\,Q e^{tT} e_1$. The leading flow
of two layers at small initialization has few different eigenvalues (two layers and one output:
$\pm\lambda$ and 0), so that the space closes after as many products, up to roundoff.

The first axis is that of the lanes: one product serves all of them, and a lane whose space has
closed waits with a zero vector, which adds nothing to its exponential. `propagator` is one lane.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

CLOSED = 1e-13
"""What a product may leave of a space that is called closed, relative to the largest product."""

LONGEST = 64
"""Products after which a space that has not closed is given up."""

Vectors = Float[np.ndarray, "lanes N"]
PerLane = Float[np.ndarray, " lanes"]

_ROUNDS = 200  # bisections of float64's range of times
_NOTHING = 1e-300


@dataclass(frozen=True)
class Propagators:
    r"""$e^{tM_l}$ on one start a lane.

    Attributes:
        log_sizes: $\ln|\theta_l(0)|$.
        basis: orthonormal rows of each lane, the first along the start; zero where none is left.
        rates: eigenvalues $\mu_i$ of $T_l$, in rising order, padded with zeros.
        modes: eigenvectors of $T_l$, one a column.
        closed: whether the space of a lane is invariant, up to roundoff.
    """

    log_sizes: PerLane
    basis: Float[np.ndarray, "lanes K N"]
    rates: Float[np.ndarray, "lanes K"]
    modes: Float[np.ndarray, "lanes K K"]
    closed: Bool[np.ndarray, " lanes"]

    @property
    def rate(self) -> PerLane:
        r"""$\lambda$, the largest rate of each lane's space; 0 where nothing grows."""
        return self.rates[:, -1]

    def _weights(self, t: PerLane) -> tuple[Float[np.ndarray, "lanes K"], PerLane]:
        """Weights of the basis at time t, over the exponential of the second number."""
        exponents = self.rates * t[:, None]
        shift = exponents.max(axis=1)
        weights = self.modes @ (np.exp(exponents - shift[:, None]) * self.modes[:, 0])[:, :, None]
        return weights[:, :, 0], self.log_sizes + shift

    def at(self, t: PerLane) -> Vectors:
        r"""$\theta_l(t_l)$; at $t = 0$ the start, to roundoff."""
        weights, log_size = self._weights(t)
        return (weights[:, None, :] @ self.basis)[:, 0] * np.exp(log_size)[:, None]

    def log_norm(self, t: PerLane) -> PerLane:
        r"""$\ln|\theta_l(t_l)|$."""
        weights, log_size = self._weights(t)
        return log_size + np.log(np.linalg.norm(weights, axis=1))

    def _growth(self, t: PerLane) -> tuple[PerLane, PerLane]:
        r"""$\ln(|\theta(t)|^2/|\theta(0)|^2)$ and its slope."""
        parts = np.log(np.maximum(self.modes[:, 0] ** 2, _NOTHING))
        exponents = parts + 2 * self.rates * t[:, None]
        top = exponents.max(axis=1)
        share = np.exp(exponents - top[:, None])
        total = share.sum(axis=1)
        return np.log(total) + top, 2 * np.sum(self.rates * share, axis=1) / total

    def time_of(self, log_norms: PerLane) -> PerLane:
        r"""From when on $\ln|\theta_l|$ is at least a level and rising; inf where nothing grows.

        $|\theta|^2 = |\theta(0)|^2\sum_i c_i^2 e^{2\mu_it}$ has a convex logarithm. From when the
        leading mode alone has that size the norm stays above the level; once it also rises,
        Newton's iteration descends to the root, and a bisection to the minimum of a norm that is
        never as low.
        """
        grows = self.rate > 0
        rate = np.where(grows, self.rate, 1.0)
        target = 2 * (log_norms - self.log_sizes)
        leading = np.log(np.maximum(self.modes[:, 0, -1] ** 2, _NOTHING))
        high = np.maximum((target - leading) / (2 * rate), 0.0)
        value, slope = self._growth(high)
        low = np.zeros_like(high)
        while np.any(grows & (slope <= 0)):
            falls = slope <= 0
            low = np.where(falls, high, low)
            high = np.where(falls, 2 * high + 1 / rate, high)
            value, slope = self._growth(high)
        for _ in range(_ROUNDS):
            newton = high - (value - target) / np.where(grows, slope, 1.0)
            t = np.where(newton > low, newton, (low + high) / 2)
            found, rise = self._growth(t)
            past = (found >= target) & (rise > 0)
            done = ~grows | (high - t <= 4e-16 * high)
            low = np.where(past, low, t)
            high, value, slope = (
                np.where(past, a, b) for a, b in ((t, high), (found, value), (rise, slope))
            )
            if done.all():
                break
        return np.where(grows, high, np.inf)


def propagators(product: Callable[[Vectors], Vectors], starts: Vectors) -> Propagators:
    """Lanczos' iteration of all lanes, until every space has closed.

    Args:
        product: (one vector a lane, of norm 1 or 0) to its product with that lane's M.
        starts: the starts, none of them zero.
    """
    largest = np.max(np.abs(starts), axis=1)
    scaled = starts / largest[:, None]
    size = np.linalg.norm(scaled, axis=1)
    basis = (scaled / size[:, None])[:, None, :]
    diagonal, beside = [], []
    scale = np.zeros(len(starts))
    closed = np.zeros(len(starts), bool)
    for _ in range(min(LONGEST, starts.shape[1])):
        image = product(basis[:, -1])
        diagonal.append(np.sum(basis[:, -1] * image, axis=1))
        scale = np.maximum(scale, np.linalg.norm(image, axis=1))
        for _ in range(2):
            image = image - ((basis @ image[:, :, None]).transpose(0, 2, 1) @ basis)[:, 0]
        left = np.linalg.norm(image, axis=1)
        closed |= left <= CLOSED * scale
        if closed.all():
            break
        left = np.where(closed, 0.0, left)
        beside.append(left)
        unit = image / np.where(closed, np.inf, left)[:, None]
        basis = np.concatenate([basis, unit[:, None, :]], axis=1)
    count = len(diagonal)
    small = np.zeros((len(starts), count, count))
    at = np.arange(count)
    small[:, at, at] = np.stack(diagonal, axis=1)
    for i, off in enumerate(beside[: count - 1]):
        small[:, i, i + 1] = small[:, i + 1, i] = off
    rates, modes = np.linalg.eigh(small)
    return Propagators(np.log(size) + np.log(largest), basis[:, :count], rates, modes, closed)
