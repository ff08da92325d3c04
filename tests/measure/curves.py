"""Closed forms of decoupled linear modes (Saxe et al. 2014), which tests measure."""

from __future__ import annotations

import numpy as np

RATES = np.array([3.0, 1.5, 0.5])
LEVELS = np.array([5.75, 1.25, 0.125])


def logistic(times: np.ndarray, s: float, u0: float) -> np.ndarray:
    r"""$u' = 2 u (s - u)$, a mode of a balanced two-layer linear network."""
    return s / (1 + (s / u0 - 1) * np.exp(-2 * s * times))


def passing(s: float, u0: float, fraction: float) -> float:
    """When the mode reaches a fraction of s."""
    return float(np.log((s / u0 - 1) * fraction / (1 - fraction)) / (2 * s))


def loss_at(times: np.ndarray, eps: float) -> np.ndarray:
    """Half the sum of the squared gaps of the three modes."""
    return np.sum([(s - logistic(times, s, eps**2)) ** 2 for s in RATES], axis=0) / 2


def modes(eps: float, end: float = 120.0, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Times and loss of three modes."""
    times = np.linspace(0, end, count)
    return times, loss_at(times, eps)
