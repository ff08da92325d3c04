"""A Cholesky factor that gains and loses one datum at a time (numba; import it late).

U^T U = h[F, F], with the members of F in the order in which they came. A datum that joins costs
one triangular solve, one that leaves a sweep of rotations: O(|F|^2) each, where a fresh factor
costs O(|F|^3). Both are backward stable: rounding adds up to some 1e-16 of h an update, and what
it leaves of a gradient is in the next step's. Rows of U are contiguous, and every inner loop runs
along a row.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from flowtheory.box.vectors import compiled

# Relative size of a pivot below which a datum counts as dependent on the members.
_PIVOT = 1e-11


class Factor(NamedTuple):
    """The arrays of a factor; the number of members is the caller's."""

    upper: np.ndarray
    inverse: np.ndarray  # 1/U_jj: no division inside a solve
    members: np.ndarray
    column: np.ndarray  # scratch


@njit(cache=True, nogil=True, error_model="numpy")
def empty_factor(capacity):
    """A factor without members and room for `capacity` of them."""
    return Factor(
        np.empty((capacity, capacity)),
        np.empty(capacity),
        np.empty(capacity, dtype=np.int64),
        np.empty(capacity),
    )


@compiled()
def append(factor, count, h, datum):
    """Let `datum` join as member number `count`; False, and no change, if its pivot is bad."""
    upper, inverse, members, column = factor.upper, factor.inverse, factor.members, factor.column
    if count == inverse.size:
        return False
    for j in range(count):
        column[j] = h[datum, members[j]]
    pivot = h[datum, datum]
    for j in range(count):
        value = column[j] * inverse[j]
        column[j] = value
        pivot -= value * value
        for k in range(j + 1, count):
            column[k] -= value * upper[j, k]
    if not pivot > _PIVOT * h[datum, datum]:
        return False
    for j in range(count):
        upper[j, count] = column[j]
    upper[count, count] = np.sqrt(pivot)
    inverse[count] = 1.0 / upper[count, count]
    members[count] = datum
    return True


@compiled()
def remove(factor, count, position):
    """Take the member at `position` out, the order of the others kept; returns their number."""
    upper, inverse, members = factor.upper, factor.inverse, factor.members
    for row in range(position):
        for k in range(position, count - 1):
            upper[row, k] = upper[row, k + 1]
    for j in range(position, count - 1):
        members[j] = members[j + 1]
        # Without its column, row j + 1 reaches below the diagonal: rotate it into row j. Row j
        # moves to the left by one as it is written; row j + 1 does so in the next turn.
        above, below = upper[j, j + 1], upper[j + 1, j + 1]
        size = np.sqrt(above * above + below * below)
        cosine, sine = above / size, below / size
        for k in range(j + 1, count):
            above, below = upper[j, k], upper[j + 1, k]
            upper[j, k - 1] = cosine * above + sine * below
            upper[j + 1, k] = cosine * below - sine * above
        upper[j, j] = size
        inverse[j] = 1.0 / size
    return count - 1


@compiled(fastmath={"reassoc", "contract"})
def newton_step(factor, count, b, step):
    """Solve h[F, F] step = -b[F]; step[m] belongs to member m."""
    upper, inverse, members = factor.upper, factor.inverse, factor.members
    for j in range(count):
        step[j] = -b[members[j]]
    for j in range(count):
        value = step[j] * inverse[j]
        step[j] = value
        for k in range(j + 1, count):
            step[k] -= value * upper[j, k]
    for j in range(count - 1, -1, -1):
        total = step[j]
        for k in range(j + 1, count):
            total -= upper[j, k] * step[k]
        step[j] = total * inverse[j]
