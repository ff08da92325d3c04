"""BLAS on one thread: for as long as any context is open, and no longer."""

from __future__ import annotations

from threadpoolctl import threadpool_info, threadpool_limits

from flowtheory.blas import one_thread


def threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_what_was_before_comes_back_when_the_last_context_ends() -> None:
    with threadpool_limits(limits=2, user_api="blas"):
        assert threads() == {2}
        first, second = one_thread(), one_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert threads() == {1}
        second.__exit__(None, None, None)
        assert threads() == {2}
        with one_thread():
            assert threads() == {1}
        assert threads() == {2}
