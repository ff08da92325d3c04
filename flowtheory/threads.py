"""One thread a process, for processes that share the cores of a machine."""

from __future__ import annotations

import os
from functools import cache


@cache
def single_threaded() -> None:
    """Let this process, one of many, compute in one thread; before JAX is loaded. Once.

    Threads of more processes than cores wait for one another: two workers on two cores take up to
    twice the CPU time that they take with one thread each.
    """
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_multi_thread_eigen" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    # Of XLA's own pool, which that flag leaves.
    os.environ.setdefault("NPROC", "1")
