r"""Event-exact propagation of the effective flow of two-layer ReLU neurons.

At small initialization the neurons of $f(x) = \sum_j v_j\,\mathrm{relu}(\langle w_j, x\rangle)$
decouple; with $c_i = -\partial_f\ell(y_i, 0)$ each obeys

$$ \dot w = v\,a(w), \qquad \dot v = \langle w, a(w)\rangle, \qquad
   a(w) = \sum_{i:\ \langle w, x_i\rangle > 0} c_i x_i . $$

Inside a cell ($a$ constant, $\alpha = |a|$) the solution is closed: $w$ moves on a straight line,
$p = \langle w, a\rangle/\alpha$ and $v$ are combinations of $e^{\pm\alpha t}$ with
$\rho^2 = v^2 - p^2$ constant. The next switch is a least ratio, and the time to it a logarithm.
On kinks where the field points from both sides to the kink the neuron slides along it (Filippov),
with the field projected; the multipliers solve a box-constrained least squares.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from flowtheory.blas import one_thread
from flowtheory.errors import DataError, ParameterError
from flowtheory.exact import _codes
from flowtheory.exact.paths import EffectivePaths, Samples
from flowtheory.outcome import Outcome
from flowtheory.precision import as_float64

_OUTCOMES = {
    _codes.STATUS_FINAL: Outcome.FINAL_CELL,
    _codes.STATUS_DEAD: Outcome.DEAD,
    _codes.STATUS_STATIONARY: Outcome.STATIONARY,
    _codes.STATUS_OPPOSITE: Outcome.OPPOSITE,
    _codes.STATUS_NONUNIQUE: Outcome.NONUNIQUE,
    _codes.STATUS_EVENT_LIMIT: Outcome.EVENT_LIMIT,
    _codes.STATUS_REACHED: Outcome.REACHED_T,
}
# Above this size the Gram matrix is not formed, and an event costs O(n D) instead of O(n).
_GRAM_BYTES = 512 * 2**20
# Numbers (data times dimension, summed over neurons) below which a thread costs more than it saves,
# and those of one block.
_SMALL = 200_000
_BLOCK = 50_000


def balanced(
    w0: Float[np.ndarray, "h D"], sign: Float[np.ndarray, " h"] | float = 1.0
) -> Float[np.ndarray, " h"]:
    r"""Output weights $v_j = \mathrm{sign}_j |w_j|$ of a balanced start."""
    return np.sign(sign) * np.linalg.norm(w0, axis=1)


def propagate(
    x: Float[np.ndarray, "n D"],
    c: Float[np.ndarray, " n"],
    w0: Float[np.ndarray, "h D"],
    v0: Float[np.ndarray, " h"] | None = None,
    *,
    active: Bool[np.ndarray, "h n"] | None = None,
    times: Sequence[float] | Float[np.ndarray, " k"] = (),
    until: float = np.inf,
    max_events: int = 1_000_000,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EffectivePaths:
    r"""Carry neurons through all their activation cells, to the last one or to that of `until`.

    Args:
        x: data, one row a sample.
        c: weight of each datum in the field, $c_i = -\partial_f\ell(y_i, 0)$; `y` for the
            exponential and the 2*logistic loss. Any real numbers.
        w0: input weights; only their direction and, relative to it, `v0` matter for the times.
        v0: output weights; default is the balanced positive start $v = |w|$.
        active: activation pattern at time 0. Default: $\langle w_j, x_i\rangle > 0$ (the
            derivative of ReLU is 0 at the kink). Give it where a start lies on a kink.
        times: increasing times at which to sample the states, none after `until`.
        until: stop each neuron in the cell of this time, with the outcome `REACHED_T` unless it
            ended before; by default all cells are visited.
        max_events: limit per neuron; beyond it the outcome is `EVENT_LIMIT`.
        threads: neurons carried at a time; default: the cores this process may use.
        progress: called with (neurons done, neurons in all).

    Returns:
        The paths, in the time of the reference clock (sum loss, unit slope).

    Raises:
        DataError: non-finite values, a zero weight vector, or shapes that clash.
        ParameterError: times that decrease or are negative, or limits below 1.
    """
    x, c, w0 = as_float64(x, "x"), as_float64(c, "c"), np.atleast_2d(as_float64(w0, "w0"))
    v0 = balanced(w0) if v0 is None else np.atleast_1d(as_float64(v0, "v0"))
    grid = as_float64(times, "times")
    _check(x, c, w0, v0)
    _check_limits(grid, until, max_events)
    with one_thread():
        given = w0 @ x.T > 0.0 if active is None else np.atleast_2d(active)
    pattern = np.ascontiguousarray(given, dtype=bool)
    if pattern.shape != (len(w0), len(x)):
        raise DataError(
            f"active has shape {pattern.shape}",
            expected=f"one row a neuron, one column a datum: {(len(w0), len(x))}",
            fix="omit `active` to use the strict pattern <w, x> > 0",
        )
    from flowtheory.exact._block import Start, empty_ends, propagate_block
    from flowtheory.exact._state import Limits, make_problem

    with one_thread():
        problem = make_problem(x, c, gram=8 * len(x) ** 2 <= _GRAM_BYTES)
    start, limits = Start(w0, v0, pattern), Limits(grid, float(until), max_events)
    ends = empty_ends(len(w0), x.shape[0], x.shape[1], len(grid))
    # Threads do not share a neuron, so their number changes no bit of the result.
    workers = 1 if w0.shape[0] * x.size < _SMALL else (threads or _cores())
    size = max(1, min(-(-len(w0) // workers), _BLOCK // max(x.size, 1)))

    def carry(begin: int) -> np.ndarray:
        last = min(begin + size, len(w0))
        return propagate_block(problem, start, limits, ends, begin, last)

    events, blocks = [], range(0, len(w0), size)
    with ThreadPoolExecutor(workers) as pool:
        for part in map(carry, blocks) if workers == 1 else pool.map(carry, blocks):
            events.append(part)
            if progress is not None:
                progress(min(len(events) * size, len(w0)), len(w0))
    return _assemble(ends, np.concatenate(events), pattern, grid)


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this platform
        return os.cpu_count() or 1


def _check(x: np.ndarray, c: np.ndarray, w0: np.ndarray, v0: np.ndarray) -> None:
    if x.ndim != 2 or c.shape != x.shape[:1] or w0.ndim != 2 or w0.shape[1] != x.shape[1]:
        raise DataError(
            f"shapes clash: x {x.shape}, c {c.shape}, w0 {w0.shape}",
            expected="x (n, D), c (n,), w0 (h, D)",
            fix="rows of x are data, rows of w0 are neurons",
        )
    if v0.shape != w0.shape[:1]:
        raise DataError(
            f"v0 has shape {v0.shape} for {len(w0)} neuron(s)",
            expected=f"({len(w0)},)",
            fix="omit v0 for a balanced start, or use flowtheory.exact.balanced(w0, signs)",
        )
    zero = np.flatnonzero(~w0.any(axis=1))
    if zero.size:
        raise DataError(
            f"w0 has {zero.size} zero vector(s), the first in row {zero[0]}",
            expected="input weights with a direction",
            fix="drop these neurons: they never move",
        )


def _check_limits(times: np.ndarray, until: float, limit: int) -> None:
    if times.ndim != 1 or np.any(times < 0) or np.any(np.diff(times) < 0):
        raise ParameterError(
            "times must be one increasing, non-negative list",
            expected="0 <= t_1 <= t_2 <= ...",
            fix="sort them: times=sorted(times)",
        )
    if not until >= (times[-1] if times.size else 0.0):
        raise ParameterError(
            f"until is {until} and the last of times is {times[-1] if times.size else 'not given'}",
            expected="a time >= 0 and not before the last of times",
            fix="until=times[-1], or leave it at its default",
        )
    if limit < 1:
        raise ParameterError(
            f"max_events is {limit}", expected="an integer >= 1", fix="leave it at its default"
        )


def _assemble(
    ends: Any, events: np.ndarray, pattern: np.ndarray, times: np.ndarray
) -> EffectivePaths:
    return EffectivePaths(
        outcome=tuple(_OUTCOMES[code] for code in ends.status.tolist()),
        offsets=np.concatenate([[0], np.cumsum(ends.counts)]),
        time=events[:, 0],
        datum=events[:, 1].astype(np.int64),
        kind=events[:, 2].astype(np.int64),
        alpha=events[:, 3],
        phi=events[:, 4],
        log_norm=events[:, 5],
        initial_alpha=ends.first[:, 0],
        initial_phi=ends.first[:, 1],
        initial_active=pattern,
        final_alpha=ends.last[:, 0],
        final_phi=ends.last[:, 1],
        final_direction=ends.directions,
        final_log_norm=ends.last[:, 2],
        final_ratio=ends.last[:, 3],
        multipliers=ends.multipliers,
        samples=Samples(times, ends.samples, ends.logs[:, :, 0], ends.logs[:, :, 1]),
    )
