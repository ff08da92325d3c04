r"""A subset of real data on which Assumption 1 holds with a prescribed $\mu$."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from flowtheory.data.cosines import cosine_blocks, unit_rows
from flowtheory.data.dataset import LabelledData
from flowtheory.errors import DataError, ParameterError

# Rounding error of a computed cosine, for any dimension in use here: a pair whose true cosine is
# exactly mu must not count as violating.
_ROUNDING = 1e-14


def separable_subset(data: LabelledData, mu: float) -> LabelledData:
    r"""A subset with $\cos(z_i, z_j) \ge \mu$ for all pairs, maximal with respect to inclusion.

    Two data violate if their cosine is below $\mu$ (by more than $10^{-14}$, the rounding error of
    a cosine). The largest subset without violations is a maximum independent set, which is
    NP-hard; this is the usual greedy for it. Remove the datum with the most violations among those
    left (ties: the smallest worst cosine over all data, then the lowest index) until there is
    none. Then return removed data without violation against those left, largest worst cosine
    first, until none fits. The order of the data is kept. Time $O(n^2)$ after the cosines; memory
    $n^2$ bytes.

    Args:
        data: any data.
        mu: threshold in $(0, 1]$.

    Raises:
        ParameterError: `mu` outside $(0, 1]$.
        DataError: fewer than two data left, or none left of a class that `data` has.
    """
    if not 0 < mu <= 1:
        raise ParameterError(
            f"mu = {mu!r}",
            expected="a threshold on the cosines, in (0, 1]",
            fix="0.05 is usual for centred digits",
        )
    conflicts, worst = _conflicts(data, mu)
    kept = _independent_set(conflicts, worst)
    _check_kept(kept, data, mu)
    subset = data.subset(np.flatnonzero(kept), name=f"{data.name}, mu >= {mu:g}")
    return replace(subset, provenance=f"{subset.provenance}, greedy subset with mu >= {mu:g}")


def _conflicts(
    data: LabelledData, mu: float
) -> tuple[Bool[np.ndarray, "n n"], Float[np.ndarray, " n"]]:
    """Which pairs violate, and each datum's smallest cosine with another."""
    conflicts = np.zeros((data.n, data.n), dtype=bool)
    worst = np.full(data.n, np.inf)
    for start, block in cosine_blocks(unit_rows(data.signed)):
        stop = start + len(block)
        violating = block < mu - _ROUNDING
        conflicts[start:stop, start:] |= violating
        conflicts[start:, start:stop] |= violating.T
        np.minimum(worst[start:stop], block.min(axis=1), out=worst[start:stop])
        np.minimum(worst[start:], block.min(axis=0), out=worst[start:])
    return conflicts, worst


def _independent_set(
    conflicts: Bool[np.ndarray, "n n"], worst: Float[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    """Greedy maximal independent set; `count[i]` is the number of kept data that i violates."""
    kept = np.ones(len(worst), dtype=bool)
    count = conflicts.sum(axis=1, dtype=np.int64)
    while (most := count[kept].max(initial=0)) > 0:
        tied = np.flatnonzero(kept & (count == most))
        removed = tied[np.argmin(worst[tied])]
        kept[removed] = False
        count -= conflicts[removed]
    while (free := np.flatnonzero(~kept & (count == 0))).size:
        returned: Int[np.ndarray, ""] = free[np.argmax(worst[free])]
        kept[returned] = True
        count += conflicts[returned]
    return kept


def _check_kept(kept: Bool[np.ndarray, " n"], data: LabelledData, mu: float) -> None:
    left = int(np.count_nonzero(kept))
    lost = [f"{c:+.0f}" for c in np.unique(data.y) if not np.any(data.y[kept] == c)]
    if left < 2 or lost:
        raise DataError(
            f"{left} of {data.n} data are left at mu = {mu:g}"
            + (f", none with label {lost[0]}" if lost else ""),
            expected="at least two data, with every class that the data have",
            fix="lower mu, or centre the data (subtract the mean of the pair)",
        )
