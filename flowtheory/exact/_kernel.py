"""The compiled loop over the activation cells of one neuron (numba; imported by `effective`).

In S = int v dt the weight moves on a straight line inside a cell, so the next switch is the least
of the ratios -q_i/r_i: no root finding, and no ODE solver anywhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from flowtheory.box.vectors import compiled
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
    STATUS_REACHED,
    STATUS_RUNNING,
    STATUS_STATIONARY,
)
from flowtheory.exact._sliding import project_to_kinks, resolve
from flowtheory.exact._state import (
    EPS,
    IMBALANCE,
    LOG_NORM,
    N_BEFORE,
    N_EVENTS,
    N_LEFT,
    N_STILL,
    N_TIED,
    PHI,
    SIDE_ACTIVE,
    SIDE_INACTIVE,
    SIDE_TIED,
    SIGN,
    TIME,
    V,
    add_data,
    assign,
    distance2,
    dot,
    dots,
    fill,
    minimum,
    refresh,
    scale,
    shift,
    shift_and_scale,
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


@compiled()
def elapsed(p0, v0, p1, v1, rho2, alpha):
    """Time from (p0, v0) to (p1, v1) on v^2 - p^2 = rho2: (ln|v1 + p1| - ln|v0 + p0|)/alpha.

    v + p cancels for p < 0, where it equals rho2/(v - p); and a difference of logarithms of nearby
    numbers cancels too, hence log1p on each side of p = 0, where v = rho.
    """
    dv = (p1 - p0) * (p1 + p0) / (v1 + v0) if v1 + v0 > 0.0 else 0.0
    if p0 >= 0.0:
        return np.log1p((p1 - p0 + dv) / (v0 + p0)) / alpha
    if p1 <= 0.0:
        return np.log1p((p1 - p0 - dv) / (v1 - p1)) / alpha
    rho = np.sqrt(abs(rho2))
    before = np.log1p((p0 * p0 / (v0 + rho) - p0) / rho)
    return (before + np.log1p((p1 * p1 / (v1 + rho) + p1) / rho)) / alpha


@compiled()
def _moves(neuron):
    """Whether any datum is active or slid along."""
    lam = neuron.lam
    for i in range(lam.size):  # noqa: SIM110  (numba has no any() over generators)
        if lam[i] > 0.0:
            return True
    return False


@compiled()
def _fixed_direction(v, p, perp2, rho2):
    """Whether the direction stays for ever, or w is about to pass through the origin."""
    if v == 0.0 and p == 0.0:
        return STATUS_STATIONARY
    if perp2 == 0.0 and p < 0.0 and rho2 > 0.0:
        # Opposite to the field with v > |w|: the origin is reached, where all kinks meet.
        return STATUS_NONUNIQUE
    # On the decaying branch p = -v for ever; with v < |w| the output weight changes sign first.
    return STATUS_OPPOSITE if rho2 == 0.0 and p < 0.0 else STATUS_RUNNING


@compiled()
def _enter_cell(problem, neuron):
    """The cell's constants, and the status if the neuron will never leave its direction."""
    norm2, push = dots(neuron.a, neuron.w)
    alpha = np.sqrt(norm2)
    if not _moves(neuron):
        fill(neuron.a, 0.0)
        return Cell(0.0, 0.0, 0.0), STATUS_DEAD
    if alpha <= problem.floor:
        return Cell(0.0, 0.0, 0.0), STATUS_STATIONARY
    p = push / alpha
    perp2 = distance2(neuron.w, neuron.a, p / alpha)
    if p < 0.0 and perp2 <= (_OPPOSITE_SLIDING if neuron.counts[N_TIED] > 0 else _OPPOSITE) ** 2:
        perp2 = 0.0
    rho2 = neuron.scalars[IMBALANCE] + perp2
    return Cell(alpha, p, rho2), _fixed_direction(neuron.scalars[V], p, perp2, rho2)


@compiled(fastmath={"reassoc", "nsz", "nnan"})
def _switch_distances(side, q, r, noise, distances, speeds):
    """S to each datum's kink (inf if it moves away), and the least.

    Two loops, else the compiler makes a branch of the choice, which is a coin toss.
    """
    for i in range(distances.size):
        speed = side[i] * r[i]
        # A datum that has just crossed may lie on the wrong side by rounding: never go back.
        distances[i] = max(-side[i] * q[i], 0.0) if speed > noise[i] else np.inf
        speeds[i] = speed if speed > noise[i] else 1.0
    for i in range(distances.size):
        distances[i] /= speeds[i]
    return minimum(distances)


@compiled()
def _next_switch(problem, neuron):
    """The next datum to switch and its S.

    Among ties the convex kinks (g_i > 0) come first: (x, +) and (x, -) then cancel as they should,
    while the concave one alone would seem to slide.
    """
    distances, found = neuron.distances, NO_DATUM
    least = _switch_distances(
        neuron.side, neuron.q, neuron.r, problem.noise, distances, neuron.speeds
    )
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


@compiled()
def _sign_change(neuron, cell):
    """S at which the output weight reaches 0: only if v^2 < p^2 and p < 0."""
    if cell.rho2 < 0.0 and cell.p < 0.0 and neuron.scalars[V] > 0.0:
        return max((-np.sqrt(-cell.rho2) - cell.p) / cell.alpha, 0.0)
    return np.inf


@compiled()
def _next_event(problem, neuron, cell):
    """The datum that switches next, or NO_DATUM for the output weight's sign, and its S."""
    i, s = _next_switch(problem, neuron)
    s_sign = _sign_change(neuron, cell)
    return (NO_DATUM, s_sign) if s_sign <= s else (i, s)


@compiled()
def _advance(problem, neuron, cell, s, v1, dt):
    """Move along the straight line by S = s and renormalise."""
    radius = np.sqrt(shift(neuron.w, s, neuron.a))
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


@compiled()
def _cross(problem, neuron, i):
    """Datum i is on its kink: cross it, or start sliding. Returns (kind, solved)."""
    was_active = neuron.side[i] == SIDE_ACTIVE
    neuron.q[i] = 0.0
    neuron.counts[N_LEFT] = 0
    entering, solved = NO_DATUM, True
    if neuron.g[i] >= 0.0:
        neuron.side[i] = SIDE_INACTIVE if was_active else SIDE_ACTIVE
        neuron.lam[i] = 0.0 if was_active else 1.0
        neuron.changed[0] = i
        neuron.weights[0] = -neuron.g[i] if was_active else neuron.g[i]
        add_data(problem, neuron, neuron.changed, neuron.weights, 1)
    else:
        neuron.side[i] = SIDE_TIED
        entering = i
    if entering != NO_DATUM or neuron.counts[N_TIED] > 0:
        solved = resolve(problem, neuron, entering)
    if neuron.side[i] == SIDE_TIED:
        return SLIDE_BEGINS, solved
    return ACTIVATED if neuron.side[i] == SIDE_ACTIVE else DEACTIVATED, solved


@compiled()
def _log(rows, neuron, datum, kind):
    """Append one event; |a| is filled in when the next cell is entered."""
    at = neuron.counts[N_EVENTS]
    rows[at, 0] = neuron.scalars[TIME]
    rows[at, 1] = datum
    rows[at, 2] = kind
    rows[at, 3] = np.nan
    rows[at, 4] = neuron.scalars[PHI]
    rows[at, 5] = neuron.scalars[LOG_NORM]
    neuron.counts[N_EVENTS] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _with_room(rows, used, more):
    """Rows, of which `used` are full, with room for `more`."""
    if used + more <= rows.shape[0]:
        return rows
    bigger = np.empty((2 * rows.shape[0] + more, rows.shape[1]))
    for row in range(used):
        assign(bigger[row], rows[row])
    return bigger


@compiled()
def _event(problem, neuron, i, rows):
    """Carry out the switch of datum i (NO_DATUM: of the output weight's sign) and log it.

    Returns whether what follows is unique.
    """
    if i == NO_DATUM:
        turn_over(neuron)
        neuron.scalars[PHI] = -neuron.scalars[PHI]
        # A sliding set turns into a repelling one: Filippov solutions are not unique from here.
        _log(rows, neuron, i, SIGN_FLIP)
        return neuron.counts[N_TIED] == 0
    kind, solved = _cross(problem, neuron, i)
    for m in range(neuron.counts[N_LEFT]):
        j = neuron.left[m]
        ends = SLIDE_ENDS_ACTIVE if neuron.side[j] == SIDE_ACTIVE else SLIDE_ENDS_INACTIVE
        _log(rows, neuron, j, ends)
    _log(rows, neuron, i, kind)
    return solved


@compiled()
def _fill_alpha(rows, neuron, alpha):
    """Complete the events that led into this cell."""
    at = neuron.counts[N_EVENTS] - 1
    while at >= 0 and np.isnan(rows[at, 3]):
        rows[at, 3] = alpha
        at -= 1


@compiled()
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


@compiled()
def _sample_until(neuron, cell, times, sampled, end, out):
    """Sample at the times before `end`, from number `sampled` on; returns the next number."""
    while sampled < times.size and times[sampled] < end:
        dt = times[sampled] - neuron.scalars[TIME]
        _sample(neuron, cell, dt, out.directions[sampled], out.logs[sampled])
        sampled += 1
    return sampled


@compiled()
def _step(problem, neuron, cell, i, s, limits, sampled, out, rows):
    """Go on to the next event. Returns (status, number of samples taken)."""
    p1 = cell.p + cell.alpha * s
    v1 = 0.0 if i == NO_DATUM else np.sqrt(max(cell.rho2 + p1 * p1, 0.0))
    dt = elapsed(cell.p, neuron.scalars[V], p1, v1, cell.rho2, cell.alpha) if s > 0.0 else 0.0
    end = neuron.scalars[TIME] + dt
    sampled = _sample_until(neuron, cell, limits.times, sampled, end, out)
    if end > limits.until:
        return STATUS_REACHED, sampled
    neuron.counts[N_STILL] = 0 if dt > 0.0 else neuron.counts[N_STILL] + 1
    if neuron.counts[N_STILL] > 4 * neuron.q.size + 16:
        return STATUS_NONUNIQUE, sampled
    if neuron.counts[N_EVENTS] - neuron.counts[N_BEFORE] >= limits.events:
        return STATUS_EVENT_LIMIT, sampled
    _advance(problem, neuron, cell, s, v1, dt)
    unique = _event(problem, neuron, i, rows)
    return STATUS_RUNNING if unique else STATUS_NONUNIQUE, sampled


@njit(cache=True, nogil=True, error_model="numpy")
def carry(problem, neuron, limits, out, rows):
    """Carry a started neuron through its cells, the samples into `out`, the events into `rows`.

    Returns (status, |a| at the start and at the end, rows).
    """
    sampled, loops, first = 0, 0, 0.0
    status = STATUS_RUNNING
    while True:
        cell, ends = _enter_cell(problem, neuron)
        first = cell.alpha if loops == 0 else first
        loops += 1
        _fill_alpha(rows, neuron, cell.alpha)
        if status != STATUS_RUNNING or ends != STATUS_RUNNING:
            status = ends if status == STATUS_RUNNING else status
            break
        i, s = _next_event(problem, neuron, cell)
        if s == np.inf:
            status = STATUS_FINAL
            break
        # An event is logged, and the end of every slide.
        rows = _with_room(rows, neuron.counts[N_EVENTS], neuron.tied.size + 1)
        status, sampled = _step(problem, neuron, cell, i, s, limits, sampled, out, rows)
        if status in (STATUS_REACHED, STATUS_EVENT_LIMIT):
            break
        if loops % _REFRESH_EVERY == 0:
            refresh(problem, neuron)
    if status not in (STATUS_NONUNIQUE, STATUS_EVENT_LIMIT):
        sampled = _sample_until(neuron, cell, limits.times, sampled, np.inf, out)
    # What was not reached is not reported.
    for k in range(sampled, limits.times.size):
        fill(out.directions[k], np.nan)
        fill(out.logs[k], np.nan)
    return status, first, cell.alpha, rows
