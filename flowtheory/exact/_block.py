"""Blocks of neurons, one compiled call each (numba; imported by `effective`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from flowtheory.exact._kernel import carry
from flowtheory.exact._state import (
    LOG_NORM,
    N_BEFORE,
    N_EVENTS,
    PHI,
    SIGN,
    Sampled,
    V,
    assign,
    empty_neuron,
    start,
)


class Start(NamedTuple):
    """Where the neurons start, one row each."""

    w0: np.ndarray
    v0: np.ndarray
    active: np.ndarray


class Ends(NamedTuple):
    """What is filled in, one row a neuron."""

    status: np.ndarray
    counts: np.ndarray  # events
    first: np.ndarray  # [|a|, phi] at the start
    last: np.ndarray  # [|a|, phi, ln|w|, v/|w|] on entering the last cell
    directions: np.ndarray  # on entering the last cell
    multipliers: np.ndarray
    samples: np.ndarray  # directions at the times
    logs: np.ndarray  # [ln|w|, v/|w|] at the times


def empty_ends(h: int, n: int, dim: int, times: int) -> Ends:
    """Room for the ends of h neurons on n data of dimension dim."""
    return Ends(
        np.empty(h, dtype=np.int64),
        np.empty(h, dtype=np.int64),
        np.empty((h, 2)),
        np.empty((h, 4)),
        np.empty((h, dim)),
        np.empty((h, n)),
        np.empty((h, times, dim)),
        np.empty((h, times, 2)),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def propagate_block(problem, starts, limits, ends, begin, end):
    """Carry the neurons `begin` to `end` - 1, one after the other. Returns their events.

    An array and no named tuple: making one runs Python code, and numba crashes the process if a
    Ctrl-C arrives there.
    """
    neuron, rows = empty_neuron(problem), np.empty((64, 6))
    for j in range(begin, end):
        start(problem, neuron, starts.w0[j], starts.v0[j], starts.active[j])
        ends.first[j, 1] = neuron.scalars[PHI]
        out = Sampled(ends.samples[j], ends.logs[j])
        status, first, alpha, rows = carry(problem, neuron, limits, out, rows)
        ends.status[j], ends.first[j, 0] = status, first
        ends.counts[j] = neuron.counts[N_EVENTS] - neuron.counts[N_BEFORE]
        last, scalars = ends.last[j], neuron.scalars
        last[0], last[1], last[2] = alpha, scalars[PHI], scalars[LOG_NORM]
        last[3] = scalars[SIGN] * scalars[V]
        assign(ends.directions[j], neuron.w)
        assign(ends.multipliers[j], neuron.lam)
    return rows[: neuron.counts[N_EVENTS]]
