"""The sliding field: a box-constrained least squares, carried on from event to event.

On the concave kinks Z = {i : <w, x_i> = 0, g_i < 0} the Filippov field is the shortest vector

    a = a_active + sum_{i in Z} lam_i g_i x_i,   lam in [0, 1]^Z

(lam_i = 0: leaves as inactive; 1: leaves as active; between: slides, and <a, x_i> = 0). It does
not depend on w, so it changes at events only, and events change few multipliers: the active-set
method of `flowtheory.box`, started from the last multipliers and the last Cholesky factor, takes
about one step of O(|Z|^2) an event.
"""

from __future__ import annotations

from flowtheory.box.factor import newton_step
from flowtheory.box.solve import solve_box
from flowtheory.box.vectors import axpy, compiled, dot
from flowtheory.exact._codes import NO_DATUM
from flowtheory.exact._state import N_LEFT, N_TIED, SIDE_ACTIVE, SIDE_INACTIVE, add_data


@compiled()
def project_to_kinks(problem, neuron):
    """Remove from w what rounding has put off the kinks of the tied data.

    Where |w| shrinks by many orders inside one cell, that rounding would become all of w.
    """
    x, w, g, tied, box = problem.x, neuron.w, neuron.g, neuron.tied, neuron.box
    b, step, members, size = box.b, box.step, box.factor.members, neuron.counts[N_TIED]
    for m in range(size):
        b[m] = g[tied[m]] * dot(x[tied[m]], w)
    newton_step(box.factor, size, b, step)
    for m in range(size):
        i = tied[members[m]]
        axpy(step[m] * g[i], x[i], w)


@compiled()
def _occupy(problem, neuron, i):
    """Give datum i the next slot of the box, at the bound where it comes from."""
    gram, x, g, tied = problem.gram, problem.x, neuron.g, neuron.tied
    h, at = neuron.box.h, neuron.counts[N_TIED]
    tied[at] = i
    for m in range(at + 1):
        j = tied[m]
        inner = gram[i, j] if gram.shape[0] > 0 else dot(x[i], x[j])
        h[at, m] = h[m, at] = g[i] * g[j] * inner
    neuron.box.lam[at] = neuron.lam[i]
    neuron.box.free[at] = False
    neuron.box.tolerance[at] = problem.noise[i] * abs(g[i])


@compiled()
def _apply(problem, neuron, size):
    """Move the field to the new multipliers of the slots."""
    tied, g, share, lam = neuron.tied, neuron.g, neuron.lam, neuron.box.lam
    changed, weights, count = neuron.changed, neuron.weights, 0
    for m in range(size):
        i = tied[m]
        if lam[m] != share[i]:
            changed[count], weights[count] = i, (lam[m] - share[i]) * g[i]
            share[i] = lam[m]
            count += 1
    add_data(problem, neuron, changed, weights, count)


@compiled()
def _depart(neuron, size, entering):
    """Set the sides of the data at a bound, and note which of them slid before."""
    tied, left, side, box = neuron.tied, neuron.left, neuron.side, neuron.box
    gone = 0
    for m in range(size):
        i = tied[m]
        if not box.free[m]:
            side[i] = SIDE_ACTIVE if box.lam[m] >= 1.0 else SIDE_INACTIVE
            if i != entering:
                left[gone] = i
                gone += 1
    neuron.counts[N_LEFT] = gone


@compiled()
def _close_up(neuron, size):
    """Let the free slots stand first, in their order; the factor itself stays. Their number."""
    box, tied, slots, place = neuron.box, neuron.tied, neuron.changed, neuron.place
    h, members = box.h, box.factor.members
    kept = 0
    for m in range(size):
        if box.free[m]:
            slots[kept], place[m] = m, kept
            kept += 1
    if kept == size:
        return kept
    for p in range(kept):
        m = slots[p]
        tied[p], box.lam[p], box.tolerance[p] = tied[m], box.lam[m], box.tolerance[m]
        box.free[p] = True
        # Rows are read below the last one written.
        for k in range(p + 1):
            h[p, k] = h[k, p] = h[m, slots[k]]
    for k in range(kept):
        members[k] = place[members[k]]
    return kept


@compiled()
def resolve(problem, neuron, entering):
    """Resolve the multipliers after an event, with `entering` newly on its kink.

    Returns whether the problem was solved; data that left the kinks have their side set.
    """
    box, tied, g, r = neuron.box, neuron.tied, neuron.g, neuron.r
    count = size = neuron.counts[N_TIED]
    if entering != NO_DATUM:
        _occupy(problem, neuron, entering)
        size += 1
    b, skipped = box.b, box.skipped
    for m in range(size):
        b[m] = g[tied[m]] * r[tied[m]]
        skipped[m] = False
    # One that arrives finds the others sliding: their gradients vanish already.
    solved, count = solve_box(box, size, count, entering != NO_DATUM)
    if not solved:
        return False
    _apply(problem, neuron, size)
    if count < size:
        _depart(neuron, size, entering)
    neuron.counts[N_TIED] = _close_up(neuron, size) if count < size else size
    return True
