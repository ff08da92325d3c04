"""Settings shared by all tests."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from flowtheory.cli.cache import VARIABLE, use_compilation_cache
from flowtheory.threads import single_threaded

# A run of the continuous integration is reproducible; a developer's run explores.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

# Most of the time of a test is compiling. What one worker, or a process that a test started, has
# compiled is not compiled again by another, nor by the next session; FLOWTHEORY_CACHE_DIR=off
# compiles all of it.
os.environ.setdefault(VARIABLE, str(Path(__file__).parents[1] / ".pytest_cache"))
# Tests compile much and compute little: XLA's older code for fused loops, hardly optimised and in
# one piece, is compiled in a third of the time. A set XLA_FLAGS, be it empty, is left alone.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0"
    " --xla_cpu_parallel_codegen_split_count=1",
)
if os.environ.get("PYTEST_XDIST_WORKER"):
    single_threaded()
use_compilation_cache(os.environ)


class _ByFile(LoadFileScheduling):
    """Tests of a file share a worker and what it has compiled; the laws' suite is split by law."""

    def _split_scope(self, nodeid: str) -> str:
        file, law = super()._split_scope(nodeid), nodeid.partition("[")[2]
        return f"{file}[{law}" if file.endswith("test_every_law.py") else file


@pytest.hookimpl(optionalhook=True)  # not there where pytest-xdist is switched off
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return _ByFile(config, log)


_MOST = 1_500_000_000  # bytes; forgetting takes seconds, and there are 200 files


def _resident() -> float:
    """Memory of this process, in bytes; infinite where it is not known."""
    if sys.platform != "linux":
        return float("inf")
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What is imported by now stays: the collector need not look at its objects again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _forget_compiled_programs() -> Iterator[None]:
    """A worker does not keep the programs of all files, up to hundreds of MB each."""
    yield
    if "jax" in sys.modules and _resident() > _MOST:
        sys.modules["jax"].clear_caches()
        gc.collect()
        if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim"):
            ctypes.CDLL(None).malloc_trim(0)  # what compiling used stays with the process otherwise
