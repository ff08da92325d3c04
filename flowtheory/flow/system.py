"""What the compiled loop integrates and is told: a flow as functions, stops, tolerances."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

NO_MARKS: Any = np.zeros(1)
State = Any
"""Parameters (arrays in any nesting of tuples and dictionaries), or what a flow carries beside."""


class System(NamedTuple):
    """A flow as JAX functions; hashable, and static in the compiled loop.

    Two systems made of the same function objects share their compiled loop. Make the functions
    once (module level), not inside a sweep.

    Attributes:
        rate: (state, args) -> derivative of the state in t.
        sizes: (state) -> one norm per group of entries that share a tolerance, shape (g,).
        levels: (state, args) -> levels, positive before their event, shape (k,); looked at inside
            each step. None if there are none.
        falling: as `levels`, for levels that never rise along the flow: looked at once a step.
        marks: (s, state, args) -> numbers; a row is saved whenever one of them has moved by 1.
        record: (state, args) -> the row to save; by default the state.
        core: (tangent) -> the tangent with those entries set to zero that the rate does not depend
            on, for the spectral radius; by default all of it.
        tiny: how many of `levels`, the last ones, may be tiny everywhere; others are of order one,
            such as cosines, and what is below roundoff of that is no passage.
        norm: (state, new state, error, tolerance, args) -> size of a step's error, at most 1 for a
            good one; by default the worst group.
    """

    rate: Callable[[State, Any], State]
    sizes: Callable[[State], Float[Array, " g"]]
    levels: Callable[[State, Any], Float[Array, " k"]] | None = None
    falling: Callable[[State, Any], Float[Array, " m"]] | None = None
    marks: Callable[[Array, State, Any], Float[Array, " q"]] | None = None
    record: Callable[[State, Any], Any] | None = None
    core: Callable[[State], State] = lambda tangent: tangent
    tiny: int = 0
    norm: Callable[[State, State, State, Tolerance, Any], Float[Array, ""]] | None = None

    def error(
        self, old: State, new: State, error: State, tolerance: Tolerance, args: Any
    ) -> Float[Array, ""]:
        """The size of a step's error, in units of the tolerance."""
        if self.norm is not None:
            return self.norm(old, new, error, tolerance, args)
        return worst_group(self.sizes, old, new, error, tolerance)

    def watch(self, state: State, args: Any) -> Float[Array, " levels"]:
        """All watched levels, positive before their event: `levels`, then `falling`."""
        found = [f(state, args) for f in (self.levels, self.falling) if f]
        return jnp.concatenate(found)

    def row(self, state: State, args: Any) -> Any:
        """What is saved of a state."""
        return self.record(state, args) if self.record else state


class Tolerance(NamedTuple):
    """Tolerances of a step; `atol` is one number, or one a group."""

    rtol: Float[Array, ""]
    atol: Float[Array, ...]


def worst_group(
    sizes: Callable[[State], Float[Array, " g"]],
    old: State,
    new: State,
    error: State,
    tolerance: Tolerance,
) -> Float[Array, ""]:
    """The largest error of a group in units of its tolerance."""
    scale = tolerance.atol + tolerance.rtol * jnp.maximum(sizes(old), sizes(new))
    # A neuron at exactly zero never moves: 0 / 0 there must not reject every step.
    return jnp.max(sizes(error) / jnp.where(scale > 0, scale, 1.0))


class Status(IntEnum):
    """Why a stretch came back to the host."""

    CHUNK = 0
    END = 1
    EVENT = 2
    SAVES_FULL = 3
    STEP_TOO_SMALL = 4
    NONFINITE = 5
    STRAINED = 6
    QUIET = 7


class Stops(NamedTuple):
    """Where a stretch must stop.

    Attributes:
        end: of the run, in s.
        saves: the next save points in s, padded with inf.
        max_steps: budget of attempted steps.
        strain: return as `STRAINED` when about this share of the last 16 steps was rejected.
        longest: longest step in t.
        quiet: return as `QUIET` before a step that changes the state by less than this, relative to
            its largest entry, and
        trust: when the steps since `Start.moved` was 0 have changed it by more than this; or
        still: by less than this; or
        stale: from this s on.
    """

    end: Float[Array, ""]
    saves: Float[Array, " saves"]
    max_steps: Int[Array, ""]
    strain: Float[Array, ""] = np.float64(np.inf)  # type: ignore[assignment]
    longest: Float[Array, ""] = np.float64(np.inf)  # type: ignore[assignment]
    quiet: Float[Array, ""] = np.float64(0)  # type: ignore[assignment]
    trust: Float[Array, ""] = np.float64(np.inf)  # type: ignore[assignment]
    still: Float[Array, ""] = np.float64(0)  # type: ignore[assignment]
    stale: Float[Array, ""] = np.float64(np.inf)  # type: ignore[assignment]


def field_of(system: System, log_time: bool, args: Any) -> Callable[[Array, State], State]:
    """Derivative of the state with respect to s."""

    def field(s: Array, state: State) -> State:
        rate = system.rate(state, args)
        return jax.tree.map(lambda a: jnp.exp(s) * a, rate) if log_time else rate

    return field


class Start(NamedTuple):
    """Where a stretch begins.

    Attributes:
        s: independent variable.
        state: state.
        h: first step to try.
        marks: marks of the last row saved.
        moved: sum of the relative changes of the state since its growth was looked at.
    """

    s: Float[Array, ""]
    state: State
    h: Float[Array, ""]
    marks: Float[Array, " q"] = NO_MARKS
    moved: Float[Array, ""] = np.float64(0)  # type: ignore[assignment]
