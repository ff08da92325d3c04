"""What the host of a run sees of a state: compiled once for a flow and its events."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from flowtheory.flow.smooth import Functions, Params, descent, snapshot
from flowtheory.flow.system import NO_MARKS, System
from flowtheory.flow.until import norm


@partial(jax.jit, static_argnames=("functions", "keys"))
def first_look(
    functions: Functions, keys: tuple[Any, ...], params: Params, data: Any, levels: Array
) -> tuple[Array, Array, Array, Array, dict[str, Array]]:
    """Speed, size, events' values, sizes of the groups, conserved quantities at the start."""
    force = descent(functions, params, data)
    at = snapshot(functions, params, data)
    found = [value(at, levels[i]) for i, (value, _) in enumerate(keys)]
    values = jnp.stack(found) if found else jnp.zeros(0)
    return (
        norm(force),
        norm(params),
        values,
        functions.sizes(params),
        dict(functions.conserved(params)),
    )


@partial(jax.jit, static_argnames=("system",))
def seen(system: System, s: Array, state: Any, args: Any) -> tuple[Any, Array]:
    """The row of a state and its marks, in one program."""
    marks = NO_MARKS if system.marks is None else system.marks(s, state, args)
    return system.row(state, args), jnp.asarray(marks)
