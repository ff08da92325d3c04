"""Exact counts of the orientations of data sets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from flowtheory.judge import Evidence
from flowtheory.laws.condensed_orientations.symmetric_sets import (
    Labelled,
    cube,
    fan,
    icosahedron,
    orthonormal,
    tangents,
    tetrahedron,
)
from flowtheory.laws.record import Settings
from flowtheory.symbolic.directions.find import critical_directions
from flowtheory.symbolic.directions.record import Directions, Stability


def _stable(found: Directions) -> int:
    """Orientations that are stable for one sign of a, whether neurons grow there or not."""
    stable = (
        any(line.stability(sign) is Stability.STABLE for sign in (1, -1)) for line in found
    )  # fmt: skip
    return 2 * sum(stable)


def parameters(found: Directions) -> dict[str, Any]:
    """Multiplicity, dimension, and both counts, as a row states them."""
    return {"p": found.order, "D": found.dimension, "N_+": found.count, "N_s": _stable(found)}


def counts(settings: Settings) -> Iterator[Evidence]:
    """Exact counts: random data sets, and chosen ones that attain the bounds."""
    cases = settings.effort.pick(12, 60, 250)
    highest = settings.effort.pick(4, 5, 5)
    rng = np.random.default_rng([settings.seed, 0])
    for order in range(1, highest + 1):
        for dimension in (2, 3, 6) if order <= 2 else (2, 3):
            for _ in range(cases):
                x, y = rng.standard_normal((12, dimension)), rng.standard_normal(12)
                kind = "p <= 2" if order <= 2 else f"D = {dimension}"
                yield from _count(kind, Labelled("random", order, x, y), settings.seed)
        settings.progress("orders", order, highest)
    for order in range(2, settings.effort.pick(6, 8, 8)):
        yield from _count("fan", fan(order))
    lines = (3, 6), (3, 4, 6, 7), (3, 4, 5, 6, 7, 8)
    for one in (tetrahedron(), cube(), icosahedron(), *map(tangents, settings.effort.pick(*lines))):
        yield from _count("attaining", one)
    for order, dimension in ((3, 3), (3, 4), (3, 5), (4, 3), (4, 4), (5, 3)):
        signs = rng.choice([-1.0, 1.0], dimension)
        labels = signs * rng.uniform(0.5, 2.0, dimension)
        yield from _count("orthonormal", orthonormal(order, labels), settings.seed)


def _count(family: str, data: Labelled, seed: int | None = None) -> Iterator[Evidence]:
    row = measured(family, data, seed)
    if row is not None:
        yield row


def measured(family: str, data: Labelled, seed: int | None = None) -> Evidence | None:
    """The count of a data set; None where it may miss a line, which is no measurement."""
    found = critical_directions(data.x, data.y, data.order)
    if not found.guarantee.complete:
        return None
    return Evidence(
        experiment="counts",
        family=family,
        parameters=parameters(found),
        measured=float(found.count),
        seed=seed,
        note=f"{data.name}: {found.guarantee.value}",
    )
