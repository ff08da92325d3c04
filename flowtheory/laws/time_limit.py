"""A limit on the time of a block, which raises wherever the block then is."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flowtheory.errors import ParameterError


class TimeIsUp(BaseException):
    """The time for a block is over.

    Not an `Exception`: code that handles those, in an experiment or a library, must not swallow it.
    """


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise `TimeIsUp` inside the block after so many seconds; None for no limit.

    By the process's timer, so in the main thread only. Compiled code is not interrupted: the limit
    takes effect when it returns to Python.

    Raises:
        ParameterError: not a positive number, or not in the main thread.
    """
    if seconds is None:
        yield
        return
    if not seconds > 0:
        raise ParameterError(
            f"the time limit is {seconds!r}", expected="a number of seconds > 0", fix="300"
        )
    if threading.current_thread() is not threading.main_thread():
        raise ParameterError(
            "a time limit in a thread that is not the main one",
            expected="a call from the main thread of a process",
            fix="start a process for it",
        )

    def ring(number: int, frame: object) -> None:
        raise TimeIsUp

    former = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
