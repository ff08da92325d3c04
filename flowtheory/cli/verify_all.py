"""`flowtheory verify --all`: every law in a process of its own, and the atlas of their verdicts."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from flowtheory.cli.console import progress_bar, stderr, stdout
from flowtheory.cli.output import Output
from flowtheory.cli.work import Work
from flowtheory.errors import FlowtheoryError, ParameterError
from flowtheory.judge import Verdict
from flowtheory.laws.registry import LAWS
from flowtheory.lower.certified import require_flint
from flowtheory.report.atlas import check_atlas, former, write_atlas
from flowtheory.report.job import Job, run_job
from flowtheory.report.numbers import number
from flowtheory.report.terminal import STYLES, from_here
from flowtheory.threads import single_threaded
from flowtheory.versions import versions

Documents = dict[str, dict[str, Any]]
FAILED = 2


def verify_all(work: Work, directory: Path, output: Output, jobs: int | None, fresh: bool) -> int:
    """Run what is missing, write the atlas, and give the exit status of the worst verdict."""
    workers = _workers(jobs)
    directory = directory.expanduser().resolve()
    check_atlas(directory)
    output.check()
    if work.certify:
        require_flint()
    todo = [
        Job(
            name,
            work.settings,
            f"flowtheory verify {name}{work.options}",
            directory / name,
            work.seconds,
            work.certify,
        )
        for name in LAWS
    ]
    found: Documents = {}
    failed: dict[str, str] = {}
    if not fresh:
        for job in todo:
            document = former(directory / job.law, job.command, versions())
            if document is not None:
                found[job.law] = dict(document)
    missing = [job for job in todo if job.law not in found]
    with progress_bar(output.silent) as progress:
        progress("laws", len(found), len(LAWS))
        for name, result in _results(missing, workers):
            if isinstance(result, dict):
                found[name] = result
            else:
                failed[name] = result
            if not output.silent:
                _say(stderr(), name, result)
            progress("laws", len(found) + len(failed), len(LAWS))
    documents = [found[name] for name in LAWS if name in found]
    command = f"flowtheory verify --all{work.options}"
    atlas = write_atlas(documents, failed, directory, command=command)
    output.write(atlas)
    if not output.silent:
        _close(stdout(), atlas, len(todo) - len(missing), directory / "index.html")
    if failed:
        return FAILED
    return Verdict.of_all(Verdict(one["verdict"]) for one in documents).exit_code


def _workers(jobs: int | None) -> int:
    if jobs is not None and jobs < 1:
        raise ParameterError(f"--jobs is {jobs}", expected="an integer >= 1", fix="--jobs 2")
    return jobs or os.cpu_count() or 1


def _results(jobs: list[Job], workers: int) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """(law, its document or the error that it ended with), as they are done."""
    if not jobs:
        return
    # Not forked: compiled code and its threads do not survive that.
    spawn = multiprocessing.get_context("spawn")
    # A worker ends after each law, which frees what it compiled.
    count = min(workers, len(jobs))
    alone = single_threaded if count > 1 else None
    pool = ProcessPoolExecutor(count, spawn, initializer=alone, max_tasks_per_child=1)
    with pool:
        names: dict[Future[Any], str] = {pool.submit(run_job, job): job.law for job in jobs}
        try:
            for future in as_completed(names):
                yield names[future], _outcome(future)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _outcome(future: Future[Any]) -> dict[str, Any] | str:
    try:
        return future.result()[0]
    except FlowtheoryError as error:
        return error.render()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _say(console: Console, name: str, result: dict[str, Any] | str) -> None:
    """One line a law, as it ends."""
    if isinstance(result, str):
        failed = Text(f"{'FAILED':<14}", "bold red") + Text(f"{name}: {result}")
        console.print(failed, soft_wrap=True)
        return
    verdict = Text(f"{result['verdict']:<14}", STYLES[result["verdict"]])
    stopped = f"   {result['stopped']}" if result["stopped"] else ""
    console.print(verdict + Text(f"{name}, {number(result['seconds'], 2)} s{stopped}"))


def _close(console: Console, atlas: dict[str, Any], kept: int, page: Path) -> None:
    """The counts, and where the atlas lies."""
    counts = [f"{count} {verdict}" for verdict, count in atlas["verdicts"].items()]
    if atlas["failed"]:
        counts.append(f"{len(atlas['failed'])} FAILED")
    told = f"{atlas['rejected']} of {atlas['variants']} wrong variants rejected"
    if atlas["certifiable"]:
        told += f"; {atlas['certified']} of {atlas['certifiable']} rows proved"
    console.print(", ".join(counts) + f"; {told}")
    if kept:
        console.print(f"{kept} laws taken over from before; --fresh runs them again")
    console.print(f"Atlas   {from_here(page)}", soft_wrap=True)
