"""A peer for neurons on their own: diffrax on the effective flow, restarted at every switch.

What a restart can do: one balanced neuron in a fixed pattern, Tsit5 with relative tolerance 1e-8,
the first margin that reaches 0 located by Newton's method, the datum switched, the neuron scaled
back to norm 1, and on. Where the field points to a kink from both sides every restart would end at
once: there the neuron is given up (its first slide), and the next one begun. So only the cost of an
event is measured, on events before the first slide, and multiplied by the events of all neurons.
"""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import flowtheory as ft
from flowtheory.exact import EffectivePaths


@jax.jit
def _next_switch(state: Any, a: Any, x: Any, side: Any, watched: Any, horizon: Any) -> Any:
    import diffrax
    import optimistix

    def rate(t: Any, y: Any, args: Any) -> Any:
        return jnp.append(y[-1] * a, y[:-1] @ a)

    def margin(t: Any, y: Any, args: Any, **_: Any) -> Any:
        return jnp.min(jnp.where(watched, side * (x @ y[:-1]), jnp.inf))

    run = diffrax.diffeqsolve(
        diffrax.ODETerm(rate),
        diffrax.Tsit5(),
        0.0,
        horizon,
        None,
        state,
        saveat=diffrax.SaveAt(t1=True),
        stepsize_controller=diffrax.PIDController(rtol=1e-8, atol=1e-8),
        event=diffrax.Event(margin, optimistix.Newton(rtol=1e-10, atol=1e-12)),
        max_steps=4096,
        throw=False,
    )
    assert run.ts is not None
    assert run.ys is not None
    return run.ts[-1], run.ys[-1], run.event_mask


def _until_it_slides(
    x: np.ndarray, c: np.ndarray, w0: np.ndarray, end: float
) -> tuple[list[float], int]:
    """Switch times up to the first slide or the time `end`, and the number of solves."""
    state, active = np.append(w0 / np.linalg.norm(w0), 1.0), x @ w0 > 0
    now, times, solves = 0.0, [], 0
    while active.any():
        a, side = (c * active) @ x, np.where(active, 1.0, -1.0)
        watched = side * (x @ a) < 0
        t, y, hit = map(np.asarray, _next_switch(state, a, x, side, watched, end - now))
        now, solves = now + float(t), solves + 1
        if not hit:
            break
        first = int(np.argmin(np.where(watched, side * (x @ y[:-1]), np.inf)))
        times.append(now)
        active[first] ^= True
        if side[first] * (x[first] @ ((c * active) @ x)) >= 0:
            break  # it would come back at once
        state = y / np.linalg.norm(y[:-1])
        state[-1] = 1.0
    return times, solves


def by_restarts(
    x: np.ndarray,
    c: np.ndarray,
    W: np.ndarray,
    signs: np.ndarray,
    paths: EffectivePaths,
    end: float,
    limit: float,
) -> dict[str, Any]:
    """Seconds for all events of `paths` up to `end`, scaled from those that fit into the limit.

    The error is the largest relative one of a switch time before a slide.
    """
    with ft.float64():
        _until_it_slides(x, signs[0] * c, W[0], end)
        seconds, solves, neurons, error = 0.0, 0, 0, 0.0
        for j, w in enumerate(W):
            if seconds > limit:
                break
            began = time.perf_counter()
            times, more = _until_it_slides(x, signs[j] * c, w, end)
            seconds += time.perf_counter() - began
            solves, neurons = solves + more, neurons + 1
            exact = paths.time[paths.events_of(j)][: len(times)]
            error = max(error, float(np.max(np.abs(np.array(times) / exact - 1), initial=0.0)))
    events = int(np.count_nonzero(paths.time <= end))
    return {
        "s": seconds / solves * events,
        "error": error,
        "measured_s": seconds,
        "solves": solves,
        "neurons": neurons,
    }
