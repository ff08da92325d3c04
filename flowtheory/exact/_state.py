"""The state that the compiled loop carries, as named tuples of arrays (numba reads them as such).

In the convention in which the output weight is positive (`sign` flips the coefficients, never the
algorithm):

    g_i = sign * c_i            coefficient of datum i in the field
    a   = sum_active g_i x_i + sum_tied lam_i g_i x_i
    w'  = v a,  v' = <w, a>     so w moves on a straight line in S = int v dt
    q_i = <w, x_i>,  r_i = <a, x_i>

`w` is kept at unit norm and its logarithm is accumulated, so nothing overflows at any time.
Patterns are book-kept in `side`: the sign of q_i is never tested after the start, since a datum
that has just switched has q_i = +-1e-17.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from flowtheory.box.solve import Box, empty_box
from flowtheory.box.vectors import axpy as axpy
from flowtheory.box.vectors import combine, compiled
from flowtheory.box.vectors import dot as dot

EPS = 2.220446049250313e-16
# Sums over active data carry rounding of this many ulps of sum |c_i||x_i| at most: a speed below
# it is zero, else a datum in the span of the sliding ones would switch at a spurious time.
_NOISE_ULPS = 8.0


class Problem(NamedTuple):
    """What all neurons share; `gram` has no rows when it would not fit in memory."""

    x: np.ndarray
    c: np.ndarray
    gram: np.ndarray
    noise: np.ndarray  # |r_i| below this is rounding
    floor: float  # |a| below this is rounding


class Neuron(NamedTuple):
    """One neuron; `scalars` and `counts` hold what changes at every event."""

    w: np.ndarray
    a: np.ndarray
    q: np.ndarray
    r: np.ndarray
    g: np.ndarray
    side: np.ndarray  # +1 inactive, -1 active, 0 tied: a datum approaches its kink iff side*r > 0
    lam: np.ndarray
    tied: np.ndarray  # tied[m] is the datum in slot m of the box, for m < counts[N_TIED]
    left: np.ndarray  # left[: counts[N_LEFT]] slid before the last event and do no more
    weights: np.ndarray  # scratch, by slot
    changed: np.ndarray  # scratch: data whose multipliers changed
    place: np.ndarray  # scratch: where a slot goes
    distances: np.ndarray  # scratch, by datum
    speeds: np.ndarray
    box: Box  # the sliding problem; between events all its slots are free
    scalars: np.ndarray
    counts: np.ndarray


class Limits(NamedTuple):
    """When to sample and when to stop, the same for all neurons."""

    times: np.ndarray
    until: float
    events: int


class Sampled(NamedTuple):
    """The samples of one neuron: directions, and rows of [ln|w|, v/|w|]."""

    directions: np.ndarray
    logs: np.ndarray


# Positions in Neuron.scalars and Neuron.counts.
TIME, LOG_NORM, V, IMBALANCE, SIGN, PHI = 0, 1, 2, 3, 4, 5
N_TIED, N_STILL, N_LEFT = 0, 1, 2
N_EVENTS, N_BEFORE = 3, 4  # rows of the block's events, and how many there were at the start

SIDE_INACTIVE, SIDE_ACTIVE, SIDE_TIED = 1.0, -1.0, 0.0


def make_problem(x: np.ndarray, c: np.ndarray, *, gram: bool) -> Problem:
    """The shared part: the Gram matrix makes an event cost O(n), without it O(n D)."""
    norms = np.sqrt(np.einsum("ij,ij->i", x, x))
    floor = _NOISE_ULPS * EPS * float(np.abs(c) @ norms)
    matrix = x @ x.T if gram else np.empty((0, 0))
    return Problem(x, c, matrix, floor * norms, floor)


@compiled(fastmath={"reassoc", "contract"})
def dots(x, y):
    """<x, x> and <x, y> in one pass."""
    own, both = 0.0, 0.0
    for k in range(x.size):
        own += x[k] * x[k]
        both += x[k] * y[k]
    return own, both


@compiled(fastmath={"reassoc", "contract"})
def distance2(x, y, factor):
    """|x - factor y|^2 without forming the difference of squares."""
    total = 0.0
    for k in range(x.size):
        total += (x[k] - factor * y[k]) ** 2
    return total


# Loops where NumPy would do in a line: numba compiles an array expression much more slowly.
@compiled()
def fill(x, value):
    """x = value."""
    for k in range(x.size):
        x[k] = value


@compiled()
def assign(x, y):
    """x = y."""
    for k in range(x.size):
        x[k] = y[k]


@compiled(fastmath={"nsz", "nnan"})
def minimum(x):
    """The least of x, inf if there is none; four at a time, since one waits for the last."""
    a, b, c, d = np.inf, np.inf, np.inf, np.inf
    last = x.size - x.size % 4
    for k in range(0, last, 4):
        a, b = min(a, x[k]), min(b, x[k + 1])
        c, d = min(c, x[k + 2]), min(d, x[k + 3])
    for k in range(last, x.size):
        a = min(a, x[k])
    return min(min(a, b), min(c, d))


@compiled()
def scale(x, factor):
    """x *= factor."""
    for k in range(x.size):
        x[k] *= factor


@compiled(fastmath={"reassoc", "contract"})
def shift(x, factor, y):
    """x += factor y; returns |x|^2."""
    total = 0.0
    for k in range(x.size):
        x[k] += factor * y[k]
        total += x[k] * x[k]
    return total


@compiled()
def shift_and_scale(x, factor, y, outer):
    """x = (x + factor y) outer, in one pass."""
    for k in range(x.size):
        x[k] = (x[k] + factor * y[k]) * outer


@compiled()
def add_data(problem, neuron, data, weights, count):
    """a += sum weights_m x_i, i = data_m, over the first `count`, with r = X a kept up to date."""
    x, a, r = problem.x, neuron.a, neuron.r
    combine(x, data, weights, count, a)
    if problem.gram.shape[0] > 0:
        combine(problem.gram, data, weights, count, r)
    else:
        for k in range(r.size):
            r[k] = dot(x[k], a)


@compiled()
def refresh(problem, neuron):
    """Recompute a, r and q from the book-kept pattern: stops the drift of incremental sums."""
    x, a, w, g, lam = problem.x, neuron.a, neuron.w, neuron.g, neuron.lam
    q, r, side = neuron.q, neuron.r, neuron.side
    fill(a, 0.0)
    for i in range(g.size):
        if lam[i] != 0.0:
            axpy(lam[i] * g[i], x[i], a)
    for i in range(g.size):
        r[i] = dot(x[i], a)
        q[i] = 0.0 if side[i] == SIDE_TIED else dot(x[i], w)


@compiled()
def turn_over(neuron):
    """Change the sign of the output weight: in its convention all coefficients flip."""
    neuron.scalars[SIGN] = -neuron.scalars[SIGN]
    for array in (neuron.g, neuron.r, neuron.a):
        for k in range(array.size):
            array[k] = -array[k]


@njit(cache=True, nogil=True, error_model="numpy")
def empty_neuron(problem):
    """Room for a neuron; `start` fills it."""
    n, dim = problem.x.shape
    rank = min(n, dim)
    return Neuron(
        np.empty(dim),
        np.empty(dim),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(rank + 1, dtype=np.int64),
        np.empty(rank + 1, dtype=np.int64),
        np.empty(rank + 1),
        np.empty(rank + 1, dtype=np.int64),
        np.empty(rank + 1, dtype=np.int64),
        np.empty(n),
        np.empty(n),
        # Independent data slide, and one more waits for an answer.
        empty_box(rank + 1, rank),
        np.zeros(6),
        np.zeros(5, dtype=np.int64),
    )


@compiled()
def start(problem, neuron, w0, v0, active):
    """Set the neuron to time 0 with the given activation pattern."""
    radius = np.sqrt(dot(w0, w0))
    assign(neuron.w, w0)
    scale(neuron.w, 1.0 / radius)
    assign(neuron.g, problem.c)
    for i in range(active.size):
        neuron.side[i] = SIDE_ACTIVE if active[i] else SIDE_INACTIVE
        neuron.lam[i] = 1.0 if active[i] else 0.0
    v = abs(v0) / radius
    for position in (N_TIED, N_STILL, N_LEFT):
        neuron.counts[position] = 0
    neuron.counts[N_BEFORE] = neuron.counts[N_EVENTS]
    neuron.scalars[TIME] = 0.0
    neuron.scalars[LOG_NORM] = np.log(radius)
    neuron.scalars[V] = v
    # |v| = |w| to rounding means balanced: the invariant is then carried as an exact zero.
    neuron.scalars[IMBALANCE] = 0.0 if abs(v - 1.0) <= 4.0 * EPS else (v - 1.0) * (v + 1.0)
    neuron.scalars[SIGN] = 1.0
    refresh(problem, neuron)
    # v = 0 moves first: v' = <w, a> decides its sign.
    if v0 < 0.0 or (v0 == 0.0 and dot(neuron.w, neuron.a) < 0.0):
        turn_over(neuron)
    neuron.scalars[PHI] = dot(neuron.w, neuron.a)
