r"""Synthetic families with a prescribed minimal cosine $\mu$, each returning a `Case`.

To add one: write a function `(*, mu=..., ...) -> Case` in a file of this package, and add a row to
`FAMILIES`; the test of all families then checks it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from flowtheory.data.families.case import Case as Case
from flowtheory.data.families.copies import four_points_copied as four_points_copied
from flowtheory.data.families.copies import two_points_copied as two_points_copied
from flowtheory.data.families.equicorrelated import equicorrelated as equicorrelated
from flowtheory.data.families.four_points import four_points as four_points
from flowtheory.data.families.planar import fan as fan
from flowtheory.data.families.planar import two_points as two_points
from flowtheory.data.families.random_cone import random_cone as random_cone
from flowtheory.data.families.random_cone import sparse_cone as sparse_cone
from flowtheory.data.families.starts import gaussian_starts as gaussian_starts
from flowtheory.data.families.starts import repeller_starts as repeller_starts
from flowtheory.errors import unknown_name

FAMILIES: Mapping[str, Callable[..., Case]] = MappingProxyType(
    {
        "two-points": two_points,
        "four-points": four_points,
        "two-points-copied": two_points_copied,
        "four-points-copied": four_points_copied,
        "fan": fan,
        "equicorrelated": equicorrelated,
        "random-cone": random_cone,
        "sparse-cone": sparse_cone,
    }
)
"""Name -> function; every function takes `mu` and has defaults for the rest."""


def family(name: str) -> Callable[..., Case]:
    """The family registered as `name`.

    Raises:
        UnknownNameError: no such family; the message lists the known ones.
    """
    if name not in FAMILIES:
        raise unknown_name("family", name, FAMILIES)
    return FAMILIES[name]
