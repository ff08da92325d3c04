r"""Which batch a worker takes next: of the bucket that it has code for, if there is one."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable

from flowtheory.sweep.plan import Batch


class Waiting:
    """Batches that no worker has, by bucket.

    A process compiles once for every bucket (one shape, say), which may take as long as its cells.
    So a worker stays with its bucket; after it takes one that nobody has begun, the dearest; and
    if there is none it helps where most is left.
    """

    def __init__(self, batches: Iterable[Batch]) -> None:
        """All of them wait, the dearest of a bucket first if they come in that order."""
        left: dict[Hashable, deque[Batch]] = {}
        for batch in batches:
            left.setdefault(bucket(batch), deque()).append(batch)
        dearest = sorted(left, key=lambda one: -_cost(left[one]))
        self._fresh = deque((one, left[one]) for one in dearest)
        self._begun: dict[Hashable, deque[Batch]] = {}

    def __bool__(self) -> bool:
        """Whether any is left."""
        return bool(self._fresh or self._begun)

    def take(self, last: Hashable | None) -> Batch:
        """The next batch of a worker whose last one was of the bucket `last`."""
        if last not in self._begun:
            if self._fresh:
                last, batches = self._fresh.popleft()
                self._begun[last] = batches
            else:
                last = max(self._begun, key=lambda one: _cost(self._begun[one]))
        batches = self._begun[last]
        batch = batches.popleft()
        if not batches:
            del self._begun[last]
        return batch

    def put_back(self, *batches: Batch) -> None:
        """Let these wait again, as the last of their buckets."""
        for batch in batches:
            self._begun.setdefault(bucket(batch), deque()).append(batch)


def bucket(batch: Batch) -> Hashable:
    """The bucket of all cells of a batch."""
    return batch.home.probe().bucket(batch.cells[0])


def _cost(batches: Iterable[Batch]) -> float:
    return sum(batch.cost for batch in batches)
