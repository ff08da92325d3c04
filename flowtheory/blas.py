"""BLAS on one thread, for products that are small beside what is done between them.

OpenBLAS's threads wait by spinning for some time after a product that they shared, each on a core
that others are to use meanwhile: our own threads, or XLA's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

_LOCK = Lock()
_limits: list[Any] = []  # one for each context that is open; the first one knows what was before


@contextmanager
def one_thread() -> Iterator[None]:
    """A context in which BLAS uses the calling thread alone, in the whole process.

    Those of several threads may overlap: what was before comes back when the last one ends.
    """
    with _LOCK:
        _limits.append(_limits[0] if _limits else _controller().limit(limits=1, user_api="blas"))
    try:
        yield
    finally:
        with _LOCK:
            limit = _limits.pop()
            if not _limits:
                limit.restore_original_limits()


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()
