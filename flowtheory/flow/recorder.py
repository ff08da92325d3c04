"""Turns saved states into rows of loss and observables."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import jax
import numpy as np
from jaxtyping import Array

from flowtheory.flow.field import Model, Samples, TwoLayer, energy, live
from flowtheory.flow.observe import Observe
from flowtheory.flow.problem import GradientFlow
from flowtheory.outcome import Outcome
from flowtheory.precision import float64

SAVES = 32
"""States a compiled loop saves before it returns to the host."""

Progress = Callable[[float, float, Outcome | None], None]
"""Called with (t, log10 of the loss, outcome, or None while running)."""

_QUIET = 0.1  # seconds between two calls of a progress callback


@partial(jax.jit, static_argnames=("model", "observe"))
def _rows(model: Model, observe: Observe, data: Samples, states: TwoLayer) -> dict[str, Array]:
    """Loss and observables of `SAVES` stacked states."""

    def row(params: TwoLayer) -> dict[str, Array]:
        loss = energy(model, data, live(model, data), params)
        return {**observe(params, data.x, data.y), "loss": loss}

    return jax.lax.map(row, states)


class Recorder:
    """Collects rows; always evaluates a full buffer, so that it compiles once per shape."""

    def __init__(self, flow: GradientFlow, observe: Observe) -> None:
        self.flow, self.observe = flow, observe
        self.times: list[float] = []
        self._blocks: list[dict[str, np.ndarray]] = []
        self._spoke = time.monotonic()

    def add(self, times: Sequence[float], states: TwoLayer) -> None:
        """Append the first `len(times)` of `SAVES` stacked states."""
        if not len(times):
            return
        with float64():
            block = _rows(self.flow.model, self.observe, self.flow.samples, states)
            self._blocks.append({k: np.asarray(b)[: len(times)] for k, b in block.items()})
        self.times.extend(times)

    def add_one(self, t: float, params: TwoLayer) -> None:
        """Append a single state."""
        self.add([t], jax.tree.map(lambda a: np.broadcast_to(a, (SAVES, *a.shape)), params))

    def columns(self) -> dict[str, np.ndarray]:
        """Name -> array with one row a time."""
        return {k: np.concatenate([b[k] for b in self._blocks]) for k in self._blocks[0]}

    def frozen(self, count: int) -> dict[str, np.ndarray]:
        """The first `count` rows, as arrays by name."""
        rows = {f"rows/{name}": column[:count] for name, column in self.columns().items()}
        return {"times": np.array(self.times[:count]), **rows}

    def thaw(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Go on after the rows that `frozen` has given."""
        prefix = "rows/"
        self.times = arrays["times"].tolist()
        rows = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
        self._blocks = [rows]

    def report(
        self, progress: Progress | None, t: float, params: TwoLayer, outcome: Outcome | None
    ) -> None:
        """Tell the progress callback, not too often while the run goes on."""
        now = time.monotonic()
        if progress and (outcome or now - self._spoke > _QUIET):
            self._spoke = now
            loss = self.flow.energy(params)
            progress(t, math.log10(loss) if loss > 0 else -math.inf, outcome)
