"""Starts work again and again, kills it each time, and keeps what each kill left.

python killed.py DIRECTORY MODULE SECONDS ...

MODULE is whose `solve` is killed; before that of `small`, the writing of files is.

Everything is imported and derived once; what is killed is a fork of this process, made before JAX
starts its threads.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from importlib import import_module
from itertools import count
from pathlib import Path

import jax
import numpy as np

from flowtheory.files import write_file

jax.config.update("jax_compilation_cache_dir", str(Path(sys.argv[1]) / "cache"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def killed(work: Callable[[], object], path: Path, moment: float) -> bool:
    """Start `work` in a fork and kill it `moment` after it wrote `path` for the first time."""
    stamp = written(path)
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    while written(path) == stamp:
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            return False
        time.sleep(1e-4)
    time.sleep(moment)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def written(path: Path) -> int:
    """When a file was last replaced; 0 if it is not there."""
    return path.stat().st_mtime_ns if path.exists() else 0


def write_for_ever(path: Path) -> None:
    """One file after the other, each of one number throughout."""
    for number in count():
        arrays = {name: np.full(50_000, float(number)) for name in "ab"}
        write_file(path, "test", 1, {"number": number}, arrays)


def main(directory: Path, module: str, moments: list[float]) -> None:
    """Print a line a kill: what was killed, and whether it was still at work."""
    small, run, file = import_module(module), directory / "run.npz", directory / "file.npz"
    flow = small.flow()
    for number, moment in enumerate(moments if module == "small" else []):
        print("file", killed(lambda: write_for_ever(file), file, moment), flush=True)
        shutil.copy(file, directory / f"file-{number}.npz")
    for number, moment in enumerate(moments):
        print("run", killed(lambda: small.solve(flow, run), run, moment), flush=True)
        shutil.copy(run, directory / f"run-{number}.npz")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], [float(moment) for moment in sys.argv[3:]])
