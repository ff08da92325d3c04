"""Rows that a compiled loop saves on its way: at given times, or when a mark has moved by 1."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from flowtheory.flow.recorder import SAVES
from flowtheory.flow.system import State, System


class Rows(NamedTuple):
    """What a call of a loop has saved.

    Attributes:
        saved: rows in `buffer`.
        due: how many of the given times have been passed.
        buffer: the rows, stacked; the first `saved` of them count.
        moments: when they were saved.
        marks: of the last row saved.
    """

    saved: Int[Array, ""]
    due: Int[Array, ""]
    buffer: Any
    moments: Float[Array, " saves"]
    marks: Float[Array, " q"]


def none_yet(system: System, args: Any, state: State, marks: Float[Array, " q"]) -> Rows:
    """Before the first row; `marks` are those of the last row of an earlier call."""
    zero = jnp.zeros((), jnp.int64)
    shapes = jax.eval_shape(lambda now: system.row(now, args), state)
    buffer = jax.tree.map(lambda p: jnp.zeros((SAVES, *p.shape), p.dtype), shapes)
    return Rows(zero, zero, buffer, jnp.zeros(SAVES), marks)


def after(
    system: System,
    args: Any,
    saves: Float[Array, " saves"],
    rows: Rows,
    s: Float[Array, ""],
    state: State,
) -> Rows:
    """The rows after a step to `s`, for the next times `saves` to save at (padded with inf)."""
    due = s >= saves[rows.due]
    marks = system.marks(s, state, args) if system.marks else rows.marks
    saving = due | jnp.any(jnp.abs(marks - rows.marks) >= 1)

    def write() -> Any:
        row = system.row(state, args)
        return jax.tree.map(lambda b, p: b.at[rows.saved].set(p), rows.buffer, row)

    return Rows(
        rows.saved + saving,
        rows.due + due,
        lax.cond(saving, write, lambda: rows.buffer),
        rows.moments.at[rows.saved].set(s),
        jnp.where(saving, marks, rows.marks),
    )
