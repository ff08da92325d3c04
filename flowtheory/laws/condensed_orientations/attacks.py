r"""Attacks on the bounds of the number of orientations: data whose moment has most maxima of $|H|$.

The numbers of a case: the coordinates of seven inputs, then their labels. Every generic form of
degree 4 in three variables is a sum of six powers with factors (Sylvester, Clebsch).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import sympy as sp
from jaxtyping import Float

from flowtheory.judge import Evidence
from flowtheory.laws.attack import Attack
from flowtheory.laws.condensed_orientations.counts import measured
from flowtheory.laws.condensed_orientations.formulas import LOW, SPACE
from flowtheory.laws.condensed_orientations.symmetric_sets import (
    Labelled,
    cube,
    fan,
    orthonormal,
    tetrahedron,
)

LAW = "condensed-orientations"
ROWS = 7


def attacks() -> tuple[Attack, ...]:
    """Two inputs, and three inputs at the multiplicities that are counted fast and exactly."""
    return (
        _attack(LOW, fan(4), (0, 3, 30)),
        _attack(SPACE, orthonormal(2, np.array([1.0, 0.0, -1.0])), (0, 3, 30)),
        _attack(SPACE, tetrahedron(), (0, 3, 30)),
        _attack(SPACE, cube(), (0, 1, 10)),
    )


def _attack(bound: sp.Expr, known: Labelled, generations: tuple[int, int, int]) -> Attack:
    order, dimension = known.order, known.x.shape[1]
    missing = (0, ROWS - len(known.y))
    x, y = np.pad(known.x, (missing, (0, 0))), np.pad(known.y, missing)
    return Attack(
        name=f"D = {dimension}, p = {order}",
        law=LAW,
        bound=bound,
        upper=True,
        box=((-1.0, 1.0),) * (ROWS * (dimension + 1)),
        case=_counted(order, dimension),
        generations=generations,
        known=(*x.ravel().tolist(), *y.tolist()),
    )


def _counted(
    order: int, dimension: int
) -> Callable[[Float[np.ndarray, " numbers"]], Evidence | None]:
    def case(numbers: Float[np.ndarray, " numbers"]) -> Evidence | None:
        x, y = np.split(numbers, [ROWS * dimension])
        return measured("", Labelled("attack", order, x.reshape(ROWS, dimension), y))

    return case
