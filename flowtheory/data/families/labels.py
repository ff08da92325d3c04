"""Label patterns of the synthetic families."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float

from flowtheory.errors import ParameterError

LabelPattern = Literal["positive", "alternating", "random"] | Float[np.ndarray, " n"]
"""A named pattern, or the labels themselves."""


def make_labels(
    pattern: LabelPattern, n: int, rng: np.random.Generator | None = None
) -> Float[np.ndarray, " n"]:
    """Labels of `n` data: all +1; +1, -1, +1, ...; fair coins (both classes present); or given.

    Raises:
        ParameterError: for an unknown pattern, a given array that has not shape (n,), or 'random'
            without a generator.
    """
    if not isinstance(pattern, str):
        return _given(np.asarray(pattern), n)
    if pattern == "positive":
        return np.ones(n)
    if pattern == "alternating":
        return np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    if pattern == "random" and rng is not None:
        y = rng.choice([-1.0, 1.0], size=n)
        if np.all(y == y[0]):
            y[rng.integers(n)] *= -1.0
        return y
    raise ParameterError(
        f"labels = {pattern!r}",
        expected="'positive', 'alternating', an array of n labels, or, in a family with a seed, "
        "'random'",
        fix="check the spelling; draw labels first with default_rng(seed).choice([-1.0, 1.0], n)",
    )


def _given(y: np.ndarray, n: int) -> np.ndarray:
    if y.shape != (n,):
        raise ParameterError(
            f"labels have shape {y.shape}",
            expected=f"shape ({n},), one label a datum",
            fix="pass one label for each of the n data",
        )
    return y


def describe_labels(pattern: LabelPattern) -> str:
    """The pattern's name for a provenance line."""
    return pattern if isinstance(pattern, str) else "given"
