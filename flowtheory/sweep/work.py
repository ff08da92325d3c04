r"""One batch in one process: run it, store it, say what came of it."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from flowtheory.errors import PrecisionError
from flowtheory.outcome import Outcome
from flowtheory.precision import float64
from flowtheory.sweep.plan import Batch
from flowtheory.sweep.probe import Cell, Found, Probe
from flowtheory.sweep.store import Store
from flowtheory.threads import single_threaded
from flowtheory.versions import versions


class Done(NamedTuple):
    """What came of a batch; its numbers are in the store.

    Attributes:
        cost: of the batch, in the probe's unit.
        outcomes: how many cells ended how.
        message: of the first cell whose code failed; empty if none did.
        seconds: of wall time.
    """

    cost: float
    outcomes: Counter[str]
    message: str
    seconds: float


def run_batch(batch: Batch, place: str | Path) -> Done:
    """Run and store a batch, in whichever process this is.

    Args:
        batch: the cells.
        place: of the store.

    Raises:
        OutputError: The store cannot be written, or is full.
        PrecisionError: JAX would compute in float32 here.
    """
    single_threaded()
    began = time.perf_counter()
    found = _results(batch.home.probe(), batch.cells)
    if "jax" in sys.modules:
        require_float64_here()
    return _kept(batch, place, found, time.perf_counter() - began)


def crashed(batch: Batch, place: str | Path) -> Done:
    """Store that the process of a batch of one cell was killed, several times."""
    values: dict[str, float] = {}
    found = [Found(Outcome.CRASHED, values, Outcome.CRASHED.reason) for _ in batch.cells]
    return _kept(batch, place, found, 0.0)


@cache
def require_float64_here() -> None:
    """Raise `PrecisionError` if JAX computes in float32 in this process. Once."""
    with float64():
        import jax.numpy as jnp

        kind = jnp.asarray(np.float64(1.0)).dtype
    if kind != np.float64:
        raise PrecisionError(
            f"JAX computes in {kind} on this worker",
            expected="float64",
            fix="leave JAX's own switches for the precision alone where the workers are started",
        )


def _results(probe: Probe, cells: Sequence[Cell]) -> list[Found]:
    """What the probe finds; where it fails, cell by cell, so that one does not harm the others."""
    try:
        found = list(probe.run(cells))
        if len(found) != len(cells):
            raise ValueError(f"{probe.name} returned {len(found)} results for {len(cells)} cells")
        return found
    except Exception as error:
        if len(cells) > 1:
            return [found for cell in cells for found in _results(probe, [cell])]
        return [Found(Outcome.FAILED, {}, f"{type(error).__name__}: {error}")]


def _kept(batch: Batch, place: str | Path, found: Sequence[Found], seconds: float) -> Done:
    Store(place).write(batch, found, {**versions(), "seconds": seconds})
    bad = (f.message for f in found if f.outcome in (Outcome.FAILED, Outcome.CRASHED))
    outcomes = Counter(f.outcome.value for f in found)
    return Done(batch.cost, outcomes, next(bad, ""), seconds)
