r"""The cheap mode: fixed-type steps straight through the kinks, with a measured error bar.

For many kinks (large n h) or for sliding. The step is $h = c / \text{bound}$ with the rate bound
of `field.rate_bound`, so it follows the flow through all its phases; nothing is located. Every
method that does not locate kinks is of first order through them, so the error is halved with $c$.
Two runs are made, with $c$ and $c/2$: the second is the answer, and 1.5 times their difference is
its error bar, quantity by quantity (it bounds the error of the first run).
"""

from __future__ import annotations

import math
import time
from functools import partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from flowtheory.errors import ParameterError
from flowtheory.flow.field import Model, Samples, TwoLayer, live, rate_bound, vector_field
from flowtheory.flow.observe import Observe, spectrum
from flowtheory.flow.problem import GradientFlow
from flowtheory.flow.recorder import SAVES, Progress, Recorder
from flowtheory.flow.schedule import save_times
from flowtheory.flow.trajectory import Statistics, Switches, Trajectory
from flowtheory.outcome import Outcome
from flowtheory.precision import float64

StepMethod = Literal["heun", "rk4"]

ERROR_FACTOR = 1.5
"""Error bar in units of the difference between the runs with c and c/2."""

_CHUNK = 200
_EVALUATIONS = {"heun": 2, "rk4": 4}


class March(NamedTuple):
    """State of the compiled loop; a call returns its last value."""

    t: Float[Array, ""]
    params: TwoLayer
    steps: Int[Array, ""]
    saved: Int[Array, ""]
    buffer: TwoLayer
    escape_time: Float[Array, ""]


def _axpy(a: Float[Array, ""], x: TwoLayer, y: TwoLayer) -> TwoLayer:
    return jax.tree.map(lambda xi, yi: yi + a * xi, x, y)


def _step(method: StepMethod, model: Model, data: Samples, y: TwoLayer, h: Array) -> TwoLayer:
    """One explicit step of length h."""

    def slope(params: TwoLayer) -> TwoLayer:
        return vector_field(model, data, live(model, data), params)

    k1 = slope(y)
    if method == "heun":
        return _axpy(h / 2, slope(_axpy(h, k1, y)), _axpy(h / 2, k1, y))
    k2 = slope(_axpy(h / 2, k1, y))
    k3 = slope(_axpy(h / 2, k2, y))
    k4 = slope(_axpy(h, k3, y))
    mean = jax.tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, k1, k2, k3, k4)
    return _axpy(h, mean, y)


@partial(jax.jit, static_argnames=("model", "method"))
def _march(
    model: Model,
    method: StepMethod,
    data: Samples,
    saves: Float[Array, " saves"],
    c: Float[Array, ""],
    max_steps: Int[Array, ""],
    escape: Float[Array, ""],
    start: tuple[Float[Array, ""], TwoLayer, Float[Array, ""]],
) -> March:
    """Step until `max_steps`, a full buffer or the last finite save point."""
    t, params, escape_time = start
    end = jnp.max(jnp.where(jnp.isfinite(saves), saves, -jnp.inf))

    def go_on(m: March) -> Bool[Array, ""]:
        # A time that is not finite (so is the state) is not below the end.
        return (m.t < end) & (m.steps < max_steps)

    def body(m: March) -> March:
        peak = jnp.max(jnp.abs(model.outputs(m.params, data.x)))
        limit = saves[m.saved]
        free = m.t + c / rate_bound(model, data, m.params)
        t = jnp.minimum(free, limit)
        params = _step(method, model, data, m.params, t - m.t)
        saving = t >= limit
        row = jnp.where(saving, m.saved, SAVES)  # out of bounds: dropped
        buffer = jax.tree.map(lambda b, p: b.at[row].set(p, mode="drop"), m.buffer, params)
        escaped = jnp.where((peak >= escape) & jnp.isinf(m.escape_time), m.t, m.escape_time)
        return March(t, params, m.steps + 1, m.saved + saving, buffer, escaped)

    rows = jax.tree.map(lambda p: jnp.zeros((SAVES, *p.shape), p.dtype), params)
    zero = jnp.zeros((), jnp.int64)
    return lax.while_loop(go_on, body, March(t, params, zero, zero, rows, escape_time))


def solve_steps(
    flow: GradientFlow,
    params: TwoLayer,
    t_end: float,
    *,
    c: float = 0.1,
    method: StepMethod = "heun",
    times: Float[np.ndarray, " k"] | None = None,
    observe: Observe = spectrum,
    escape: float = 0.1,
    max_steps: int = 1_000_000,
    progress: Progress | None = None,
) -> Trajectory:
    r"""Integrate the flow of a ReLU network with fixed-type steps, with error bars.

    Args:
        flow: network, loss, data and clock.
        params: parameters at t = 0.
        t_end: final time, in the flow's clock.
        c: step constant of the coarser run, in (0, 1].
        method: 'heun' (order 2 between kinks) or 'rk4' (order 4).
        times: times to save at; log-spaced by default.
        observe: what to save, a JAX function (params, x, y) -> dict of arrays.
        escape: level of $\max_i|f(x_i)|$ whose first crossing is recorded, to one step.
        max_steps: budget of steps of each of the two runs.
        progress: called now and then with (t, log10 loss, outcome so far), for both runs in turn.

    Returns:
        The run with c/2; `errors` holds 1.5 |difference from the run with c| for the loss and every
        observable, at every saved time. Outcomes: `REACHED_T`, `STEP_LIMIT`, `NONFINITE`.

    Raises:
        DataError: parameters that do not fit the data, or are not finite.
        ParameterError: times or options out of their domain.
    """
    if not (math.isfinite(c) and 0 < c <= 1):
        raise ParameterError(
            f"c is {c!r}",
            expected="a step constant in (0, 1]",
            fix="0.1; the error is proportional to c",
        )
    if method not in _EVALUATIONS:
        raise ParameterError(f"method is {method!r}", expected="'heun' or 'rk4'", fix="'heun'")
    began = time.monotonic()
    params = flow.start(np.asarray(params.W), np.asarray(params.v))
    saves = save_times(times, 0.0, t_end)
    coarse, fine = (
        _Marcher(flow, params, saves, Recorder(flow, observe, progress), k, method, escape)
        for k in (c, c / 2)
    )
    outcome = coarse.run(max_steps).then(fine.run(max_steps))
    return _result(coarse, fine, outcome, time.monotonic() - began)


class _Marcher:
    """One run with one constant: the host's side of the loop."""

    def __init__(
        self,
        flow: GradientFlow,
        params: TwoLayer,
        saves: Float[np.ndarray, " k"],
        recorder: Recorder,
        c: float,
        method: StepMethod,
        escape: float,
    ) -> None:
        self.flow, self.params, self.saves, self.recorder = flow, params, saves, recorder
        self.c, self.method, self.escape = c, method, escape
        self.t, self.escape_time = 0.0, math.inf
        self.steps = self.saved = self.chunks = 0
        recorder.add_one(0.0, params)

    def run(self, max_steps: int) -> Outcome:
        outcome = None
        while outcome is None:
            self.recorder.report(self.t, self.params, None)
            self._advance(min(_CHUNK, max_steps - self.steps))
            outcome = self._judge(max_steps)
        self.recorder.report(self.t, self.params, outcome)
        return outcome

    def _judge(self, max_steps: int) -> Outcome | None:
        if not all(np.all(np.isfinite(p)) for p in self.params):
            return Outcome.NONFINITE
        if self.saved == len(self.saves):
            return Outcome.REACHED_T
        return Outcome.STEP_LIMIT if self.steps >= max_steps else None

    def _advance(self, steps: int) -> None:
        coming = self.saves[self.saved : self.saved + SAVES]
        padded = np.full(SAVES, np.inf)
        padded[: len(coming)] = coming
        start = (np.float64(self.t), self.params, np.float64(self.escape_time))
        with float64():
            march = _march(
                self.flow.model,
                self.method,
                self.flow.samples,
                padded,
                np.float64(self.c),
                np.int64(steps),
                np.float64(self.escape),
                start,
            )
            march = jax.tree.map(np.asarray, march)
        count = int(march.saved)
        self.recorder.add(coming[:count].tolist(), march.buffer)
        self.t, self.params = float(march.t), march.params
        self.escape_time = float(march.escape_time)
        self.steps += int(march.steps)
        self.saved += count
        self.chunks += 1


def _result(coarse: _Marcher, fine: _Marcher, outcome: Outcome, seconds: float) -> Trajectory:
    rows = min(len(coarse.recorder.times), len(fine.recorder.times))
    rough, good = (
        {k: v[:rows] for k, v in run.recorder.columns().items()} for run in (coarse, fine)
    )
    none = np.zeros(0)
    steps = coarse.steps + fine.steps
    return Trajectory(
        times=np.array(fine.recorder.times[:rows]),
        observables=good,
        errors={k: ERROR_FACTOR * np.abs(good[k] - rough[k]) for k in good},
        params=fine.params,
        pattern=fine.flow.pattern(fine.params),
        switches=Switches(none, none.astype(int), none.astype(int), none.astype(bool)),
        escape_time=fine.escape_time,
        escape_level=fine.escape,
        outcome=outcome,
        clock=fine.flow.clock,
        method=f"{fine.method}, step c/bound, c and c/2",
        rtol=coarse.c,
        atol=0.0,
        statistics=Statistics(
            accepted=steps,
            rejected=0,
            evaluations=steps * _EVALUATIONS[fine.method],
            stretches=coarse.chunks + fine.chunks,
            seconds=seconds,
        ),
    )
