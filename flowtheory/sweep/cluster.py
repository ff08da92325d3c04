r"""Batches on the workers of a Dask cluster: this machine, several, or a queue such as Slurm's.

A task takes a batch and an address, writes its results into the store, and returns counts. Workers
need the store's directory and this version of flowtheory, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flowtheory.errors import ParameterError, UnreachableError
from flowtheory.sweep.plan import Batch
from flowtheory.sweep.work import Done, crashed, run_batch

_DOCS = "docs/sweeps.md"
_SECONDS = 10  # to find a scheduler


def run_on_dask(
    batches: Sequence[Batch], place: Path, address: str | None, workers: int
) -> Iterator[Done]:
    """Run batches on a cluster; yields as they are stored.

    Args:
        batches: what to run.
        place: of the store, seen from the workers.
        address: of a scheduler; None starts a cluster of processes on this machine.
        workers: processes of that.

    Raises:
        UnreachableError: No scheduler is there, or it went away; what is stored is kept.
    """
    from distributed import as_completed
    from distributed.client import FutureCancelledError
    from distributed.scheduler import KilledWorker

    with _client(address, workers) as client:
        futures = {_submit(client, batch, place): batch for batch in batches}
        coming = as_completed(futures)
        for future in coming:
            batch = futures.pop(future)
            try:
                yield future.result()
            except KilledWorker:
                if len(batch.cells) == 1:
                    yield crashed(batch, place)
                    continue
                for half in batch.halves():
                    again = _submit(client, half, place)
                    futures[again] = half
                    coming.add(again)
            except (FutureCancelledError, OSError) as error:
                raise _gone(str(address or "the local cluster")) from error


def _submit(client: Any, batch: Batch, place: Path) -> Any:
    # The same batch is the same task, whichever driver asks for it.
    return client.submit(run_batch, batch, str(place), key=f"batch-{batch.name}", pure=False)


@contextmanager
def _client(address: str | None, workers: int) -> Iterator[Any]:
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ParameterError(
            "Dask is not installed",
            expected="the packages dask and distributed",
            fix="pip install 'flowtheory[cluster]', or --on local",
            more=_DOCS,
        ) from error
    if address is None:
        with (
            LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as own,  # type: ignore[arg-type]
            Client(own) as client,
        ):
            yield client
        return
    try:
        client = Client(address, timeout=_SECONDS)
    except (OSError, ValueError) as error:
        raise _unreachable(address) from error
    with client:
        yield client


def _unreachable(address: str) -> UnreachableError:
    return UnreachableError(
        f"no scheduler answers at {address}",
        expected="the address of a running Dask scheduler, such as tcp://host:8786",
        fix="start one with `dask scheduler`, or use --on dask for a cluster on this machine",
        more=_DOCS,
    )


def _gone(address: str) -> UnreachableError:
    return UnreachableError(
        f"the scheduler at {address} went away",
        expected="a scheduler that stays until the last batch is stored",
        fix="run the same command again: what is stored is not computed again",
        more=_DOCS,
    )
