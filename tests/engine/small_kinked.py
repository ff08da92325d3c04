"""A flow through kinks, along one of them twice, that is small enough to be killed many times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

import flowtheory as ft
from flowtheory.flow.settings import Settings
from flowtheory.flow.until import norm

SETTINGS = Settings(method="tsit5", chunk=4)
T_END = 40.0


def wave(at: Any) -> Any:
    """Passes through zero once in every half of an e-fold of the norm."""
    return jnp.sin(2 * jnp.pi * jnp.log(norm(at.params)))


WATCHED = ft.norm_above(1e-2) | ft.norm_above(0.5) | ft.loss_below(0.15)


def flow() -> ft.GradientFlow:
    """Five data in the plane."""
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((5, 2)), rng.standard_normal(5)
    return ft.GradientFlow(ft.fully_connected(2, "relu"), loss="half_mse", x=x, y=y)


def first(flow: ft.GradientFlow, eps: float = 1e-3) -> dict[str, np.ndarray]:
    """A start of four neurons."""
    return flow.init(scale=eps, seed=np.random.default_rng(2), width=4)


def solve(flow: ft.GradientFlow, checkpoint: Path | None = None, **changed: Any) -> ft.Run:
    """A run of many short stretches; its second run is at a coarser tolerance."""
    options = {"watch": WATCHED, "rtol": 1e-9, "settings": SETTINGS, "every": 0.0, "skip": False}
    options |= changed
    start, t_end = options.pop("start", None), options.pop("t_end", T_END)
    return flow.solve(start or first(flow), t_end, checkpoint=checkpoint, **options)
