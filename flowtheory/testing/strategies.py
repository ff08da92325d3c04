r"""Hypothesis strategies for labelled data.

Draws are on a grid of step 1/1000, so no number is near the limits of float64 and shrinking leads
to readable examples. Exact copies, zero coordinates and ties occur, and are part of what is tested.
"""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from flowtheory.data import LabelledData

_GRID = 1000


def _directions(dimension: int) -> st.SearchStrategy[list[float]]:
    """Nonzero vectors with coordinates in [-1, 1]."""
    coordinate = st.integers(-_GRID, _GRID).map(lambda k: k / _GRID)
    return st.lists(coordinate, min_size=dimension, max_size=dimension).filter(any)


@st.composite
def _labels(draw: st.DrawFn, n: int) -> np.ndarray:
    return np.array(draw(st.lists(st.sampled_from([1.0, -1.0]), min_size=n, max_size=n)))


@st.composite
def labelled_data(
    draw: st.DrawFn, min_n: int = 2, max_n: int = 8, dims: tuple[int, int] = (2, 4)
) -> LabelledData:
    """Any data with any labels (one class only included); coordinates in [-1, 1].

    Args:
        draw: supplied by hypothesis.
        min_n: smallest number of data.
        max_n: largest number of data.
        dims: smallest and largest dimension.
    """
    n, dimension = draw(st.integers(min_n, max_n)), draw(st.integers(*dims))
    x = [draw(_directions(dimension)) for _ in range(n)]
    return LabelledData(np.array(x), draw(_labels(n)), "any", "hypothesis: labelled_data")


@st.composite
def separable_data(
    draw: st.DrawFn,
    min_n: int = 2,
    max_n: int = 8,
    dims: tuple[int, int] = (2, 4),
    min_mu: float = 0.01,
) -> LabelledData:
    r"""Data that satisfy Assumption 1, with $\mu \ge$ `min_mu` up to rounding.

    The signed directions lie in a cap around an axis, of angular radius $\frac12\arccos\mu_0$
    with $\mu_0 \ge$ `min_mu`; norms are between 1/4 and 4; labels are any.

    Args:
        draw: supplied by hypothesis.
        min_n: smallest number of data.
        max_n: largest number of data.
        dims: smallest and largest dimension, at least 2.
        min_mu: smallest $\mu_0$.
    """
    n, dimension = draw(st.integers(min_n, max_n)), draw(st.integers(*dims))
    radius = math.acos(draw(st.floats(min_mu, 0.99))) / 2
    y = draw(_labels(n))
    x = np.empty((n, dimension))
    for i in range(n):
        angle = radius * draw(st.integers(0, _GRID)) / _GRID
        across = np.array(draw(_directions(dimension - 1)))
        norm = draw(st.integers(_GRID // 4, 4 * _GRID)) / _GRID
        x[i, 0] = norm * math.cos(angle)
        x[i, 1:] = norm * math.sin(angle) * across / np.linalg.norm(across)
    return LabelledData(y[:, None] * x, y, "separable", "hypothesis: separable_data")
