"""The active-set method for shortest vectors over a box (numba; import it late)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from flowtheory.box.factor import Factor, append, empty_factor, newton_step, remove
from flowtheory.box.vectors import compiled

_AT_BOUND = 1e-13


class Box(NamedTuple):
    """A problem over the first `size` of its slots, which the caller counts.

    h is the Gram matrix of the vectors g_i x_i and b the gradient at lam. The members of the factor
    are the free slots, with 0 < lam < 1.
    """

    h: np.ndarray
    b: np.ndarray
    lam: np.ndarray
    tolerance: np.ndarray  # a gradient below it is rounding
    free: np.ndarray
    skipped: np.ndarray  # dependent on the free ones: not to be tried again in this solve
    step: np.ndarray
    factor: Factor


@njit(cache=True, nogil=True, error_model="numpy")
def empty_box(slots, members):
    """A box with room for `slots` data, of which `members` can be free."""
    return Box(
        np.empty((slots, slots)),
        np.empty(slots),
        np.empty(slots),
        np.empty(slots),
        np.zeros(slots, dtype=np.bool_),
        np.zeros(slots, dtype=np.bool_),
        np.empty(slots),
        empty_factor(members),
    )


@compiled()
def factorise(box, size):
    """The factor of all slots with 0 < lam < 1, afresh; returns their number."""
    count = 0
    for i in range(size):
        box.free[i] = 0.0 < box.lam[i] < 1.0
        box.skipped[i] = False
        if box.free[i]:
            box.free[i] = append(box.factor, count, box.h, i)
            box.skipped[i] = not box.free[i]
            count += box.free[i]
    return count


@compiled()
def _longest_step(lam, step, members, count):
    """The largest theta <= 1 with lam + theta step in the box, and the position that blocks."""
    theta, block = 1.0, -1
    for m in range(count):
        room = (1.0 - lam[members[m]]) if step[m] > 0.0 else lam[members[m]]
        if room < theta * abs(step[m]):
            theta, block = room / abs(step[m]), m
    return theta, block


@compiled()
def _move(box, size, count, theta):
    """Take the step times theta; h[F, F] step = -b[F], so b[F] shrinks by 1 - theta."""
    h, b, lam, free, step, members = (
        box.h, box.b, box.lam, box.free, box.step, box.factor.members,
    )  # fmt: skip
    for m in range(count):
        lam[members[m]] += theta * step[m]
        b[members[m]] *= 1.0 - theta
    for i in range(size):
        if not free[i]:
            for m in range(count):
                b[i] += theta * step[m] * h[i, members[m]]


@compiled()
def _worst_bound(box, size):
    """The slot at a bound whose gradient points most into the box, or -1 (KKT holds)."""
    b, lam, tolerance, free, skipped = box.b, box.lam, box.tolerance, box.free, box.skipped
    worst, violation = -1, 0.0
    for i in range(size):
        gap = -b[i] if lam[i] <= 0.0 else b[i]
        if not free[i] and not skipped[i] and gap > tolerance[i] and gap > violation:
            worst, violation = i, gap
    return worst


@compiled()
def _snap(box, count):
    """A multiplier at a bound but for rounding is at it (the last datum of a dying neuron)."""
    lam, members = box.lam, box.factor.members
    for m in range(count - 1, -1, -1):
        i = members[m]
        if lam[i] < _AT_BOUND or lam[i] > 1.0 - _AT_BOUND:
            lam[i] = 0.0 if lam[i] < _AT_BOUND else 1.0
            box.free[i] = False
            count = remove(box.factor, count, m)
    return count


@compiled()
def solve_box(box, size, count, settled):
    """Minimise |a|^2/2 from a feasible lam, with `count` members in the factor.

    `settled`: the gradients of the members vanish, so that the bounds are looked at first. Returns
    (whether the KKT conditions were reached, number of members).
    """
    for _ in range(20 * size + 20):
        if not settled:
            newton_step(box.factor, count, box.b, box.step)
            theta, block = _longest_step(box.lam, box.step, box.factor.members, count)
            _move(box, size, count, theta)
            if block >= 0:
                i = box.factor.members[block]
                box.lam[i] = 1.0 if box.step[block] > 0.0 else 0.0
                box.free[i] = False
                count = remove(box.factor, count, block)
                continue
        newest = _worst_bound(box, size)
        if newest < 0:
            return True, _snap(box, count)
        # Members stand in the order in which they came, so that a bad pivot is the newest one's
        # own, not that of a datum that slides already.
        box.free[newest] = append(box.factor, count, box.h, newest)
        box.skipped[newest] = settled = not box.free[newest]
        count += box.free[newest]
    return False, count


@njit(cache=True, nogil=True, error_model="numpy")
def box_least_squares(h, b, lam, tolerance):
    """Minimise |a|^2/2 over lam in the box, from a feasible `lam`; lam and b change in place.

    h is the Gram matrix of the vectors g_i x_i and b the gradient at the start. Returns whether the
    KKT conditions were reached.
    """
    size = lam.size
    free, skipped = np.zeros(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_)
    box = Box(h, b, lam, tolerance, free, skipped, np.empty(size), empty_factor(size))
    solved, _ = solve_box(box, size, factorise(box, size), False)
    return solved
