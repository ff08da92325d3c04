"""The results of a diagram's sweep, in order: its axes, and whether anything was reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flowtheory.errors import DataError
from flowtheory.phase.slopes import Grid

if TYPE_CHECKING:
    import xarray as xr


def ordered(found: xr.Dataset, rows: str) -> xr.Dataset:
    """The table with its axes in the order width, rows, gamma, seed.

    Args:
        found: what `flowtheory.sweep.results` gives.
        rows: the axis of the rows, beside gamma.

    Raises:
        DataError: fewer than three widths or two values of gamma, or an axis that is missing.
    """
    for axis, least in (("gamma", 2), (rows, 1), ("width", 3), ("seed", 1)):
        size = found.sizes.get(axis, 0)
        if size < least:
            raise DataError(
                f"the axis {axis} has {size} values",
                expected=f"at least {least}",
                fix="a slope needs three widths, a zero crossing two values of gamma",
            )
    return found.transpose("width", rows, "gamma", "seed")


def require_known(slopes: Grid) -> None:
    """Raise `DataError` if no slope is known."""
    if not np.isfinite(slopes).any():
        raise DataError(
            "no slope is known: no point was reached at every width",
            expected="one point or more",
            fix="look at the outcomes of the runs",
        )
