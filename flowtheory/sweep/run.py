r"""A study from its plan to the store, and from the store to one labelled array."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flowtheory.errors import ParameterError
from flowtheory.sweep.plan import Batch, plan
from flowtheory.sweep.store import Store
from flowtheory.sweep.study import Study
from flowtheory.sweep.work import Done

if TYPE_CHECKING:
    import xarray as xr

LOCAL, DASK = "local", "dask"
Progress = Callable[[float, float, int], None]
"""(cost done, cost in all, cells done): of what there was to compute."""


class Summary(NamedTuple):
    """What a sweep did.

    Attributes:
        cells: of the study.
        kept: that were in the store before.
        outcomes: of those computed now, by name.
        message: of the first cell whose code failed; empty if none did.
        seconds: of wall time.
        work: seconds of all batches together.
    """

    cells: int
    kept: int
    outcomes: Counter[str]
    message: str
    seconds: float
    work: float


def sweep(
    study: Study,
    store: str | Path,
    *,
    on: str = LOCAL,
    workers: int | None = None,
    again: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Compute the cells of a study that the store has not, and store them.

    Interrupt or kill it at any moment, and run it again: what was stored stays.

    Args:
        study: what to compute.
        store: directory of the results; other studies may share it.
        on: "local"; "dask" for a Dask cluster of processes on this machine; "dask:ADDRESS" for the
            cluster of a scheduler.
        workers: processes on this machine; by default one a core.
        again: compute cells whose code failed before again.
        progress: called when a batch is stored.

    Raises:
        ParameterError: `on` or `workers` is no such thing.
        OutputError: The store cannot be written, or is full.
        UnreachableError: The scheduler does not answer, or went away.
    """
    began = time.perf_counter()
    run = _runner(on, workers)
    kept = Store(store)
    done = kept.done(study, failed=not again)
    batches = plan(study, done)
    cost, whole, ready = 0.0, sum(batch.cost for batch in batches), 0
    there = study.size - sum(len(batch.cells) for batch in batches)
    outcomes: Counter[str] = Counter()
    message, work = "", 0.0
    if progress:
        progress(0.0, whole, 0)
    for result in run(batches, kept.place):
        outcomes.update(result.outcomes)
        message, work = message or result.message, work + result.seconds
        cost, ready = cost + result.cost, ready + sum(result.outcomes.values())
        if progress:
            progress(cost, whole, ready)
    return Summary(study.size, there, outcomes, message, time.perf_counter() - began, work)


def _runner(on: str, workers: int | None) -> Callable[[list[Batch], Path], Iterator[Done]]:
    if workers is not None and workers < 1:
        raise ParameterError(f"workers is {workers}", expected="an integer >= 1", fix="workers=2")
    count = workers or _cores()
    kind, _, address = on.partition(":")
    if kind == LOCAL and not address:
        from flowtheory.sweep.local import run_here

        return lambda batches, place: run_here(batches, place, count)
    if kind == DASK:
        from flowtheory.sweep.cluster import run_on_dask

        return lambda batches, place: run_on_dask(batches, place, address or None, count)
    raise ParameterError(f"on is {on!r}", expected="local, dask or dask:ADDRESS", fix="on='local'")


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def results(study: Study, store: str | Path) -> xr.Dataset:
    """All measures of a study, one dimension an axis; NaN, and outcome "", where there is none yet.

    Args:
        study: which cells.
        store: where they are.
    """
    import xarray as xr

    place = {key: index for index, key in enumerate(study.keys)}
    found = {m.name: np.full(study.size, np.nan) for m in study.probe.measures}
    outcomes, versions = np.full(study.size, "", dtype="U24"), set()
    for data in Store(store).files(study):
        keys = data["key"].values.astype(str)
        rows = np.array([place.get(key, -1) for key in keys])
        mine = rows >= 0
        if not mine.any():
            continue
        versions.add(str(data.attrs["flowtheory"]))
        outcomes[rows[mine]] = data["outcome"].values.astype(str)[mine]
        for name, values in found.items():
            values[rows[mine]] = data[name].values[mine]
    axes, shape = list(study.grid), study.shape
    about = {m.name: {"long_name": m.says, "units": m.unit} for m in study.probe.measures}
    columns = {name: (axes, values.reshape(shape), about[name]) for name, values in found.items()}
    columns["outcome"] = (axes, outcomes.reshape(shape), {"long_name": "how the run ended"})
    coordinates = {
        axis: (axis, np.array(values), _about(study, axis)) for axis, values in study.grid.items()
    }
    # NetCDF has no lists and no booleans among its attributes.
    fixed = {name: int(v) if isinstance(v, bool) else v for name, v in study.fixed.items()}
    told = {
        "study": study.name,
        "probe": study.probe.name,
        "flowtheory": ", ".join(sorted(versions)),
    }
    return xr.Dataset(columns, coords=coordinates, attrs={**fixed, **told})


def _about(study: Study, axis: str) -> dict[str, str]:
    parameter = study.probe.parameter(axis)
    return {"long_name": parameter.says, "units": parameter.unit}
