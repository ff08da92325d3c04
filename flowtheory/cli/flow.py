"""`flowtheory flow`: one run from a small file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowtheory.cli.console import clear_errors, run_progress, stderr, stdout

if TYPE_CHECKING:
    from flowtheory.engine.run import Run
    from flowtheory.engine.spec import Spec
    from flowtheory.outcome import Outcome

NOT_REACHED = 1


def flow(
    spec: Annotated[
        Path, typer.Argument(metavar="SPEC.toml", help="The run: see docs/runs.md and examples/.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Directory of the results. Default: that of the file."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint of an unfinished run.")
    ] = False,
    json_path: Annotated[
        str | None,
        typer.Option("--json", metavar="PATH", help="Write the summary as JSON; - for stdout."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no summary.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Integrate one gradient flow, from a file that says which.

    Writes run.npz, the figure and summary.json. While it runs, a checkpoint lies beside the
    directory of the results: Ctrl-C, a crash or a time limit lose nothing.

    Exit status: 0 if what was asked for was reached, 1 if not (the outcome says why), 2 bad usage.

    Try: flowtheory flow examples/plateau.toml
    """
    places: list[Path] = []

    def interrupted() -> str:
        if places and places[0].exists():
            from flowtheory.report.terminal import from_here

            place = from_here(places[0])
            return f"the run so far is in {place}\n  go on with: {_again(spec, output)}"
        return "nothing was written"

    with clear_errors(debug, interrupted):
        run = _run(spec, output, resume, json_path, quiet, places)
    raise typer.Exit(0 if run.outcome.ok else NOT_REACHED)


def _run(
    path: Path,
    output: Path | None,
    resume: bool,
    json_path: str | None,
    quiet: bool,
    places: list[Path],
) -> Run:
    """Check everything that can be checked first, then integrate, then write."""
    from flowtheory.engine import build
    from flowtheory.engine.spec import read_spec
    from flowtheory.report.json_file import check_json_path
    from flowtheory.report.run import RESULTS, print_files, print_run, write_run

    spec = read_spec(path)
    directory, formats = build.output(spec)
    target = RESULTS.check(output or directory)
    checkpoint = target.with_name(f"{target.name}.checkpoint.npz")
    _require_resumable(checkpoint, resume, path, output, quiet)
    json_file = None if json_path in (None, "-") else Path(json_path)
    if json_file is not None:
        check_json_path(json_file)
    silent = quiet or json_path == "-"
    run = _solve(spec, checkpoint, silent, places)
    paths = write_run(run, target, formats, command=_command(path, output))
    if run.outcome not in _budgets():
        checkpoint.unlink(missing_ok=True)
    _write_json(run, paths, json_path, json_file)
    if not silent:
        console = stdout()
        print_run(console, run)
        print_files(console, paths)
        if not run.outcome.ok:
            stderr().print(_advice(run, path, output), soft_wrap=True, markup=False)
    return run


def _solve(spec: Spec, checkpoint: Path, quiet: bool, places: list[Path]) -> Run:
    from flowtheory.engine import build

    flow = build.make_flow(spec)
    start, options = build.make_start(spec, flow), build.options(spec)
    places.append(checkpoint)
    with _parents(checkpoint), spec.locating("run"), run_progress(quiet) as progress:
        return flow.solve(start, **options, checkpoint=checkpoint, progress=progress)


@contextmanager
def _parents(path: Path) -> Iterator[None]:
    """Make the directories above a path; those that stay empty vanish again."""
    missing = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for parent in missing:
            with suppress(OSError):
                parent.rmdir()


def _write_json(
    run: Run, paths: dict[str, Path], json_path: str | None, json_file: Path | None
) -> None:
    from flowtheory.report.run import SUMMARY

    if json_path is None:
        return
    text = paths[SUMMARY].read_text(encoding="utf-8")
    if json_file is None:
        typer.echo(text.rstrip("\n"))
    else:
        from flowtheory.report.json_file import write_text

        write_text(text, json_file)


def _require_resumable(
    checkpoint: Path, resume: bool, spec: Path, output: Path | None, quiet: bool
) -> None:
    from flowtheory.errors import ParameterError
    from flowtheory.report.terminal import from_here

    shown = from_here(checkpoint)
    if checkpoint.exists() and not resume:
        raise ParameterError(
            f"{shown} holds an unfinished run",
            expected="--resume, or no checkpoint",
            fix=f"{_again(spec, output)}, or delete the file to begin anew",
            more="docs/runs.md",
        )
    if resume and not checkpoint.exists() and not quiet:
        stderr().print(f"no checkpoint {shown}: the run begins anew", soft_wrap=True, markup=False)


def _budgets() -> dict[Outcome, str]:
    """Outcomes after which a run can go on, with the key of [run] that is to be raised."""
    from flowtheory.outcome import Outcome

    return {Outcome.TIME_LIMIT: "time_limit", Outcome.STEP_LIMIT: "max_steps"}


def _advice(run: Run, spec: Path, output: Path | None) -> str:
    budget = _budgets().get(run.outcome)
    if budget is None:
        return "what was asked for was not reached; the files hold the run as far as it came"
    return f"to go on, raise {budget} in [run]: {_again(spec, output)}"


def _command(spec: Path, output: Path | None) -> str:
    return f"flowtheory flow {spec}" + (f" --output {output}" if output else "")


def _again(spec: Path, output: Path | None) -> str:
    return f"{_command(spec, output)} --resume"
