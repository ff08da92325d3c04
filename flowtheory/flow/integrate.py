r"""The Runge-Kutta steps, and smooth flows to a fixed time.

The only importer of diffrax (inside functions, so that importing this module is cheap). `Pair`
gives our own loops (`loop`) its steps and their dense output; `solve_smooth` is its adaptive solve.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from flowtheory.errors import DataError, ParameterError
from flowtheory.flow.control import Control
from flowtheory.flow.radius import Radius
from flowtheory.flow.settings import Explicit, Settings
from flowtheory.outcome import Outcome
from flowtheory.precision import as_float64, float64

ORDER: dict[Explicit, int] = {"dopri8": 8, "tsit5": 5}
STAGES: dict[Explicit, int] = {"dopri8": 13, "tsit5": 6}
"""Field evaluations a step."""

BETA: dict[Explicit, float] = {"dopri8": 5.167, "tsit5": 3.507}
r"""Real stability interval: $|R(z)| \le 1$ for $-\beta \le z \le 0$."""


def _solver(method: Explicit) -> Any:
    import diffrax

    kinds = {"dopri8": diffrax.Dopri8, "tsit5": diffrax.Tsit5}
    return kinds[method](scan_kind="lax")


class Pair:
    """Steps of a Runge-Kutta pair for dy/ds = field(s, y), to be traced in a compiled loop.

    Methods as in `stepper.Stepper`.
    """

    opening = 0

    def __init__(self, method: Explicit, field: Callable[[Array, Any], Any]) -> None:
        import diffrax

        self.control, self._stages = Control(ORDER[method]), STAGES[method]
        self._solver = _solver(method)
        self._term = diffrax.ODETerm(lambda s, y, _: field(jnp.asarray(s), y))

    def first(self, s: Array, ahead: Array, state: Any, radius: Radius | None) -> Any:
        """What is carried into the first step."""
        return self._solver.init(self._term, s, ahead, state, None)

    def ready(self, s: Array, state: Any, carried: Any) -> tuple[Any, Int[Array, ""]]:
        """Nothing to do."""
        return carried, jnp.zeros((), jnp.int64)

    def longest(self, carried: Any) -> Float[Array, ""]:
        """No limit of its own."""
        return jnp.asarray(jnp.inf)

    def step(
        self, s: Array, ahead: Array, state: Any, carried: Any, span: Array
    ) -> tuple[Any, Any, Any, Any, Int[Array, ""]]:
        """A step; `span` does not matter."""
        new, error, dense, carried, _ = self._solver.step(
            self._term, s, ahead, state, None, carried, made_jump=False
        )
        return new, error, dense, carried, jnp.asarray(self._stages, jnp.int64)

    def dense(self, s: Array, ahead: Array, dense: Any, theta: Array) -> Any:
        """The interpolant of the pair."""
        at = self._solver.interpolation_cls(t0=s, t1=ahead, **dense)
        return at.evaluate(s + theta * (ahead - s))

    def rejected(self, carried: Any) -> Any:
        """The same as before."""
        return carried


class SmoothEnd(NamedTuple):
    """Where a smooth flow is at the end.

    Attributes:
        state: the state at the final time (or at the last step reached), NumPy arrays.
        outcome: `REACHED_T`, `EVENT` (the flow was stopped), `STEP_LIMIT` (as in a blow-up),
            `STIFF` or `NONFINITE`.
        time: the time of `state`.
        steps: attempted steps.
    """

    state: Any
    outcome: Outcome
    time: float
    steps: int


def solve_smooth(
    field: Callable[[Any, Any], Any],
    start: Any,
    end: float,
    args: Any = None,
    *,
    rtol: float = 1e-12,
    max_steps: int = 4096,
    method: Explicit = "tsit5",
    stop: Callable[[Any, Any], Any] | None = None,
) -> SmoothEnd:
    r"""Integrate $\dot y = F(y)$ from $t = 0$ to a fixed time, for a smooth $F$.

    A step is accepted when the error of every entry is at
    most `rtol` times (its own modulus + the largest modulus at the start): scale the state to
    order 1, or keep parts of different size apart.

    Args:
        field: $F$ as a JAX function of (state, args); one compilation serves one function object
            and one set of shapes.
        start: the state at $t = 0$, arrays in any nesting of tuples and dictionaries.
        end: the final time, positive.
        args: arrays that `field` takes besides.
        rtol: relative tolerance of a step.
        max_steps: budget of steps.
        method: the Runge-Kutta pair; order 8 pays below about 1e-7.
        stop: a condition as a JAX function of (state, args); the flow ends after the first step at
            whose end it holds.

    Raises:
        ParameterError: `end` is not a positive number, or `rtol` not in [1e-14, 1e-2].
        DataError: the start is not finite, or zero.
    """
    if not (np.isfinite(end) and end > 0):
        raise ParameterError(f"end is {end!r}", expected="a time > 0", fix="integrate forwards")
    Settings(rtol=rtol, method=method)
    start = jax.tree.map(lambda a: as_float64(a, "start"), start)
    size = max(float(np.max(np.abs(a), initial=0.0)) for a in jax.tree.leaves(start))
    if size == 0:
        raise DataError(
            "the start is zero", expected="a start off the fixed point", fix="scale it to order 1"
        )
    with float64():
        numbers = (np.float64(end), args, np.float64(rtol), np.float64(size))
        result = _smooth(field, stop, method, start, *numbers, max_steps)
        state, time, steps, code = jax.tree.map(np.asarray, result)
    finite = all(np.isfinite(a).all() for a in jax.tree.leaves(state))
    outcome = _SMOOTH_OUTCOMES[int(code)] if finite else Outcome.NONFINITE
    return SmoothEnd(state, outcome, float(time), int(steps))


_SMOOTH_OUTCOMES = (Outcome.REACHED_T, Outcome.EVENT, Outcome.STEP_LIMIT, Outcome.STIFF)


@partial(jax.jit, static_argnames=("field", "stop", "method", "max_steps"))
def _smooth(
    field: Callable[[Any, Any], Any],
    stop: Callable[[Any, Any], Any] | None,
    method: Explicit,
    start: Any,
    end: Float[Array, ""],
    args: Any,
    rtol: Float[Array, ""],
    size: Float[Array, ""],
    max_steps: int,
) -> tuple[Any, Float[Array, ""], Int[Array, ""], Int[Array, ""]]:
    """State, time, attempted steps and place in `_SMOOTH_OUTCOMES`."""
    import diffrax

    def largest(scaled: Any) -> Array:
        return jnp.max(jnp.stack([jnp.max(jnp.abs(a)) for a in jax.tree.leaves(scaled)]))

    def stopped(t: Any, y: Any, args: Any, **_: Any) -> Any:
        return stop(y, args) if stop is not None else False

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, args: field(y, args)),
        _solver(method),
        t0=0.0,
        t1=end,
        dt0=None,
        y0=start,
        args=args,
        saveat=diffrax.SaveAt(t1=True),
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=rtol * size, norm=largest),
        adjoint=diffrax.ForwardMode(),
        event=None if stop is None else diffrax.Event(stopped),
        max_steps=max_steps,
        throw=False,
    )
    state, time = jax.tree.map(lambda a: a[-1], (solution.ys, solution.ts))
    names = diffrax.RESULTS
    known = (names.successful, names.event_occurred, names.max_steps_reached)
    is_known = jnp.stack([solution.result == name for name in known])
    code = jnp.where(jnp.any(is_known), jnp.argmax(is_known), len(known))
    return state, time, solution.stats["num_steps"], code
