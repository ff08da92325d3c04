r"""Batches on the cores of this machine, one process a core."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flowtheory.errors import ParameterError
from flowtheory.sweep.plan import Batch
from flowtheory.sweep.waiting import Waiting, bucket
from flowtheory.sweep.work import Done, crashed, run_batch

_TRIES = 2  # of a batch whose process was killed, beside others


class _Worker:
    """One process, and the batch that it has.

    A pool of one each: when a process dies, it is known which batch it had.
    """

    def __init__(self) -> None:
        self.batch: Batch | None = None
        self.start()

    def start(self) -> None:
        """A new process."""
        # Not forked: compiled code and its threads do not survive that.
        spawn = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(1, spawn, initializer=_follow)
        self.last: Hashable | None = None  # bucket that there is code for
        self.future: Future[Any] = self.pool.submit(os.getpid)

    def begin(self, batch: Batch, place: Path) -> None:
        """Give it a batch."""
        self.batch, self.last = batch, bucket(batch)
        self.future = self.pool.submit(run_batch, batch, place)

    def end(self) -> tuple[Batch, Done | None]:
        """Its batch and what came of it; None if the process was killed, and there is a new one."""
        batch, self.batch = self.batch, None
        assert batch
        try:
            return batch, self.future.result()
        except BrokenProcessPool:
            self.stop()
            self.start()
            return batch, None

    def stop(self) -> None:
        """Let the process end."""
        # Not waited for: a process with JAX takes a second to end, and has nothing left to do.
        self.pool.shutdown(wait=False, cancel_futures=True)


def run_here(batches: Sequence[Batch], place: Path, workers: int) -> Iterator[Done]:
    """Run batches in `workers` processes; yields as they are stored.

    A process that is killed (out of memory, say) costs its batch another try, then, when all else
    is done, each half of it its own; a cell that is killed alone is stored as `CRASHED`.

    Args:
        batches: what to run.
        place: of the store.
        workers: processes; 1 runs in processes too, so that a crash is survived.
    """
    waiting, lost = Waiting(batches), Counter[str]()
    suspects: list[Batch] = []
    with _crew(min(workers, len(batches))) as crew:
        while waiting or any(worker.batch for worker in crew):
            for worker in crew:
                if waiting and not worker.batch:
                    worker.begin(waiting.take(worker.last), place)
            wait([one.future for one in crew if one.batch], return_when=FIRST_COMPLETED)
            for worker in crew:
                if not (worker.batch and worker.future.done()):
                    continue
                batch, done = worker.end()
                if done:
                    yield done
                    continue
                lost[batch.name] += 1
                if lost[batch.name] < _TRIES:
                    waiting.put_back(batch)
                else:
                    suspects.append(batch)
    for batch in suspects:
        yield from _alone(batch, place)


def _alone(batch: Batch, place: Path) -> Iterator[Done]:
    """A suspect while nothing else runs; cut in two where it is one that kills."""
    with _crew(1) as (worker,):
        worker.begin(batch, place)
        _, done = worker.end()
    if done:
        yield done
    elif len(batch.cells) == 1:
        yield crashed(batch, place)
    else:
        for half in batch.halves():
            yield from _alone(half, place)


@contextmanager
def _crew(count: int) -> Iterator[list[_Worker]]:
    """So many processes that have started; told to end at the end."""
    crew = [_Worker() for _ in range(count)]
    try:
        _require_start(crew)
        yield crew
    finally:
        for worker in crew:
            worker.stop()


def _require_start(crew: Sequence[_Worker]) -> None:
    """Raise if processes die before they are given anything: it is no cell that kills them."""
    try:
        for worker in crew:
            worker.future.result()
    except BrokenProcessPool as error:
        raise ParameterError(
            "the worker processes cannot be started",
            expected="a script that can be imported: every process begins by importing it",
            fix='put the call of sweep under `if __name__ == "__main__":`',
            more="docs/sweeps.md",
        ) from error


def _follow() -> None:
    """End this process when its driver is gone, killed or not."""
    driver = multiprocessing.parent_process()
    assert driver is not None

    def watch() -> None:
        driver.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
