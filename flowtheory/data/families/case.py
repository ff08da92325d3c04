"""A case: data together with the neurons' start, which is what an alignment law is tested on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from flowtheory.data.dataset import LabelledData
from flowtheory.errors import DataError
from flowtheory.precision import as_float64


@dataclass(frozen=True, eq=False)
class Case:
    r"""Data, start directions and start activation pattern.

    All starts are meant for neurons with positive output weight ($V_+$); for $v < 0$ use the
    mirror problem `data.flipped()`.

    Attributes:
        data: the labelled data.
        w0: start weights $w_j(0)$, shape (h, D); only their directions matter for the early flow.
        active: start pattern, shape (h, n). `active[j, i]` is $1[\langle w_j, x_i\rangle > 0]$
            *for small $t > 0$*: some families start exactly on a hyperplane
            $\langle w, x_i\rangle = 0$, where the sign of the product at $t = 0$ does not tell.
        family: registered name of the family.
        start: how `w0` was made, one line, for reports.
    """

    data: LabelledData
    w0: Float[np.ndarray, "h D"]
    active: Bool[np.ndarray, "h n"]
    family: str
    start: str

    def __post_init__(self) -> None:
        w0, active = as_float64(self.w0, "w0"), np.array(self.active, dtype=bool)
        _check_start(w0, active, self.data)
        w0.setflags(write=False)
        active.setflags(write=False)
        object.__setattr__(self, "w0", w0)
        object.__setattr__(self, "active", active)

    @property
    def h(self) -> int:
        """Number of neurons."""
        return len(self.w0)


def strict_pattern(w0: Float[np.ndarray, "h D"], data: LabelledData) -> Bool[np.ndarray, "h n"]:
    r"""The pattern $1[\langle w_j, x_i\rangle > 0]$ of starts that lie on no hyperplane."""
    return w0 @ data.x.T > 0


def _check_start(w0: np.ndarray, active: np.ndarray, data: LabelledData) -> None:
    fits = w0.ndim == 2 and w0.shape[1] == data.dimension and len(w0) >= 1
    if not fits or active.shape != (len(w0), data.n):
        raise DataError(
            f"w0 has shape {w0.shape} and active {active.shape} for n = {data.n} data "
            f"in dimension {data.dimension}",
            expected="w0 of shape (h, D) with h >= 1, active of shape (h, n)",
            fix="one row per neuron: w0[None, :] for a single one",
        )
    if not np.all(np.any(w0 != 0, axis=1)):
        row = int(np.flatnonzero(~np.any(w0 != 0, axis=1))[0])
        raise DataError(
            f"the start w0[{row}] is the zero vector",
            expected="start weights with a direction",
            fix="drop this neuron: it never moves",
        )
