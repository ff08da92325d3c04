r"""Batches on the cores of this machine, one process a core."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from flowtheory.errors import ParameterError
from flowtheory.sweep.plan import Batch
from flowtheory.sweep.work import Done, crashed, run_batch

_TRIES = 2  # of a batch whose process was killed, in a pool that it shares


def run_here(batches: Sequence[Batch], place: Path, workers: int) -> Iterator[Done]:
    """Run batches in `workers` processes; yields as they are stored.

    A process that is killed (out of memory, say) costs its batch another try, then each half of it
    its own; a cell that is killed alone is stored as `CRASHED`.

    Args:
        batches: what to run.
        place: of the store.
        workers: processes; 1 runs in processes too, so that a crash is survived.
    """
    lost: Counter[str] = Counter()
    waiting = deque(batches)
    while waiting:
        yield from _until_broken(waiting, place, workers, lost)
        for batch in [b for b in waiting if lost[b.name] >= _TRIES]:
            waiting.remove(batch)
            yield from _alone(batch, place)


def _until_broken(
    waiting: deque[Batch], place: Path, workers: int, lost: Counter[str]
) -> Iterator[Done]:
    """Run what waits in one pool, until all is done or one of its processes dies."""
    running: dict[Future[Done], Batch] = {}
    with _pool(min(workers, len(waiting))) as pool:
        _require_start(pool)
        try:
            while waiting or running:
                while waiting and len(running) < 2 * workers:
                    batch = waiting.popleft()
                    running[pool.submit(run_batch, batch, place)] = batch
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    done = future.result()
                    del running[future]
                    yield done
        except BrokenProcessPool:
            # Which of them it was is not said; those that had not begun are suspects too.
            for future, batch in running.items():
                if future.done() and not future.exception():
                    yield future.result()
                else:
                    lost[batch.name] += 1
                    waiting.append(batch)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _require_start(pool: ProcessPoolExecutor) -> None:
    """Raise if processes die before they are given anything: it is no cell that kills them."""
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        raise ParameterError(
            "the worker processes cannot be started",
            expected="a script that can be imported: every process begins by importing it",
            fix='put the call of sweep under `if __name__ == "__main__":`',
            more="docs/sweeps.md",
        ) from error


def _alone(batch: Batch, place: Path) -> Iterator[Done]:
    """A suspect in a pool of its own; cut in two where it is one that kills."""
    with _pool(1) as pool:
        try:
            yield pool.submit(run_batch, batch, place).result()
            return
        except BrokenProcessPool:
            pass
    if len(batch.cells) == 1:
        yield crashed(batch, place)
        return
    for half in batch.halves():
        yield from _alone(half, place)


def _pool(workers: int) -> ProcessPoolExecutor:
    # Not forked: compiled code and its threads do not survive that.
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, spawn, initializer=_follow)


def _follow() -> None:
    """End this process when its driver is gone, killed or not."""
    driver = multiprocessing.parent_process()
    assert driver is not None

    def watch() -> None:
        driver.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
