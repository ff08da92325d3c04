"""The compiled loop over the activation cells of one neuron (numba; imported by `effective`).

In S = int v dt the weight moves on a straight line inside a cell, so the next switch is the least
of the ratios -q_i/r_i: no root finding, and no ODE solver anywhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from flowtheory.exact._codes import (
    ACTIVATED,
    DEACTIVATED,
    NO_DATUM,
    SIGN_FLIP,
    SLIDE_BEGINS,
    SLIDE_ENDS_ACTIVE,
    SLIDE_ENDS_INACTIVE,
    STATUS_DEAD,
    STATUS_EVENT_LIMIT,
    STATUS_FINAL,
    STATUS_NONUNIQUE,
    STATUS_OPPOSITE,
    STATUS_RUNNING,
    STATUS_STATIONARY,
)
from flowtheory.exact._sliding import project_to_kinks, resolve
from flowtheory.exact._state import (
    EPS,
    IMBALANCE,
    LOG_NORM,
    N_EVENTS,
    N_STILL,
    N_TIED,
    PHI,
    SIDE_ACTIVE,
    SIDE_INACTIVE,
    SIDE_TIED,
    SIGN,
    TIME,
    V,
    add_datum,
    assign,
    axpy,
    distance2,
    dot,
    fill,
    refresh,
    scale,
    shift_and_scale,
    start,
    turn_over,
)

# A refresh costs two products with X, an event a few passes over n numbers.
_REFRESH_EVERY = 2048
# sin of the angle to -a below which w counts as opposite to it: rounding of a unit vector without
# sliding; with sliding data, which confine w, an approach that is exact but for rounding.
_OPPOSITE = 8.0 * EPS
_OPPOSITE_SLIDING = 1e-10


class Cell(NamedTuple):
    """The flow inside one cell: |a|, p = <w, a>/|a|, rho^2 = v^2 - p^2 (at |w| = 1)."""

    alpha: float
    p: float
    rho2: float


@njit(cache=True, nogil=True, error_model="numpy")
def elapsed(p0, v0, p1, v1, rho2, alpha):
    """Time from (p0, v0) to (p1, v1) on v^2 - p^2 = rho2: (ln|v1 + p1| - ln|v0 + p0|)/alpha.

    v + p cancels for p < 0, where it equals rho2/(v - p); and a difference of logarithms of nearby
    numbers cancels too, hence log1p on each side of p = 0.
    """
    dv = (p1 - p0) * (p1 + p0) / (v1 + v0) if v1 + v0 > 0.0 else 0.0
    if p0 >= 0.0:
        return np.log1p((p1 - p0 + dv) / (v0 + p0)) / alpha
    if p1 <= 0.0:
        return np.log1p((p1 - p0 - dv) / (v1 - p1)) / alpha
    return (np.log(v1 + p1) + np.log(v0 - p0) - np.log(abs(rho2))) / alpha


@njit(cache=True, nogil=True, error_model="numpy")
def _moves(neuron):
    """Whether any datum is active or slid along."""
    lam = neuron.lam
    for i in range(lam.size):  # noqa: SIM110  (numba has no any() over generators)
        if lam[i] > 0.0:
            return True
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def _fixed_direction(v, p, perp2, rho2):
    """Whether the direction stays for ever, or w is about to pass through the origin."""
    if v == 0.0 and p == 0.0:
        return STATUS_STATIONARY
    if perp2 == 0.0 and p < 0.0 and rho2 > 0.0:
        # Opposite to the field with v > |w|: the origin is reached, where all kinks meet.
        return STATUS_NONUNIQUE
    # On the decaying branch p = -v for ever; with v < |w| the output weight changes sign first.
    return STATUS_OPPOSITE if rho2 == 0.0 and p < 0.0 else STATUS_RUNNING


@njit(cache=True, nogil=True, error_model="numpy")
def _enter_cell(problem, neuron):
    """The cell's constants, and the status if the neuron will never leave its direction."""
    alpha = np.sqrt(dot(neuron.a, neuron.a))
    if not _moves(neuron):
        fill(neuron.a, 0.0)
        return Cell(0.0, 0.0, 0.0), STATUS_DEAD
    if alpha <= problem.floor:
        return Cell(0.0, 0.0, 0.0), STATUS_STATIONARY
    p = dot(neuron.w, neuron.a) / alpha
    perp2 = distance2(neuron.w, neuron.a, p / alpha)
    if p < 0.0 and perp2 <= (_OPPOSITE_SLIDING if neuron.counts[N_TIED] > 0 else _OPPOSITE) ** 2:
        perp2 = 0.0
    rho2 = neuron.scalars[IMBALANCE] + perp2
    return Cell(alpha, p, rho2), _fixed_direction(neuron.scalars[V], p, perp2, rho2)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "nsz"})
def _switch_distances(problem, neuron, distances):
    """S to each datum's kink (inf if it moves away), and the least; branch-free to vectorise."""
    # Locals: reading an array off a tuple inside a loop counts a reference, twice an iteration.
    side, q, r, noise = neuron.side, neuron.q, neuron.r, problem.noise
    least = np.inf
    for i in range(distances.size):
        speed = side[i] * r[i]
        gap = -side[i] * q[i]
        # A datum that has just crossed may lie on the wrong side by rounding: never go back.
        s = max(gap, 0.0) / speed if speed > noise[i] else np.inf
        distances[i] = s
        least = min(least, s)
    return least


@njit(cache=True, nogil=True, error_model="numpy")
def _next_switch(problem, neuron, distances):
    """The next datum to switch and its S.

    Among ties the convex kinks (g_i > 0) come first: (x, +) and (x, -) then cancel as they should,
    while the concave one alone would seem to slide.
    """
    least = _switch_distances(problem, neuron, distances)
    found = NO_DATUM
    if least == np.inf:
        return found, least
    g = neuron.g
    for i in range(distances.size):
        if distances[i] <= least * (1.0 + 4.0 * EPS):
            if g[i] > 0.0:
                return i, distances[i]
            if found == NO_DATUM:
                found = i
    return found, distances[found]


@njit(cache=True, nogil=True, error_model="numpy")
def _sign_change(neuron, cell):
    """S at which the output weight reaches 0: only if v^2 < p^2 and p < 0."""
    if cell.rho2 < 0.0 and cell.p < 0.0 and neuron.scalars[V] > 0.0:
        return max((-np.sqrt(-cell.rho2) - cell.p) / cell.alpha, 0.0)
    return np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def _next_event(problem, neuron, cell, distances):
    """The datum that switches next, or NO_DATUM for the output weight's sign, and its S."""
    i, s = _next_switch(problem, neuron, distances)
    s_sign = _sign_change(neuron, cell)
    return (NO_DATUM, s_sign) if s_sign <= s else (i, s)


@njit(cache=True, nogil=True, error_model="numpy")
def _advance(problem, neuron, cell, s, v1, dt):
    """Move along the straight line by S = s and renormalise."""
    axpy(s, neuron.a, neuron.w)
    radius = np.sqrt(dot(neuron.w, neuron.w))
    # What rounding puts off the kinks stays as it is, so it matters only where |w| shrinks.
    if radius < 1.0 and neuron.counts[N_TIED] > 0:
        project_to_kinks(problem, neuron)
        radius = np.sqrt(dot(neuron.w, neuron.w))
    scale(neuron.w, 1.0 / radius)
    shift_and_scale(neuron.q, s, neuron.r, 1.0 / radius)
    tied, q = neuron.tied, neuron.q
    for m in range(neuron.counts[N_TIED]):
        q[tied[m]] = 0.0  # tied data stay on their kink exactly
    scalars = neuron.scalars
    scalars[TIME] += dt
    scalars[LOG_NORM] += np.log(radius)
    scalars[V] = v1 / radius
    scalars[IMBALANCE] /= radius * radius
    scalars[PHI] = cell.alpha * (cell.p + cell.alpha * s) / radius


@njit(cache=True, nogil=True, error_model="numpy")
def _cross(problem, neuron, i):
    """Datum i is on its kink: cross it, or start sliding. Returns (kind, solved)."""
    was_active = neuron.side[i] == SIDE_ACTIVE
    neuron.q[i] = 0.0
    entering = NO_DATUM
    if neuron.g[i] >= 0.0:
        neuron.side[i] = SIDE_INACTIVE if was_active else SIDE_ACTIVE
        neuron.lam[i] = 0.0 if was_active else 1.0
        add_datum(problem, neuron, i, -neuron.g[i] if was_active else neuron.g[i])
    else:
        neuron.side[i] = SIDE_TIED
        entering = i
    solved = True
    if entering != NO_DATUM or neuron.counts[N_TIED] > 0:
        solved = resolve(problem, neuron, entering)
    if neuron.side[i] == SIDE_TIED:
        return SLIDE_BEGINS, solved
    return ACTIVATED if neuron.side[i] == SIDE_ACTIVE else DEACTIVATED, solved


@njit(cache=True, nogil=True, error_model="numpy")
def _log(rows, neuron, datum, kind):
    """Append one event; |a| is filled in when the next cell is entered."""
    at = neuron.counts[N_EVENTS]
    if at == rows.shape[0]:
        bigger = np.empty((2 * at, rows.shape[1]))
        for row in range(at):
            assign(bigger[row], rows[row])
        rows = bigger
    rows[at, 0] = neuron.scalars[TIME]
    rows[at, 1] = datum
    rows[at, 2] = kind
    rows[at, 3] = np.nan
    rows[at, 4] = neuron.scalars[PHI]
    rows[at, 5] = neuron.scalars[LOG_NORM]
    neuron.counts[N_EVENTS] += 1
    return rows


@njit(cache=True, nogil=True, error_model="numpy")
def _event(problem, neuron, i, rows):
    """Carry out the switch of datum i (NO_DATUM: of the output weight's sign) and log it."""
    if i == NO_DATUM:
        turn_over(neuron)
        neuron.scalars[PHI] = -neuron.scalars[PHI]
        # A sliding set turns into a repelling one: Filippov solutions are not unique from here.
        return _log(rows, neuron, i, SIGN_FLIP), neuron.counts[N_TIED] == 0
    before = neuron.tied[: neuron.counts[N_TIED]].copy()
    kind, solved = _cross(problem, neuron, i)
    for j in before:
        if neuron.side[j] != SIDE_TIED:
            ends = SLIDE_ENDS_ACTIVE if neuron.side[j] == SIDE_ACTIVE else SLIDE_ENDS_INACTIVE
            rows = _log(rows, neuron, j, ends)
    return _log(rows, neuron, i, kind), solved


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_alpha(rows, neuron, alpha):
    """Complete the events that led into this cell."""
    at = neuron.counts[N_EVENTS] - 1
    while at >= 0 and np.isnan(rows[at, 3]):
        rows[at, 3] = alpha
        at -= 1


@njit(cache=True, nogil=True, error_model="numpy")
def _sample(neuron, cell, dt, direction, log_norm_ratio):
    """State after dt inside the cell: direction in place, and (ln|w|, v/|w|).

    w(t) = w_perp + p(t) a/alpha with p, v combinations of e^{+-alpha t}, all
    scaled by e^{-alpha t} here.
    """
    p, v, alpha = cell.p, neuron.scalars[V], cell.alpha
    if alpha == 0.0 or (v == 0.0 and p == 0.0):
        assign(direction, neuron.w)
        log_norm_ratio[0] = neuron.scalars[LOG_NORM]
        log_norm_ratio[1] = neuron.scalars[SIGN] * v
        return
    decay = np.exp(-alpha * dt)
    plus = v + p
    if p < 0.0:
        plus = cell.rho2 / (v - p)
    minus = v - p
    if p > 0.0:
        minus = cell.rho2 / (v + p)
    if plus == 0.0:  # exactly opposite to a: only the decaying part is there
        plus, minus, decay, alpha = minus, 0.0, 1.0, -alpha
        p_t = -0.5 * plus
    else:
        p_t = 0.5 * (plus - minus * decay * decay)
    v_t = 0.5 * (plus + minus * decay * decay)
    a, w = neuron.a, neuron.w
    for k in range(direction.size):
        along = a[k] / cell.alpha
        direction[k] = (w[k] - p * along) * decay + p_t * along
    norm = np.sqrt(dot(direction, direction))
    scale(direction, 1.0 / norm)
    log_norm_ratio[0] = neuron.scalars[LOG_NORM] + alpha * dt + np.log(norm)
    log_norm_ratio[1] = neuron.scalars[SIGN] * v_t / norm


@njit(cache=True, nogil=True, error_model="numpy")
def _sample_until(neuron, cell, times, sampled, end, directions, logs):
    """Sample at the times before `end`, from number `sampled` on; returns the next number."""
    while sampled < times.size and times[sampled] < end:
        dt = times[sampled] - neuron.scalars[TIME]
        _sample(neuron, cell, dt, directions[sampled], logs[sampled])
        sampled += 1
    return sampled


@njit(cache=True, nogil=True, error_model="numpy")
def propagate_neuron(problem, w0, v0, active, times, max_events):
    """Carry one neuron through all its cells.

    Returns (status, events, [|a|, phi] at the start, [|a|, phi, ln|w|] at the end, v/|w|,
    direction, multipliers, sampled directions, sampled [ln|w|, v/|w|]).
    """
    neuron = start(problem, w0, v0, active)
    rows = np.empty((64, 6))
    directions, logs = np.empty((times.size, w0.size)), np.empty((times.size, 2))
    distances = np.empty(neuron.q.size)
    sampled, loops = 0, 0
    first = np.zeros(2)
    first[1] = neuron.scalars[PHI]
    while True:
        cell, status = _enter_cell(problem, neuron)
        if loops == 0:
            first[0] = cell.alpha
        loops += 1
        _fill_alpha(rows, neuron, cell.alpha)
        if status != STATUS_RUNNING:
            break
        i, s = _next_event(problem, neuron, cell, distances)
        if s == np.inf:
            status = STATUS_FINAL
            break
        p1 = cell.p + cell.alpha * s
        v1 = 0.0 if i == NO_DATUM else np.sqrt(max(cell.rho2 + p1 * p1, 0.0))
        dt = elapsed(cell.p, neuron.scalars[V], p1, v1, cell.rho2, cell.alpha) if s > 0.0 else 0.0
        now = neuron.scalars[TIME]
        sampled = _sample_until(neuron, cell, times, sampled, now + dt, directions, logs)
        neuron.counts[N_STILL] = 0 if dt > 0.0 else neuron.counts[N_STILL] + 1
        if neuron.counts[N_STILL] > 4 * neuron.q.size + 16:
            status = STATUS_NONUNIQUE
            break
        if neuron.counts[N_EVENTS] >= max_events:
            status = STATUS_EVENT_LIMIT
            break
        _advance(problem, neuron, cell, s, v1, dt)
        rows, unique = _event(problem, neuron, i, rows)
        if not unique:
            cell, _ = _enter_cell(problem, neuron)
            _fill_alpha(rows, neuron, cell.alpha)
            status = STATUS_NONUNIQUE
            break
        if loops % _REFRESH_EVERY == 0:
            refresh(problem, neuron)
    if status != STATUS_NONUNIQUE and status != STATUS_EVENT_LIMIT:
        sampled = _sample_until(neuron, cell, times, sampled, np.inf, directions, logs)
    # What was not reached is not reported.
    for k in range(sampled, times.size):
        fill(directions[k], np.nan)
        fill(logs[k], np.nan)
    rows = rows[: neuron.counts[N_EVENTS]]
    # Arrays and numbers only: making a named tuple runs Python code, and numba crashes the process
    # if a Ctrl-C arrives there.
    end = np.empty(3)
    end[0], end[1], end[2] = cell.alpha, neuron.scalars[PHI], neuron.scalars[LOG_NORM]
    ratio = neuron.scalars[SIGN] * neuron.scalars[V]
    return status, rows, first, end, ratio, neuron.w, neuron.lam, directions, logs
