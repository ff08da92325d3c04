r"""Shortest vectors over a box, the problem behind every sliding mode (numba; import it late).

On kinks where the field points to the kink from both sides a neuron slides, and Filippov's field
is the shortest vector of the convex hull of the fields around:

$$ \min_{\lambda \in [0, 1]^Z} \tfrac12 \Bigl| a + \sum_{i \in Z} \lambda_i g_i x_i \Bigr|^2 . $$

Its optimality conditions are the complementarity problem of the sliding mode: an interior
$\lambda_i$ holds the velocity across kink $i$ at zero, and at a bound the velocity points away from
the kink, into the side that the bound stands for. A primal active-set method, warm-started: data
that left may come back in the same solve, without which the set would depend on the order of the
data. Shared by event-exact propagation and by the flow at finite scale.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# Relative size of a Cholesky pivot below which a datum counts as dependent on the sliding ones.
_PIVOT = 1e-11
_AT_BOUND = 1e-13


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def dot(x, y):
    """<x, y>; reassociation lets the sum use vector instructions."""
    total = 0.0
    for k in range(x.size):
        total += x[k] * y[k]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def axpy(factor, x, y):
    """y += factor x."""
    for k in range(x.size):
        y[k] += factor * x[k]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def factorise(h, members, first, size, factor):
    """Rows `first` to `size` of the Cholesky factor of h[F, F]; the first bad pivot's row, or -1.

    Rows below `first` are taken to be there: a datum that joins costs one row.
    """
    for i in range(first, size):
        row = members[i]
        for j in range(i + 1):
            total = h[row, members[j]]
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            if i == j:
                if total <= _PIVOT * h[row, row]:
                    return i
                factor[i, i] = np.sqrt(total)
            else:
                factor[i, j] = total / factor[j, j]
    return -1


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def newton_step(b, members, size, factor, step):
    """Solve h[F, F] step = -b[F] with the Cholesky factor of h[F, F]."""
    for i in range(size):
        total = -b[members[i]]
        for k in range(i):
            total -= factor[i, k] * step[k]
        step[i] = total / factor[i, i]
    for i in range(size - 1, -1, -1):
        step[i] /= factor[i, i]
        for k in range(i):
            step[k] -= step[i] * factor[i, k]


@njit(cache=True, nogil=True, error_model="numpy")
def _longest_step(lam, step, members, size):
    """The largest theta <= 1 with lam + theta step in the box, and the position that blocks."""
    theta, block = 1.0, -1
    for m in range(size):
        room = (1.0 - lam[members[m]]) if step[m] > 0.0 else lam[members[m]]
        if room < theta * abs(step[m]):
            theta, block = room / abs(step[m]), m
    return theta, block


@njit(cache=True, nogil=True, error_model="numpy")
def _worst_bound(b, lam, free, skipped, tolerance):
    """The datum at a bound whose gradient points most into the box, or -1 (KKT holds)."""
    worst, violation = -1, 0.0
    for i in range(lam.size):
        gap = -b[i] if lam[i] <= 0.0 else b[i]
        if not free[i] and not skipped[i] and gap > tolerance[i] and gap > violation:
            worst, violation = i, gap
    return worst


@njit(cache=True, nogil=True, error_model="numpy")
def _snap(lam):
    """A multiplier at a bound but for rounding is at it (the last datum of a dying neuron)."""
    for i in range(lam.size):
        if lam[i] < _AT_BOUND:
            lam[i] = 0.0
        elif lam[i] > 1.0 - _AT_BOUND:
            lam[i] = 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def _remove(members, size, position):
    """Take one member out, the order of the others kept."""
    for m in range(position, size - 1):
        members[m] = members[m + 1]
    return size - 1


@njit(cache=True, nogil=True, error_model="numpy")
def box_least_squares(h, b, lam, tolerance):
    """Minimise |a|^2/2 over lam in the box, from a feasible `lam`; lam and b change in place.

    h is the Gram matrix of the vectors g_i x_i and b the gradient at the start. Returns whether the
    KKT conditions were reached.
    """
    size = lam.size
    free, skipped = np.zeros(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_)
    members, count, valid = np.empty(size, dtype=np.int64), 0, 0
    for i in range(size):
        if 0.0 < lam[i] < 1.0:
            free[i] = True
            members[count] = i
            count += 1
    factor, step = np.empty((size, size)), np.empty(size)
    for _ in range(20 * size + 20):
        # Members stand in the order in which they came, so that the factor's rows stay valid and a
        # bad pivot is the newest one's own, not that of a datum that slides already.
        bad = factorise(h, members, valid, count, factor)
        if bad >= 0:
            free[members[bad]], skipped[members[bad]] = False, True
            count, valid = _remove(members, count, bad), bad
            continue
        valid = count
        newton_step(b, members, count, factor, step)
        theta, block = _longest_step(lam, step, members, count)
        for m in range(count):
            lam[members[m]] += theta * step[m]
            axpy(theta * step[m], h[members[m]], b)
        if block >= 0:
            i = members[block]
            lam[i] = 1.0 if step[block] > 0.0 else 0.0
            free[i] = False
            count, valid = _remove(members, count, block), block
            continue
        newest = _worst_bound(b, lam, free, skipped, tolerance)
        if newest < 0:
            _snap(lam)
            return True
        free[newest] = True
        members[count] = newest
        count += 1
    return False
