"""Studies of the toy probe."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from flowtheory.sweep import Home, Study, results

HOME = Home.of(f"{Path(__file__).parent / 'toy.py'}:PROBE")


def squares(xs: Iterable[float] = range(8), seeds: int = 3, **fixed: Any) -> Study:
    return Study.of("squares", HOME, {"x": list(map(float, xs)), "seed": range(seeds)}, fixed)


def right(study: Study, store: Path) -> np.ndarray:
    """Which cells hold the number that they should."""
    found = results(study, store)["square"].values
    xs, seeds = (np.array(study.grid[name]) for name in ("x", "seed"))
    return found == xs[:, None] ** 2 + seeds
