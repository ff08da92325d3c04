r"""Activation patterns: which of them are final under Assumption 1.

A neuron with $v > 0$ ends with exactly the positive data active ($S_+$) or with none
($S_{dead}$); one with $v < 0$ with exactly the negative data ($S_-$) or none. Under Assumption 1
these memberships are permanent at every initialization scale.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int8

OPEN, DEAD, ALIGNED = np.int8(0), np.int8(1), np.int8(2)


def classify(
    pattern: Bool[np.ndarray, "h n"], v: Float[np.ndarray, " h"], y: Float[np.ndarray, " n"]
) -> Int8[np.ndarray, " h"]:
    """Per neuron: `ALIGNED` (in the cone of its sign of v), `DEAD`, or `OPEN` (neither yet)."""
    own = np.sign(v)[:, None] * y > 0
    aligned = np.all(pattern == own, axis=1) & (v != 0)
    dead = ~np.any(pattern, axis=1)
    return np.where(dead, DEAD, np.where(aligned, ALIGNED, OPEN)).astype(np.int8)
