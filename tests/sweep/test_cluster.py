"""Sweeps on a Dask cluster of processes."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from sweep.studies import right, squares

from flowtheory.errors import UnreachableError
from flowtheory.sweep import sweep

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster():
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        yield cluster


def test_the_same_numbers_as_here(cluster, tmp_path):
    on = f"dask:{cluster.scheduler_address}"
    study = squares(mode="raise")
    summary = sweep(study, tmp_path / "there", on=on)
    assert summary.outcomes == {"reached_t": 21, "failed": 3}
    assert "x is three" in summary.message
    assert (~right(study, tmp_path / "there")).sum() == 3
    assert sweep(study, tmp_path / "there", on=on).kept == 24


def test_a_worker_that_is_killed_is_replaced(cluster, tmp_path):
    study, store = squares(seconds=0.05), tmp_path / "s"

    def kill() -> None:
        while not list(store.rglob("*.nc")):
            time.sleep(0.02)
        worker = next(iter(cluster.workers.values()))
        os.kill(worker.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    sweep(study, store, on=f"dask:{cluster.scheduler_address}")
    killer.join()
    assert right(study, store).all()


def test_a_scheduler_that_does_not_answer(tmp_path):
    with pytest.raises(UnreachableError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9"):
        sweep(squares(), tmp_path / "s", on="dask:tcp://127.0.0.1:9")
