r"""Starts of many neurons on given data, as cases."""

from __future__ import annotations

import math

import numpy as np

from flowtheory.data.dataset import LabelledData
from flowtheory.data.families.case import Case, strict_pattern
from flowtheory.data.families.checks import require_angle, require_count, require_seed
from flowtheory.errors import DataError


def gaussian_starts(
    data: LabelledData, *, h: int = 8, seed: int = 0, family: str | None = None
) -> Case:
    r"""`h` neurons with independent $w_j \sim N(0, I)$: uniform directions.

    Args:
        data: any data.
        h: number of neurons.
        seed: of `numpy.random.default_rng`; the stream differs from that of the data families.
        family: name in the case; the data's name by default.

    Raises:
        ParameterError: `h` < 1.
    """
    require_count("h", h, 1, "number of neurons")
    w0 = _stream(seed).standard_normal((h, data.dimension))
    start = f"{h} neurons, w0 ~ N(0, I), seed={seed}"
    return Case(data, w0, strict_pattern(w0, data), family or data.name, start)


def repeller_starts(
    data: LabelledData,
    *,
    theta0: float = 1e-3,
    h: int = 8,
    seed: int = 0,
    family: str | None = None,
) -> Case:
    r"""`h` neurons at angle `theta0` from $x_-$, the direction that repels neurons with $v > 0$.

    $w_j = \cos\theta_0\, \hat x_- + \sin\theta_0\, u_j$, $u_j$ uniform among the unit vectors
    orthogonal to $x_-$. Rounding perturbs the angle by about $10^{-16}$ absolutely. Under
    Assumption 1, and for small enough `theta0`, the start is in $S_-$.

    Raises:
        ParameterError: `theta0` outside $(0, \pi)$ or `h` < 1.
        DataError: $x_- = 0$ (no negative datum), or dimension 1.
    """
    require_count("h", h, 1, "number of neurons")
    require_angle("theta0", theta0, math.pi, "angle to x_-")
    length = np.linalg.norm(data.x_minus)
    if length == 0 or data.dimension == 1:
        raise DataError(
            f"no direction next to x_-: |x_-| = {length:g}, dimension {data.dimension}",
            expected="negative data with a nonzero sum, in dimension 2 or more",
            fix="use labels of both classes",
        )
    axis = data.x_minus / length
    u = _stream(seed).standard_normal((h, data.dimension))
    u -= np.outer(u @ axis, axis)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    w0 = math.cos(theta0) * axis + math.sin(theta0) * u
    start = f"{h} neurons at {theta0:g} rad from x_-, seed={seed}"
    return Case(data, w0, strict_pattern(w0, data), family or data.name, start)


def _stream(seed: int) -> np.random.Generator:
    """A stream independent of `default_rng(seed)`, from which a family drew its data."""
    require_seed(seed)
    return np.random.default_rng([seed, 1])
