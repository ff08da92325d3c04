r"""Many linear symmetric flows in closed form at once, each from its own start.

As `flowtheory.flow.propagator`, with a first axis of lanes: one product serves all lanes, and a
lane whose Krylov space has closed waits with a zero vector, which adds nothing to its exponential.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from flowtheory.flow.propagator import CLOSED, LONGEST

Vectors = Float[np.ndarray, "lanes N"]
PerLane = Float[np.ndarray, " lanes"]

_NEWTON = 50
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

    def at(self, t: PerLane) -> Vectors:
        r"""$\theta_l(t_l)$."""
        exponents = self.rates * t[:, None]
        shift = exponents.max(axis=1)
        weights = self.modes @ (np.exp(exponents - shift[:, None]) * self.modes[:, 0])[:, :, None]
        size = np.exp(self.log_sizes + shift)
        return (weights[:, :, 0][:, None, :] @ self.basis)[:, 0] * size[:, None]

    def time_of(self, log_norms: PerLane) -> PerLane:
        r"""When $\ln|\theta_l|$ rises to a level above its start; inf where nothing grows.

        $|\theta|^2 = |\theta(0)|^2\sum_i c_i^2 e^{2\mu_it}$, whose logarithm is convex: Newton's
        iteration descends to the root from where the leading mode alone has that size.
        """
        rate = np.where(self.rate > 0, self.rate, 1.0)[:, None]
        parts = np.log(np.maximum(self.modes[:, 0] ** 2, _NOTHING))
        target = 2 * (log_norms - self.log_sizes)
        t = np.maximum((target - parts[:, -1]) / (2 * rate[:, 0]), 0.0)
        for _ in range(_NEWTON):
            exponents = parts + 2 * self.rates * t[:, None]
            top = exponents.max(axis=1)
            share = np.exp(exponents - top[:, None])
            total = share.sum(axis=1)
            slope = 2 * np.sum(self.rates * share, axis=1) / total
            excess = np.log(total) + top - target
            change = np.where(slope > 0, excess / np.where(slope > 0, slope, 1.0), 0.0)
            t = np.maximum(t - change, 0.0)
            if np.all(np.abs(change) <= 4e-16 * t):
                break
        return np.where(self.rate > 0, t, np.inf)


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
