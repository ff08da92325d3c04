"""A flow that is small enough to be killed and taken up again many times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import flowtheory as ft
from flowtheory.flow.settings import Settings

SETTINGS = Settings(method="tsit5", chunk=2)
UNTIL = 1e-3


def flow() -> ft.GradientFlow:
    """Two layers, tanh, five data in the plane."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, 2))
    y = np.tanh(x @ np.array([1.0, -0.5]))
    return ft.GradientFlow(ft.fully_connected(layers=2, activation="tanh"), x=x, y=y)


def solve(flow: ft.GradientFlow, checkpoint: Path | None = None, **changed: Any) -> ft.Run:
    """A run of many short stretches."""
    options = {
        "until": ft.loss_below(UNTIL),
        "watch": ft.plateau_left(0.2),
        "rtol": 1e-12,
        "settings": SETTINGS,
        "every": 0.0,
    } | changed
    start = options.pop("start", None) or flow.init(scale=1e-6, seed=1, width=3)
    return flow.solve(start, checkpoint=checkpoint, **options)
