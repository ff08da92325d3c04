"""`flowtheory sweep`: a grid of runs, on this machine or on a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowtheory.cli.console import clear_errors, cost_progress, stdout
from flowtheory.cli.sweeping import (
    DEFAULT_STORE,
    OnOption,
    StoreOption,
    WorkersOption,
    interrupted,
)

if TYPE_CHECKING:
    from flowtheory.sweep import Study, Summary

NOT_ALL = 1


def sweep(
    study: Annotated[
        Path, typer.Argument(metavar="STUDY.toml", help="The study: see docs/sweeps.md.")
    ],
    store: StoreOption = None,
    on: OnOption = "local",
    workers: WorkersOption = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--new", help="Go on with what the store has; or refuse to, if it has any."
        ),
    ] = True,
    again: Annotated[
        bool, typer.Option("--again", help="Compute cells whose code failed before again.")
    ] = False,
    dry: Annotated[bool, typer.Option("--plan", help="Say what there is to do, and stop.")] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE.nc", help="Write all measures as one NetCDF file.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no summary.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Run a probe on every cell of a grid, and keep what it finds.

    Results lie in the store under a hash of all that they depend on. Ctrl-C, a crash, a full disk
    lose nothing that was stored; the same command goes on. A larger grid, or more seeds, computes
    the new cells only.

    Exit status: 0 if every cell was reached, 1 if some ended otherwise, 2 bad usage.

    Try: flowtheory sweep examples/studies/escape.toml
    """
    place = store or DEFAULT_STORE

    with clear_errors(debug, interrupted(place)):
        from flowtheory.sweep import Store, plan, read_study, results

        wanted = read_study(study)
        if dry:
            batches = plan(wanted, Store(place).done(wanted) if place.exists() else ())
            left = sum(len(batch.cells) for batch in batches)
            stdout().print(f"{_shape(wanted)}; {left} to compute, in {len(batches)} batches")
            raise typer.Exit
        summary = _run(wanted, place, on, workers, resume, again, quiet)
        found = results(wanted, place)
        if output is not None:
            from flowtheory.files import replacing

            with replacing(output) as file:
                file.write(bytes(found.to_netcdf(engine="scipy")))
    good = _good(found["outcome"].values.ravel().tolist())
    if not quiet:
        _close(wanted, summary, good, place, output)
    raise typer.Exit(0 if good == wanted.size else NOT_ALL)


def _run(
    study: Study,
    place: Path,
    on: str,
    workers: int | None,
    resume: bool,
    again: bool,
    quiet: bool,
) -> Summary:
    from flowtheory.errors import ParameterError
    from flowtheory.sweep import Store
    from flowtheory.sweep import sweep as run

    if not resume and place.exists() and (had := Store(place).done(study) & set(study.keys)):
        raise ParameterError(
            f"{place} has {len(had)} of the {study.size} cells",
            expected="with --new, a store that has none of them",
            fix="leave --new out, to go on; or another --store",
        )
    with cost_progress(quiet) as progress:
        return run(study, place, on=on, workers=workers, again=again, progress=progress)


def _good(outcomes: list[str]) -> int:
    from flowtheory.outcome import Outcome

    return sum(1 for name in outcomes if name and Outcome(name).ok)


def _shape(study: Study) -> str:
    axes = " x ".join(f"{len(values)} {name}" for name, values in study.grid.items())
    return f"{study.name}: {study.size} cells ({axes})"


def _close(study: Study, summary: Summary, good: int, place: Path, output: Path | None) -> None:
    """Counts, the first failure, and where the results are."""
    from flowtheory.report.terminal import from_here

    console = stdout()
    console.print(_shape(study))
    new = sum(summary.outcomes.values())
    speed = f", {summary.work / summary.seconds:.1f} processes busy" if new else ""
    console.print(f"{summary.kept} were there, {new} computed in {summary.seconds:.1f} s{speed}")
    told = ", ".join(f"{count} {name}" for name, count in summary.outcomes.most_common())
    if told:
        console.print(told)
    if summary.message:
        console.print(f"first failure: {summary.message}", markup=False)
    if good < study.size:
        console.print(f"{study.size - good} cells did not reach what was asked for")
    console.print(f"Store   {from_here(place.resolve())}", soft_wrap=True)
    if output is not None:
        console.print(f"Table   {from_here(output.resolve())}", soft_wrap=True)
