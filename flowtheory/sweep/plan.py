r"""What of a study is still to be done, in batches: pure, nothing is run or written."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Hashable, Iterator
from typing import NamedTuple

from flowtheory.sweep.home import Home
from flowtheory.sweep.probe import Cell
from flowtheory.sweep.study import Study


class Batch(NamedTuple):
    """Cells that are run and stored together.

    Attributes:
        home: of their probe.
        cells: their parameters.
        keys: their hashes.
        cost: of all of them, in the probe's unit.
    """

    home: Home
    cells: tuple[Cell, ...]
    keys: tuple[str, ...]
    cost: float

    @property
    def name(self) -> str:
        """A hash of the keys."""
        return hashlib.sha256("".join(self.keys).encode()).hexdigest()[:40]

    def halves(self) -> tuple[Batch, Batch]:
        """The batch in two, if there are two cells."""
        middle, half = len(self.cells) // 2, self.cost / 2
        first = Batch(self.home, self.cells[:middle], self.keys[:middle], half)
        return first, Batch(self.home, self.cells[middle:], self.keys[middle:], half)


def plan(study: Study, done: Container[str] = ()) -> list[Batch]:
    """Batches of the cells whose keys are not in `done`, the dearest first.

    A batch holds cells of one bucket and of like cost, at most `Probe.batch` of them.
    """
    probe = study.probe
    buckets: dict[Hashable, list[tuple[float, str, Cell]]] = {}
    for cell, key in zip(study.cells(), study.keys, strict=True):
        if key not in done:
            buckets.setdefault(probe.bucket(cell), []).append((probe.cost(cell), key, cell))
    found = [batch for cells in buckets.values() for batch in _batches(study, cells)]
    return sorted(found, key=lambda batch: -batch.cost)


def _batches(study: Study, cells: list[tuple[float, str, Cell]]) -> Iterator[Batch]:
    cells.sort(key=lambda entry: -entry[0])
    size = study.probe.batch
    for start in range(0, len(cells), size):
        costs, keys, values = zip(*cells[start : start + size], strict=True)
        yield Batch(study.home, values, keys, sum(costs))
