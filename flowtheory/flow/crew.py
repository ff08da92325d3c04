"""Who runs an ensemble: the lanes dealt to threads, each with its own copy of one compiled loop."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from flowtheory.errors import ParameterError
from flowtheory.flow.lanes import Ends, Problem, Queue, run
from flowtheory.precision import float64

_CPU_SLOTS, _DEVICE_SLOTS = 8, 4096


class Crew(NamedTuple):
    """How many threads, and how many slots each keeps full."""

    threads: int
    slots: int


def crew_for(lanes: int, chunk: int | None, threads: int | None) -> Crew:
    """One thread a core and few slots; on an accelerator one thread and many slots."""
    if threads is not None and threads < 1:
        raise ParameterError(f"threads is {threads!r}", expected="an integer >= 1", fix="leave out")
    on_cpu = jax.default_backend() == "cpu"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    slots = chunk or (_CPU_SLOTS if on_cpu else _DEVICE_SLOTS)
    wanted = threads or (cores or 1 if on_cpu else 1)
    slots = min(slots, -(-lanes // wanted)) if lanes else 1
    return Crew(max(1, min(wanted, -(-lanes // slots))), max(1, slots))


def work(problem: Problem, queue: Queue, order: Int[np.ndarray, " run"], crew: Crew) -> Ends:
    """Run the lanes `order` of the queue; what is returned has that order."""
    hands = [order[i :: crew.threads] for i in range(crew.threads)]
    length = _rounded(len(hands[0]), crew.slots)
    shares = [_share(problem, queue, hand, length) for hand in hands]
    with float64():
        program = _compiled(problem, crew.slots, *_described(shares[0]))

    def one(share: Queue) -> Ends:
        with float64():  # the setting is local to a thread
            return jax.tree.map(np.asarray, program(share))

    if crew.threads == 1:
        parts = [one(shares[0])]
    else:
        with ThreadPoolExecutor(crew.threads) as pool:
            parts = list(pool.map(one, shares))
    return _merged(parts, len(order))


def _merged(parts: list[Ends], count: int) -> Ends:
    """Undo the dealing: lane i of the order was card i // threads of hand i % threads."""
    hand, card = np.arange(count) % len(parts), np.arange(count) // len(parts)
    return jax.tree.map(lambda *arrays: np.stack(arrays)[hand, card], *parts)


def _rounded(lanes: int, slots: int) -> int:
    """The next of slots * (1, 1.5, 2, 3, 4, 6, ...), so that few lengths are ever compiled."""
    length = slots
    while length < lanes:
        length = length * 3 // 2 if length + length // 2 >= lanes else length * 2
    return length


def _share(problem: Problem, queue: Queue, hand: Int[np.ndarray, " k"], length: int) -> Queue:
    """The lanes of one thread; copies of the first fill up, and end where they start."""
    padded = np.concatenate([hand, np.full(length - len(hand), hand[0])])
    leaves, tree = jax.tree.flatten(queue.args)
    dealt = [a[padded] if axis == 0 else a for a, axis in zip(leaves, problem.axes, strict=True)]
    end = queue.end[padded]
    end[len(hand) :] = -np.inf
    return queue._replace(
        starts=jax.tree.map(lambda a: a[padded], queue.starts),
        args=jax.tree.unflatten(tree, dealt),
        t=queue.t[padded],
        end=end,
        atol=queue.atol[padded],
        moved=queue.moved[padded],
        quiet=queue.quiet[padded],
    )


def _described(queue: Queue) -> tuple[Any, tuple[tuple[int, ...], ...], tuple[str, ...]]:
    leaves, tree = jax.tree.flatten(queue)
    return tree, tuple(a.shape for a in leaves), tuple(str(a.dtype) for a in leaves)


@lru_cache(maxsize=64)
def _compiled(
    problem: Problem,
    slots: int,
    tree: Any,
    shapes: tuple[tuple[int, ...], ...],
    dtypes: tuple[str, ...],
) -> Any:
    leaves = [jax.ShapeDtypeStruct(s, np.dtype(d)) for s, d in zip(shapes, dtypes, strict=True)]
    program = jax.jit(lambda queue: run(problem, queue, slots))
    return program.lower(jax.tree.unflatten(tree, leaves)).compile()
