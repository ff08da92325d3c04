"""The sliding field: a box-constrained least squares, warm-started from event to event.

On the concave kinks Z = {i : <w, x_i> = 0, g_i < 0} the Filippov field is the shortest vector

    a = a_active + sum_{i in Z} lam_i g_i x_i,   lam in [0, 1]^Z

(lam_i = 0: leaves as inactive; 1: leaves as active; between: slides, and <a, x_i> = 0). It does
not depend on w, so it changes at events only, and events change few multipliers: a primal
active-set method started from the last multipliers takes about one step an event.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from flowtheory.exact._codes import NO_DATUM
from flowtheory.exact._state import N_TIED, SIDE_ACTIVE, SIDE_INACTIVE, add_datum, axpy, dot

# Relative size of a Cholesky pivot below which a datum counts as dependent on the sliding ones.
_PIVOT = 1e-11
_AT_BOUND = 1e-13


@njit(cache=True, nogil=True, error_model="numpy")
def _newton_step(h, b, members, size, factor, step):
    """Solve h[F, F] step = -b[F] by Cholesky; returns the position of the first bad pivot or -1."""
    for i in range(size):
        row = members[i]
        for j in range(i + 1):
            total = h[row, members[j]] - dot(factor[i, :j], factor[j, :j])
            if i == j:
                if total <= _PIVOT * h[row, row]:
                    return i
                factor[i, i] = np.sqrt(total)
            else:
                factor[i, j] = total / factor[j, j]
    for i in range(size):
        step[i] = (-b[members[i]] - dot(factor[i, :i], step[:i])) / factor[i, i]
    for i in range(size - 1, -1, -1):
        step[i] /= factor[i, i]
        axpy(-step[i], factor[i, :i], step[:i])
    return -1


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
def box_least_squares(h, b, lam, tolerance):
    """Minimise |a|^2/2 over lam in the box, from a feasible `lam`; lam and b change in place.

    h is the Gram matrix of the vectors g_i x_i and b the gradient at the start. Returns whether the
    KKT conditions were reached.
    """
    size = lam.size
    free, skipped = np.empty(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_)
    for i in range(size):
        free[i] = 0.0 < lam[i] < 1.0
    members = np.empty(size, dtype=np.int64)
    factor, step = np.empty((size, size)), np.empty(size)
    newest = -1
    for _ in range(20 * size + 20):
        count = 0
        for i in range(size):
            if free[i] and i != newest:
                members[count] = i
                count += 1
        if newest >= 0:
            # Last, so that a bad pivot is its own and not that of a datum that slides already.
            members[count] = newest
            count += 1
        bad = _newton_step(h, b, members, count, factor, step)
        if bad >= 0:
            dropped = members[bad]
            free[dropped], skipped[dropped] = False, True
            newest = -1 if dropped == newest else newest
            continue
        theta, block = _longest_step(lam, step, members, count)
        for m in range(count):
            lam[members[m]] += theta * step[m]
            axpy(theta * step[m], h[members[m]], b)
        if block >= 0:
            i = members[block]
            lam[i] = 1.0 if step[block] > 0.0 else 0.0
            free[i] = False
            newest = -1 if i == newest else newest
            continue
        newest = _worst_bound(b, lam, free, skipped, tolerance)
        if newest < 0:
            _snap(lam)
            return True
        free[newest] = True
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _tied_gram(problem, tied):
    """<x_i, x_j> over the tied data."""
    h = np.empty((tied.size, tied.size))
    for m in range(tied.size):
        for k in range(m + 1):
            if problem.gram.shape[0] > 0:
                h[m, k] = problem.gram[tied[m], tied[k]]
            else:
                h[m, k] = dot(problem.x[tied[m]], problem.x[tied[k]])
            h[k, m] = h[m, k]
    return h


@njit(cache=True, nogil=True, error_model="numpy")
def project_to_kinks(problem, neuron):
    """Remove from w what rounding has put off the kinks of the tied data.

    Where |w| shrinks by many orders inside one cell, that rounding would become all of w.
    """
    tied = neuron.tied[: neuron.counts[N_TIED]]
    h = _tied_gram(problem, tied)
    members, size = np.empty(tied.size, dtype=np.int64), 0
    factor, step, b = np.empty(h.shape), np.empty(tied.size), np.empty(tied.size)
    for m in range(tied.size):
        b[m] = dot(problem.x[tied[m]], neuron.w)
        if 0.0 < neuron.lam[tied[m]] < 1.0:
            members[size] = m
            size += 1
    if _newton_step(h, b, members, size, factor, step) < 0:
        for m in range(size):
            axpy(step[m], problem.x[tied[members[m]]], neuron.w)


@njit(cache=True, nogil=True, error_model="numpy")
def resolve(problem, neuron, entering):
    """Resolve the multipliers after an event, with `entering` newly on its kink.

    Returns whether the problem was solved; data that left the kinks have their side set.
    """
    tied, n_tied = neuron.tied, neuron.counts[N_TIED]
    if entering != NO_DATUM:
        tied[n_tied] = entering
        n_tied += 1
    h = _tied_gram(problem, tied[:n_tied])
    b, lam, tolerance = np.empty(n_tied), np.empty(n_tied), np.empty(n_tied)
    for m in range(n_tied):
        i = tied[m]
        lam[m] = neuron.lam[i]
        b[m] = neuron.g[i] * neuron.r[i]
        tolerance[m] = problem.noise[i] * abs(neuron.g[i])
        for k in range(n_tied):
            h[m, k] *= neuron.g[i] * neuron.g[tied[k]]
    if not box_least_squares(h, b, lam, tolerance):
        return False
    kept = 0
    for m in range(n_tied):
        i = tied[m]
        if lam[m] != neuron.lam[i]:
            add_datum(problem, neuron, i, (lam[m] - neuron.lam[i]) * neuron.g[i])
            neuron.lam[i] = lam[m]
        if 0.0 < lam[m] < 1.0:
            tied[kept] = i
            kept += 1
        else:
            neuron.side[i] = SIDE_ACTIVE if lam[m] >= 1.0 else SIDE_INACTIVE
    neuron.counts[N_TIED] = kept
    return True
