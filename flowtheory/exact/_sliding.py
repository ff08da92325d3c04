"""The sliding field: a box-constrained least squares, warm-started from event to event.

On the concave kinks Z = {i : <w, x_i> = 0, g_i < 0} the Filippov field is the shortest vector

    a = a_active + sum_{i in Z} lam_i g_i x_i,   lam in [0, 1]^Z

(lam_i = 0: leaves as inactive; 1: leaves as active; between: slides, and <a, x_i> = 0). It does
not depend on w, so it changes at events only, and events change few multipliers: the active-set
method of `flowtheory.box` started from the last multipliers takes about one step an event.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from flowtheory.box import box_least_squares, factorise, newton_step
from flowtheory.exact._codes import NO_DATUM
from flowtheory.exact._state import N_TIED, SIDE_ACTIVE, SIDE_INACTIVE, add_datum, axpy, dot


@njit(cache=True, nogil=True, error_model="numpy")
def _tied_gram(problem, tied):
    """<x_i, x_j> over the tied data."""
    gram, x = problem.gram, problem.x
    h = np.empty((tied.size, tied.size))
    for m in range(tied.size):
        for k in range(m + 1):
            if gram.shape[0] > 0:
                h[m, k] = gram[tied[m], tied[k]]
            else:
                h[m, k] = dot(x[tied[m]], x[tied[k]])
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
    x, w, lam = problem.x, neuron.w, neuron.lam
    for m in range(tied.size):
        b[m] = dot(x[tied[m]], w)
        if 0.0 < lam[tied[m]] < 1.0:
            members[size] = m
            size += 1
    if factorise(h, members, 0, size, factor) < 0:
        newton_step(b, members, size, factor, step)
        for m in range(size):
            axpy(step[m], x[tied[members[m]]], w)


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
    g, r, share, side, noise = neuron.g, neuron.r, neuron.lam, neuron.side, problem.noise
    b, lam, tolerance = np.empty(n_tied), np.empty(n_tied), np.empty(n_tied)
    for m in range(n_tied):
        i = tied[m]
        lam[m] = share[i]
        b[m] = g[i] * r[i]
        tolerance[m] = noise[i] * abs(g[i])
        for k in range(n_tied):
            h[m, k] *= g[i] * g[tied[k]]
    if not box_least_squares(h, b, lam, tolerance):
        return False
    kept = 0
    for m in range(n_tied):
        i = tied[m]
        if lam[m] != share[i]:
            add_datum(problem, neuron, i, (lam[m] - share[i]) * g[i])
            share[i] = lam[m]
        if 0.0 < lam[m] < 1.0:
            tied[kept] = i
            kept += 1
        else:
            side[i] = SIDE_ACTIVE if lam[m] >= 1.0 else SIDE_INACTIVE
    neuron.counts[N_TIED] = kept
    return True
