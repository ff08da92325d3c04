"""Sweeps on a Dask cluster of processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

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


def test_a_scheduler_that_is_killed_loses_nothing_that_was_stored(tmp_path):
    """Both as a queue would start them; the rest is done elsewhere."""
    study, store, file = squares(seconds=0.1), tmp_path / "s", tmp_path / "scheduler.json"
    with (
        _dask("scheduler", file, "--port", "0") as scheduler,
        _dask("worker", file, "--nthreads", "1") as worker,
    ):
        try:
            address = _address(file)

            def kill() -> None:
                while not list(store.rglob("*.nc")):
                    time.sleep(0.02)
                scheduler.kill()

            killer = threading.Thread(target=kill)
            killer.start()
            with pytest.raises(UnreachableError, match="went away"):
                sweep(study, store, on=f"dask:{address}")
            killer.join()
        finally:
            scheduler.kill()
            worker.kill()
    stored = int(right(study, store).sum())
    assert 0 < stored < study.size
    assert sweep(study, store, workers=1).kept == stored
    assert right(study, store).all()


def _dask(role: str, file: Path, *words: str) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", f"distributed.cli.dask_{role}", "--scheduler-file", str(file)]
    # A worker has to find the probe, which lies among the tests.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    where = ["--host", "127.0.0.1", "--no-dashboard"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen([*line, *where, *words], env=environment, stdout=quiet, stderr=quiet)


def _address(file: Path) -> str:
    for _ in range(600):
        if file.exists() and (text := file.read_text()):
            return json.loads(text)["address"]
        time.sleep(0.1)
    raise TimeoutError("the scheduler did not start in a minute")
