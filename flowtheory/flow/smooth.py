r"""A smooth gradient flow as functions and data, in plain coordinates.

$$ \dot\theta = -\nabla L(\theta), \qquad \dot E = |\nabla L(\theta)|^2 , $$

$E$ the loss dissipated so far: along the exact flow $L + E$ does not change, which every run
checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from flowtheory.clock import REFERENCE, Clock
from flowtheory.errors import DataError
from flowtheory.flow.groups import Axes, row_sizes
from flowtheory.flow.system import System, Tolerance, worst_group
from flowtheory.flow.until import Event, Snapshot, norm
from flowtheory.precision import as_float64, float64

Params = Any
"""Parameter arrays, usually a dictionary by name."""

Arrays = Mapping[str, Any]
Observe = Callable[[Any, Any], Mapping[str, Array]]

_PER_UNIT = 16.0
"""Rows a unit of ln L and ln |theta|; with 16 a decade in time, plateaus and drops are resolved."""


ROUNDING = (100 * float(np.finfo(np.float64).eps)) ** 2
"""Of a loss: what rounding errors of the outputs make of it."""

_TAIL = 100.0
"""Local error of log L allowed to a stabilised step, in units of rtol."""


class Functions(NamedTuple):
    """A network and its loss as JAX functions; hashable, and static in every compiled loop.

    Attributes:
        energy: (params, data) -> L, in the clock's reduction.
        outputs: (params, data) -> f.
        sizes: (params) -> one norm per group of entries that share a tolerance.
        invariants: (params) -> quantities that the exact flow conserves, by name.
        axes: which axes count neurons, for parameters by name; none if that is not known.
    """

    energy: Callable[[Params, Any], Float[Array, ""]]
    outputs: Callable[[Params, Any], Array]
    sizes: Callable[[Params], Float[Array, " g"]] = row_sizes
    invariants: Callable[[Params], Mapping[str, Array]] | None = None
    axes: Axes = ()

    def conserved(self, params: Params) -> Mapping[str, Array]:
        """The conserved quantities, none if none is known."""
        return self.invariants(params) if self.invariants else {}


@dataclass(frozen=True, eq=False)
class SmoothFlow:
    """The gradient flow of a smooth network on data.

    Attributes:
        functions: network and loss.
        data: arrays by name that `functions` take.
        clock: the loss's reduction and slope.

    Raises:
        DataError: data that are not finite.
    """

    functions: Functions
    data: Arrays
    clock: Clock = REFERENCE

    def __post_init__(self) -> None:
        data = {name: as_float64(array, name) for name, array in self.data.items()}
        object.__setattr__(self, "data", data)

    def start(self, params: Params) -> Params:
        """Checked parameters, float64.

        Raises:
            DataError: values that are not finite, or all zero.
        """
        params = jax.tree.map(lambda a: as_float64(a, "params"), params)
        if not any(np.any(a) for a in jax.tree.leaves(params)):
            raise DataError(
                "all parameters are zero",
                expected="a start with at least one nonzero entry",
                fix="zero is a stationary point of the flow: start at a scale eps > 0",
            )
        return params

    def energy(self, params: Params) -> float:
        """The loss at `params`."""
        with float64():
            return float(_energy(self.functions, params, self.data))

    def vector_field(self, params: Params) -> Params:
        r"""$-\nabla L$ at `params`, NumPy arrays."""
        with float64():
            return jax.tree.map(np.asarray, _descent(self.functions, params, self.data))

    def plateau(self, params: Params) -> float:
        r"""The loss at $\theta = 0$, the level of the first plateau."""
        return self.energy(jax.tree.map(np.zeros_like, params))


class Moving(NamedTuple):
    """The state of a run.

    Attributes:
        params: the parameters.
        dissipated: the integral of |grad L|^2 so far.
    """

    params: Params
    dissipated: Float[Array, ""]


class Watched(NamedTuple):
    """What the system of a run takes as `args`.

    Attributes:
        data: arrays by name.
        kept: conserved quantities at the start.
        levels: one number an event.
        signs: +1 or -1 an event: the sign with which its value is positive before it; 0 to ignore.
        runaway: the norm at which the host is asked whether the flow blows up.
        unit: the time below which rows are not dense in log t.
        rounding: a loss that is rounding error of the outputs.
    """

    data: Any
    kept: Mapping[str, Array]
    levels: Float[Array, " e"]
    signs: Float[Array, " e"]
    runaway: Float[Array, ""]
    unit: Float[Array, ""]
    rounding: Float[Array, ""]


def descent(functions: Functions, params: Params, data: Any) -> Params:
    r"""$-\nabla L$ by reverse-mode differentiation."""
    return jax.tree.map(jnp.negative, jax.grad(functions.energy)(params, data))


@partial(jax.jit, static_argnames=("functions",))
def _energy(functions: Functions, params: Params, data: Any) -> Float[Array, ""]:
    return functions.energy(params, data)


@partial(jax.jit, static_argnames=("functions",))
def _descent(functions: Functions, params: Params, data: Any) -> Params:
    return descent(functions, params, data)


def snapshot(functions: Functions, params: Params, data: Any) -> Snapshot:
    """What an event may look at."""
    return Snapshot(params, functions.outputs(params, data), functions.energy(params, data), data)


@lru_cache(maxsize=256)
def system(
    functions: Functions,
    events: tuple[tuple[Any, bool], ...],
    observe: Observe | None,
    dense: bool,
    stabilised: bool = False,
) -> System:
    """The flow in plain coordinates, for the compiled loop.

    Args:
        functions: network and loss.
        events: (value, falling) of every event; those looked at inside a step first.
        observe: what to save beside the loss and the norm.
        dense: whether to save by change, not only at given times.
        stabilised: whether a stabilised method takes the steps.
    """
    inside = [value for value, falling in events if not falling]
    once = [value for value, falling in events if falling]

    def rate(state: Moving, args: Watched) -> Moving:
        force = descent(functions, state.params, args.data)
        power = sum(jnp.sum(a**2) for a in jax.tree.leaves(force))
        return Moving(force, jnp.asarray(power))

    def values(chosen: list[Any], state: Moving, args: Watched, first: int) -> Array:
        at = snapshot(functions, state.params, args.data)
        found = [value(at, args.levels[first + i]) for i, value in enumerate(chosen)]
        signs = args.signs[first : first + len(chosen)]
        return jnp.where(signs == 0, 1.0, signs * jnp.stack(found))

    def levels(state: Moving, args: Watched) -> Array:
        return values(inside, state, args, 0)

    def falling(state: Moving, args: Watched) -> Array:
        runaway = 1 - norm(state.params) / args.runaway
        if not once:
            return runaway[None]
        return jnp.append(values(once, state, args, len(inside)), runaway)

    def marks(s: Array, state: Moving, args: Watched) -> Array:
        loss = functions.energy(state.params, args.data)
        logs = jnp.stack(
            [jnp.log(loss), jnp.log(norm(state.params)), jnp.log1p(s / args.unit) * 0.5]
        )
        return _PER_UNIT * jnp.where(jnp.isfinite(logs), logs, 0.0)

    def record(state: Moving, args: Watched) -> dict[str, Any]:
        return row(functions, observe, state, args)

    return System(
        rate,
        lambda state: functions.sizes(state.params),
        levels if inside else None,
        falling,
        marks if dense else None,
        record,
        core=lambda tangent: tangent._replace(dissipated=jnp.zeros_like(tangent.dissipated)),
        tiny=len(inside),
        norm=partial(tail_norm, functions) if stabilised else None,
    )


def tail_norm(
    functions: Functions,
    old: Moving,
    new: Moving,
    error: Moving,
    tolerance: Tolerance,
    args: Watched,
) -> Float[Array, ""]:
    r"""The worst group, or the error of $\log L$ that the error of the parameters makes.

    Explicit steps late in a run are short for stability, and accurate to many digits beyond their
    tolerance. The error test alone decides how long stabilised ones are; near the end of the
    descent what the parameters have left to go is below `rtol` times their size, and an error of
    that size, harmless to them, is all of the loss. Hence

    $$ |L(\theta + e) - L(\theta)| \le 100\,\mathrm{rtol}\,L(\theta) $$

    for the estimated local error $e$, where $L$ is more than the rounding error of the outputs.
    """
    groups = worst_group(lambda state: functions.sizes(state.params), old, new, error, tolerance)
    off = jax.tree.map(jnp.add, new.params, error.params)
    loss = functions.energy(new.params, args.data)
    change = jnp.abs(functions.energy(off, args.data) - loss)
    return jnp.maximum(groups, change / (_TAIL * tolerance.rtol * (jnp.abs(loss) + args.rounding)))


def row(
    functions: Functions, observe: Observe | None, state: Moving, args: Watched
) -> dict[str, Any]:
    """What is saved of a state; `drift` of a conserved quantity in units of the squared norm."""
    size = norm(state.params)
    unit = jnp.where(size > 0, size, 1.0)

    def drift(now: Array, start: Array) -> Array:
        return jnp.max(jnp.abs((now - start) / unit)) / unit

    return {
        **(observe(state.params, args.data) if observe else {}),
        "loss": functions.energy(state.params, args.data),
        "norm": size,
        "dissipated": state.dissipated,
        "drift": jax.tree.map(drift, dict(functions.conserved(state.params)), dict(args.kept)),
    }


def resolved(events: tuple[Event, ...], plateau: float) -> tuple[Event, ...]:
    """The events with their levels in numbers, those looked at inside a step first."""
    return tuple(sorted((e.resolved(plateau) for e in events), key=lambda e: e.falling))
