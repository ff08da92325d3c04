r"""Attacks on the brackets: starts of two neurons a layer, for three to five layers.

The data enter through $z$ alone, whose direction and length are a rotation and a unit of time; so
one data set stands for all. Balanced aligned starts attain every bound.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from flowtheory.judge import Evidence
from flowtheory.laws.attack import Attack
from flowtheory.laws.starts import DIMENSION, WIDTH, Drive, Layers, brackets, observed
from flowtheory.laws.three_layer_blow_up.experiments import DEPTHS, LOWER, NUMBERS, UPPER

LAW = "three-layer-blow-up"
NEURONS = 2
_LEAST = 1e-6  # of H: below, rounding decides when it blows up


def attacks() -> tuple[Attack, ...]:
    """One for each bound and depth."""
    return tuple(_attack(layers, name) for layers in DEPTHS for name in (*UPPER, *LOWER))


def _attack(layers: int, name: str) -> Attack:
    numbers = 2 * NEURONS + (layers - 2) * NEURONS**2
    return Attack(
        name=f"{NUMBERS[name]}, L = {layers}",
        law=LAW,
        bound=getattr(brackets(layers), name),
        upper=name in UPPER,
        box=((-2.0, 2.0),) * numbers,
        case=_measured(layers),
        generations=(3, 25, 100),
    )


def _measured(layers: int) -> Callable[[Float[np.ndarray, " numbers"]], Evidence | None]:
    def case(numbers: Float[np.ndarray, " numbers"]) -> Evidence | None:
        drive = _drive(layers)
        start = layers_of(drive, numbers)
        at = drive.parameters(start)
        if not at["H"] > _LEAST:
            return None
        seen = observed(drive.blow_up(start, rtol=1e-10, check=False))
        # Of a run at this tolerance, without a second one.
        error = 1e-9 * seen.get("cut", seen["measured"])
        return Evidence("", "", at, **{**seen, "error": error})

    return case


@lru_cache
def _drive(layers: int) -> Drive:
    return Drive.random(layers, 1.0, np.random.default_rng(77))


def layers_of(drive: Drive, numbers: Float[np.ndarray, " numbers"]) -> Layers:
    r"""$W_1\hat z$, the inner matrices by rows, and $v$.

    All but two neurons a layer are zero, so that the law's runs share their shapes.
    """
    sizes = [NEURONS] + [NEURONS**2] * (drive.layers - 2) + [NEURONS]
    parts = np.split(numbers, np.cumsum(sizes)[:-1])
    wide = [DIMENSION, *[WIDTH] * (drive.layers - 1)]
    matrices = [np.zeros((b, a)) for a, b in pairwise(wide)]
    matrices[0][:NEURONS] = np.outer(parts[0], drive.direction)
    for matrix, part in zip(matrices[1:], parts[1:-1], strict=True):
        matrix[:NEURONS, :NEURONS] = part.reshape(NEURONS, NEURONS)
    return drive.named([*matrices, np.concatenate([parts[-1], np.zeros(WIDTH - NEURONS)])])
