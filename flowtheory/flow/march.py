r"""The cheap mode for any network with kinks: midpoint steps through them, with error bars.

Where the gradient jumps on surfaces that nobody locates, no method is of higher order than the
first, and an adaptive one spends its steps on the jumps. Here the step follows the flow instead,

$$ h = c/\rho, \qquad \rho = \text{spectral radius of the Hessian between kinks} $$

by a power iteration on Hessian-vector products (a derivative, so that a jump does not enter it;
its off-diagonal part holds the rate at which small weights turn, which the tangent kernel alone
would miss). Two runs are made, with $c$ and $c/2$. The second is the answer; 3 times the
difference is its error bar, quantity by quantity: both runs are of first order through kinks, so
that the difference is about the error of the second.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from flowtheory.errors import ParameterError
from flowtheory.flow.descend import finish
from flowtheory.flow.drive import Drive
from flowtheory.flow.keeping import RUN, SECOND, carry
from flowtheory.flow.position import Keeper
from flowtheory.flow.recorder import SAVES, Progress
from flowtheory.flow.rows import Rows, after, none_yet
from flowtheory.flow.run import Run
from flowtheory.flow.schedule import save_times
from flowtheory.flow.smooth import Params
from flowtheory.flow.system import Status, System, field_of
from flowtheory.flow.task import Task
from flowtheory.outcome import Outcome
from flowtheory.precision import float64

_REFRESH = 8
_PRODUCTS = 3
_FIRST_PRODUCTS = 30
_MARGIN = 1.3
_SECANTS = 8
EVALUATIONS = 2
_ERROR_FACTOR = 3.0  # the errors of 24 runs were 0.10 to 1.78 of the difference


class March(NamedTuple):
    """State of the compiled loop; a call returns its last value."""

    s: Float[Array, ""]
    state: Any
    rho: Float[Array, ""]
    vector: Any
    rows: Rows
    steps: Int[Array, ""]
    target: Int[Array, ""]


class Grid(NamedTuple):
    """End, save points (padded with inf), step constant and step budget of one call."""

    end: Float[Array, ""]
    saves: Float[Array, " saves"]
    c: Float[Array, ""]
    max_steps: Int[Array, ""]


class _Steps:
    """The functions of one call, closed over its data while it is being traced."""

    def __init__(self, system: System, log_time: bool, args: Any, grid: Grid) -> None:
        self.system, self.args, self.grid = system, args, grid
        self.field = field_of(system, log_time, args)

    def midpoint(self, s: Float[Array, ""], state: Any, h: Float[Array, ""]) -> Any:
        def ahead(rate: Any, step: Array) -> Any:
            return jax.tree.map(lambda a, b: a + step * b, state, rate)

        middle = ahead(self.field(s, state), h / 2)
        return ahead(self.field(s + h / 2, middle), h)

    def watch(self, state: Any) -> Float[Array, " levels"]:
        return self.system.watch(state, self.args)

    def radius(
        self, s: Float[Array, ""], state: Any, vector: Any, products: int
    ) -> tuple[Float[Array, ""], Any]:
        """Power iteration on the Hessian, warm from the last vector."""

        def body(_: int, carry: tuple[Array, Any]) -> tuple[Array, Any]:
            flat, back = ravel_pytree(carry[1])
            unit = back(flat / jnp.linalg.norm(flat))
            image = self.system.core(jax.jvp(lambda y: self.field(s, y), (state,), (unit,))[1])
            norm = jnp.linalg.norm(ravel_pytree(image)[0])
            keep = norm > 0
            mixed = jax.tree.map(lambda a, b: jnp.where(keep, a, b), image, unit)
            return norm, mixed

        rho, vector = lax.fori_loop(0, products, body, (jnp.zeros(()), vector))
        return _MARGIN * rho, vector

    def body(self, m: March) -> March:
        rho, vector = lax.cond(
            m.steps % _REFRESH == 0,
            lambda: self.radius(m.s, m.state, m.vector, _PRODUCTS),
            lambda: (m.rho, m.vector),
        )
        limit = jnp.minimum(self.grid.saves[m.rows.due], self.grid.end)
        free = jnp.where(rho > 0, self.grid.c / jnp.where(rho > 0, rho, 1.0), jnp.inf)
        h = jnp.minimum(free, limit - m.s)
        state = self.midpoint(m.s, m.state, h)
        level, none = jnp.min(self.watch(state)), -jnp.ones((), jnp.int64)
        h, state, target = lax.cond(
            level < 0, self.land, lambda *_: (h, state, none), m.s, m.state, h
        )
        s = jnp.where((h == limit - m.s) & (target < 0), limit, m.s + h)
        rows = after(self.system, self.args, self.grid.saves, m.rows, s, state)
        return March(s, state, rho, vector, rows, m.steps + 1, target)

    def land(
        self, s: Float[Array, ""], state: Any, h: Float[Array, ""]
    ) -> tuple[Array, Any, Array]:
        """The step that ends where the first level is zero, by the Illinois method."""
        target = jnp.argmin(self.watch(self.midpoint(s, state, h)))

        def level(step: Array) -> Array:
            return self.watch(self.midpoint(s, state, step))[target]

        def halve(_: int, bracket: tuple[Array, ...]) -> tuple[Array, ...]:
            low, high, at_low, at_high = bracket
            middle = (low * at_high - high * at_low) / (at_high - at_low)
            middle = jnp.where((middle > low) & (middle < high), middle, (low + high) / 2)
            value = level(middle)
            below = value < 0
            return (
                jnp.where(below, low, middle),
                jnp.where(below, middle, high),
                jnp.where(below, at_low / 2, value),
                jnp.where(below, value, at_high / 2),
            )

        start = (jnp.zeros(()), h, level(jnp.zeros(())), level(h))
        end = lax.fori_loop(0, _SECANTS, halve, start)[1]
        return end, self.midpoint(s, state, end), target


@partial(jax.jit, static_argnames=("system", "log_time"))
def march(
    system: System,
    log_time: bool,
    args: Any,
    grid: Grid,
    s: Float[Array, ""],
    state: Any,
    vector: Any,
    marks: Float[Array, " q"],
) -> March:
    """Step until the end, an event, a full buffer or spent steps."""
    steps = _Steps(system, log_time, args, grid)

    def go_on(m: March) -> Bool[Array, ""]:
        return (
            (m.s < grid.end) & (m.steps < grid.max_steps) & (m.rows.saved < SAVES) & (m.target < 0)
        )

    zero = jnp.zeros((), jnp.int64)
    rho, vector = steps.radius(s, state, vector, _FIRST_PRODUCTS)
    first = March(s, state, rho, vector, none_yet(system, args, state, marks), zero, zero - 1)
    return lax.while_loop(go_on, steps.body, first)


class Marching(Drive):
    """One run in midpoint steps, with one constant."""

    def __init__(self, task: Task, params: Params, t_start: float, c: float) -> None:
        self.c = c
        settings = replace(task.settings, coordinates="plain")
        super().__init__(task._replace(settings=settings), params, t_start)
        self.why = f"kinks that are not located; steps of {c:g} over the spectral radius"
        rng = np.random.default_rng(0)
        guess = jax.tree.map(lambda a: rng.standard_normal(np.shape(a)), self._moving())
        self.position = self.position._replace(guess=guess)
        self._mark = self._here()

    def _advance(self) -> None:
        at, settings, left = self.position, self.task.settings, self._steps_left()
        if self.outcome is not None:
            return
        stops = self._stops(min(left, settings.chunk))
        grid = Grid(stops.end, stops.saves, np.float64(self.c), stops.max_steps)  # type: ignore[arg-type]
        with float64():
            numbers = (np.float64(at.s), self._moving(), at.guess, at.marks)
            found = march(self.system, self.task.log_time, self._watched(), grid, *numbers)
            self._book(jax.tree.map(np.asarray, found))

    def _book(self, m: March) -> None:
        at, steps = self.position, int(m.steps)
        products = _FIRST_PRODUCTS + _PRODUCTS * math.ceil(steps / _REFRESH)
        self.stretches += 1
        self.position = at._replace(
            s=float(m.s),
            params=m.state.params,
            dissipated=float(m.state.dissipated),
            guess=m.vector,
            marks=m.rows.marks,
            accepted=at.accepted + steps,
            evaluations=at.evaluations + EVALUATIONS * steps + 2 * products,
        )
        self._keep(m.rows)
        if not all(np.all(np.isfinite(a)) for a in jax.tree.leaves(m.state)):
            self.outcome = Outcome.NONFINITE
        elif int(m.target) >= 0:
            self._judge(Status.EVENT, int(m.target))
        elif float(m.s) >= float(self._stops(1).end):
            self.outcome, self.ended = Outcome.REACHED_T, self.task.t_end


def march_through(
    task: Task,
    params: Params,
    t_start: float = 0.0,
    *,
    c: float = 0.05,
    progress: Progress | None,
    keeper: Keeper | None = None,
) -> Run:
    r"""Integrate a network with kinks that nobody locates, with a measured error.

    Args:
        task: what is asked for; its tolerance is not used.
        params: parameters at `t_start`.
        t_start: where the run begins.
        c: step constant of the coarser run, in (0, 1]; the answer has $c/2$.
        progress: called now and then.
        keeper: writes both runs down as they go, and knows from where to go on.

    Returns:
        The run with $c/2$. Its `error_estimate` is 3 times the difference to the run with $c$.

    Raises:
        ParameterError: as `descend`, and for a `c` out of range.
    """
    if not (math.isfinite(c) and 0 < c <= 1):
        raise ParameterError(f"c is {c!r}", expected="a step constant in (0, 1]", fix="0.05")
    if task.times is not None:
        task = task._replace(times=save_times(task.times, t_start, task.t_end))
    fine, rough = (Marching(task, params, t_start, k) for k in (c / 2, c))
    for part, run in ((RUN, fine), (SECOND, rough)):
        carry(run, progress, keeper, part)
    run = finish(fine, rough)
    # Where steps chatter about a kink, |grad L|^2 is not what is dissipated.
    checks = run.checks._replace(energy=math.nan)
    (stage,) = run.stages
    return replace(
        run,
        checks=checks,
        error_estimate=_ERROR_FACTOR * run.error_estimate,
        stages=(stage._replace(method="midpoint through kinks"),),
    )
