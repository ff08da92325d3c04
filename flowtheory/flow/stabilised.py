r"""Late times of smooth flows to a fixed time: as many stages as stability needs.

The compiled `loop` with a stabilised method, for a field and a state of any form. Runs of a network
go through `descend`, which comes here by itself where it pays.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from flowtheory.errors import DataError, ParameterError
from flowtheory.flow.loop import Carry, look, stretch
from flowtheory.flow.radius import MARGIN, Radius, unknown
from flowtheory.flow.recorder import SAVES
from flowtheory.flow.schedule import save_times
from flowtheory.flow.settings import STABILISED, Settings, Stabilised
from flowtheory.flow.system import Start, Status, Stops, System, Tolerance
from flowtheory.outcome import Outcome
from flowtheory.precision import as_float64, float64

_ATOL_FRACTION = 1e-4


class Effort(NamedTuple):
    """What a run cost.

    Attributes:
        accepted: steps taken.
        rejected: steps tried in vain.
        evaluations: of the field, rejected steps included.
        products: Jacobian-vector products of the spectral radius, each about two evaluations.
        stages: the most evaluations in one step.
    """

    accepted: Any
    rejected: Any
    evaluations: Any
    products: Any
    stages: Any


class LateRun(NamedTuple):
    r"""What `solve_stabilised` returns.

    Attributes:
        times: the times saved, the last one the end (or the last one passed before it failed).
        states: the states at these times, stacked along a new first axis, NumPy arrays.
        outcome: `REACHED_T`, `STEP_LIMIT`, `STIFF` (a step below the resolution of the time, as in
            a blow-up) or `NONFINITE`.
        error: the sum over the steps of the estimated local error, as a root mean square over
            the entries. It bounds the error of the last state as far as the flow contracts (a
            loss that is convex along the path), apart from the first step's own stiff modes.
        radius: the last estimate of the spectral radius of the Jacobian (in t).
        effort: what it cost.
    """

    times: Float[np.ndarray, " k"]
    states: Any
    outcome: Outcome
    error: float
    radius: float
    effort: Effort


_OUTCOMES = {
    Status.END: Outcome.REACHED_T,
    Status.STEP_TOO_SMALL: Outcome.STIFF,
    Status.NONFINITE: Outcome.NONFINITE,
}


def _rms(state: Any) -> Float[Array, ""]:
    return jnp.sqrt(jnp.mean(ravel_pytree(state)[0] ** 2))


def _size(state: Any) -> Float[Array, " 1"]:
    return _rms(state)[None]


def _norm(old: Any, new: Any, error: Any, tolerance: Tolerance, args: Any) -> Float[Array, ""]:
    """Entry by entry: what is small counts as much as what is large."""
    rtol, atol = tolerance

    def scaled(y: Array, z: Array, e: Array) -> Array:
        return e / (atol + rtol * jnp.maximum(jnp.abs(y), jnp.abs(z)))

    return _rms(jax.tree.map(scaled, old, new, error))


@lru_cache(maxsize=256)
def _system(field: Callable[[Any, Any], Any]) -> System:
    return System(field, _size, norm=_norm)


class _Run:
    """One run: the host's side of the loop."""

    def __init__(
        self,
        field: Callable[[Any, Any], Any],
        method: Stabilised,
        log_time: bool,
        args: Any,
        tolerance: Tolerance,
        times: Float[np.ndarray, " k"],
    ) -> None:
        self.of = (_system(field), method, log_time, args)
        self.tolerance, self.times, self.log_time = tolerance, times, log_time
        self.saves = np.log1p(times) if log_time else times
        self.blocks: list[Any] = []
        self.saved, self.error = 0, 0.0
        self.effort = Effort(0, 0, 0, 0, 0)

    def go(self, t_start: float, state: Any, max_steps: int) -> LateRun:
        """From the start to the end, or to where it fails."""
        system, _, log_time, args = self.of
        s = np.log1p(t_start) if log_time else np.float64(t_start)
        size = sum(np.size(a) for a in jax.tree.leaves(state))
        radius, products = look(system, log_time, args, s, state, unknown(size))
        self.effort = self.effort._replace(products=int(products))
        start = Start(s, state, np.minimum(self.saves[-1] - s, 1 / radius.value))  # type: ignore[arg-type]
        status = Status.CHUNK
        while status in (Status.CHUNK, Status.SAVES_FULL):
            left = max_steps - self.effort.accepted - self.effort.rejected
            if left <= 0:
                break
            carry = self._advance(start, radius, left)
            start, radius = Start(carry.s, carry.state, carry.h), carry.stepper.radius
            status = Status(int(carry.status))
        return self._report(start, radius, _OUTCOMES.get(status, Outcome.STEP_LIMIT))

    def _advance(self, start: Start, radius: Radius, steps: int) -> Carry:
        saves = np.full(SAVES, np.inf)
        coming = self.saves[self.saved : self.saved + SAVES]
        saves[: len(coming)] = coming
        stops = Stops(self.saves[-1], saves, np.int64(steps))  # type: ignore[arg-type]
        carry = stretch(*self.of, stops, self.tolerance, start, radius)
        carry = jax.tree.map(np.asarray, carry)
        count = int(carry.rows.saved)
        self.blocks.append(jax.tree.map(lambda a: a[:count], carry.rows.buffer))
        self.saved += count
        self.error += float(carry.local[0])
        spent = (carry.accepted, carry.rejected, carry.evaluations, carry.products)
        a, b, c, d = (old + int(new) for old, new in zip(self.effort[:4], spent, strict=True))
        self.effort = Effort(a, b, c, d, max(self.effort.stages, int(carry.most)))
        return carry

    def _report(self, end: Start, radius: Radius, outcome: Outcome) -> LateRun:
        now = float(np.expm1(end.s)) if self.log_time else float(end.s)
        times, blocks = self.times[: self.saved], self.blocks
        if not outcome.ok:
            times = np.append(times, now)
            blocks = [*blocks, jax.tree.map(lambda a: np.asarray(a)[None], end.state)]
        states = jax.tree.map(lambda *parts: np.concatenate(parts), *blocks)
        rho = float(radius.value) / MARGIN / (1 + now if self.log_time else 1)
        return LateRun(times, states, outcome, self.error, rho, self.effort)


def solve_stabilised(
    field: Callable[[Any, Any], Any],
    start: Any,
    end: float,
    args: Any = None,
    *,
    method: Stabilised = "rock4",
    rtol: float = 1e-6,
    atol: float | None = None,
    log_time: bool = False,
    t_start: float = 0.0,
    times: Float[np.ndarray, " k"] | None = None,
    max_steps: int = 100_000,
) -> LateRun:
    r"""Integrate $\dot y = F(y)$ to a fixed time when $F$ is smooth and its Jacobian stiff.

    Meant for the late phase of a gradient flow (a Jacobian whose spectrum is nearly real), from
    about $\rho\,(\text{time left}) > 10^3$ on. A step is accepted when the root mean square of
    error / (`atol` + `rtol` |y|) over the entries of the state is at most 1.

    Args:
        field: $F$ as a JAX function of (state, args); one compilation serves one function object
            and one set of shapes.
        start: the state at `t_start`, arrays in any nesting of tuples and dictionaries.
        end: the final time.
        args: arrays that `field` takes besides.
        method: 'rock4' (order 4), or 'rkc2' (order 2), which is cheaper below 3 digits.
        rtol: relative tolerance of a step, in [1e-14, 1e-2].
        atol: absolute tolerance; by default 1e-4 `rtol` times the root mean square of the start.
            Late in a run the updates are small: with 1e-2 `rtol` the test passes all of them, and
            the log of the loss is lost.
        log_time: integrate in $\log(1 + t)$; for losses with an exponential tail only.
        t_start: the time of the start, >= 0.
        times: times to save at, in [`t_start`, `end`]; a step ends at each. The end is added.
        max_steps: budget of attempted steps.

    Raises:
        ParameterError: times out of order, or a tolerance or method out of its domain.
        DataError: the start is not finite, or zero.
    """
    saves = save_times([] if times is None else times, t_start, end)  # type: ignore[arg-type]
    start = jax.tree.map(lambda a: as_float64(a, "start"), start)
    tolerance = _tolerance(start, rtol, atol, method, max_steps)
    with float64():
        run = _Run(field, method, log_time, args, tolerance, saves)
        return run.go(t_start, start, max_steps)


def _tolerance(
    start: Any, rtol: float, atol: float | None, method: str, max_steps: int
) -> Tolerance:
    """Checked tolerances; the absolute one in the units of the state."""
    Settings(rtol=rtol, max_steps=max_steps)
    if method not in STABILISED:
        raise ParameterError(
            f"method is {method!r}", expected="'rkc2' or 'rock4'", fix="leave it out"
        )
    entries = np.concatenate([np.ravel(a) for a in jax.tree.leaves(start)])
    size = float(np.sqrt(np.mean(entries**2)))
    if size == 0:
        raise DataError(
            "the start is zero", expected="a start off the fixed point", fix="scale it to order 1"
        )
    if atol is None:
        return Tolerance(np.float64(rtol), np.float64(_ATOL_FRACTION * rtol * size))  # type: ignore[arg-type]
    if not (np.isfinite(atol) and 0 < atol <= rtol * size):
        raise ParameterError(
            f"atol is {atol!r} for a state of root mean square {size:.3g}",
            expected=f"0 < atol <= rtol * size = {rtol * size:.3g}",
            fix="leave atol out",
        )
    return Tolerance(np.float64(rtol), np.float64(atol))  # type: ignore[arg-type]
