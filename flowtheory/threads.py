"""One thread a process, for processes that share the cores of a machine."""

from __future__ import annotations

import os
from functools import cache


@cache
def single_threaded() -> None:
    """Let this process, one of many, compute in one thread; before JAX is loaded. Once.

    Left alone, each takes a thread a core, and they get in each other's way: two workers on two
    cores took 1.15 times as long as with one thread each.
    """
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_multi_thread_eigen" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    # Of XLA's own pool, which that flag leaves.
    os.environ.setdefault("NPROC", "1")
