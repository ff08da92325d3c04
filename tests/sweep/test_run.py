"""Sweeps on the cores of this machine: the same numbers, whatever dies on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from sweep.studies import right, squares

from flowtheory.errors import ParameterError
from flowtheory.sweep import Store, sweep

TESTS = Path(__file__).parents[1]
DRIVER = """
import sys
sys.path.insert(0, sys.argv[1])
from sweep.studies import squares
from flowtheory.sweep import sweep
if __name__ == "__main__":
    print(sweep(squares(seconds=0.05, log=sys.argv[3]), sys.argv[2], workers=2).kept)
"""


def driver(store: Path, log: Path) -> subprocess.Popen:
    script = store.parent / "driver.py"
    script.write_text(DRIVER)
    line = [sys.executable, str(script), str(TESTS), str(store), str(log)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True, start_new_session=True)


def begun(log: Path) -> Counter[str]:
    return Counter(log.read_text(encoding="utf-8").splitlines()) if log.exists() else Counter()


def wait_for(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_cells_that_fail_or_kill_their_process_harm_no_other(tmp_path):
    store, told = tmp_path / "s", []
    summary = sweep(squares(), store, workers=2, progress=lambda *now: told.append(now))
    assert summary.outcomes == {"reached_t": 24}
    assert told[0] == (0.0, 24.0, 0)
    assert told[-1] == (24.0, 24.0, 24)
    assert right(squares(), store).all()
    # Extended by an axis value and a seed: the new cells only, in the same store.
    more = sweep(squares(range(9), 4), store, workers=1)
    assert (more.kept, sum(more.outcomes.values())) == (24, 12)
    assert right(squares(range(9), 4), store).all()

    deadly = squares([4, 5, 6], 1, mode="die")
    summary = sweep(deadly, store, workers=1)
    assert summary.outcomes == {"reached_t": 2, "crashed": 1}
    assert right(deadly, store).ravel().tolist() == [True, False, True]
    again = sweep(deadly, store, workers=1)
    assert again.kept == 3


def test_a_driver_that_is_killed_loses_nothing_and_leaves_no_process(tmp_path):
    store, log = tmp_path / "s", tmp_path / "log"
    first = driver(store, log)
    wait_for(lambda: len(list(store.rglob("*.nc"))) >= 2)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    wait_for(lambda: not _living(first.pid))
    study = squares(seconds=0.05, log=str(log))
    kept = len(Store(store).done(study))
    assert 8 <= kept < 24
    before = begun(log)
    second = driver(store, log)
    assert int(second.communicate(timeout=120)[0]) == kept
    assert right(study, store).all()
    # What was stored is not computed again.
    assert sum((begun(log) - before).values()) == 24 - kept


def _living(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_two_drivers_on_one_store(tmp_path):
    store, log = tmp_path / "s", tmp_path / "log"
    both = [driver(store, log) for _ in range(2)]
    for one in both:
        one.communicate(timeout=120)
        assert one.returncode == 0
    assert right(squares(seconds=0.05, log=str(log)), store).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [({"workers": 0}, "workers is 0"), ({"on": "moon"}, "on is 'moon'"), ({"on": "local:x"}, "on")],
)
def test_options_that_make_no_sense(tmp_path, options, words):
    with pytest.raises(ParameterError, match=words):
        sweep(squares(), tmp_path / "s", **options)
    assert not (tmp_path / "s").exists()


def test_a_script_that_cannot_be_imported_is_told_so_and_blames_no_cell(tmp_path):
    script = tmp_path / "mine.py"
    tests = Path(__file__).parents[1]
    script.write_text(
        f"import sys; sys.path.insert(0, {str(tests)!r})\n"
        "from sweep.studies import squares\n"
        "from flowtheory.sweep import sweep\n"
        f"sweep(squares(), {str(tmp_path / 's')!r}, workers=1)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the worker processes cannot be started" in done.stderr
    assert "__main__" in done.stderr
    assert not list((tmp_path / "s").rglob("*.nc"))
