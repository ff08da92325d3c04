"""Small problems with known times, shared by the tests of the engine."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

import flowtheory as ft

DROP = 0.2


@cache
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((10, 3))
    return x, np.sin(x[:, 0]) + 0.5 * x[:, 1]


@cache
def tanh_flow() -> ft.GradientFlow:
    x, y = data()
    return ft.GradientFlow(ft.fully_connected(2, "tanh"), loss="half_mse", x=x, y=y)


def start(eps: float, seed: int = 0, width: int = 12) -> dict[str, np.ndarray]:
    return tanh_flow().init(scale=eps, seed=np.random.default_rng(seed), width=width)


def by_hand(eps: float, seed: int = 0, width: int = 12) -> tuple[Any, Any, np.ndarray]:
    """The same flow in NumPy: field, level of the loss (positive before the drop), start."""
    x, y = data()
    first = start(eps, seed, width)
    shape = first["W"].shape
    plateau = np.mean(y**2) / 2

    def parts(state: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        W, v = state[:W_size].reshape(shape), state[W_size:]
        s = np.tanh(x @ W.T)
        return s, v, (y - s @ v) / len(y)

    def field(_: float, state: np.ndarray) -> np.ndarray:
        s, v, r = parts(state)
        W = ((1 - s**2) * v * r[:, None]).T @ x
        return np.concatenate([W.ravel(), s.T @ r])

    def level(_: float, state: np.ndarray) -> float:
        _, _, r = parts(state)
        return float(np.sum(r**2) * len(y) / 2 - (1 - DROP) * plateau)

    W_size = first["W"].size
    setattr(level, "terminal", True)  # noqa: B010  (how solve_ivp takes its options)
    return field, level, np.concatenate([first["W"].ravel(), first["v"]])


def scipy_time(eps: float, method: str, **tolerances: float) -> float:
    """The time of the drop by SciPy; NaN where it does not come before t = 2000."""
    field, level, first = by_hand(eps)
    found = solve_ivp(field, (0, 2000.0), first, method, events=level, **tolerances)
    assert found.success  # no warning of any kind
    return float(found.t_events[0][0]) if found.t_events[0].size else np.nan
