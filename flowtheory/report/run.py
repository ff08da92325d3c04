"""A run as a directory: its file, its figure, its summary; and as a few lines on a terminal."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from flowtheory.engine.run import Run, sparkline, timed
from flowtheory.outcome import Outcome
from flowtheory.report.numbers import number
from flowtheory.report.place import Place
from flowtheory.report.svg import write_figure
from flowtheory.report.terminal import from_here, labelled

SCHEMA = "flowtheory/run/1"
RUN, SUMMARY, FIGURE = "run.npz", "summary.json", "run"
RESULTS = Place("run", SUMMARY, SCHEMA, "--output", "docs/runs.md")


def write_run(
    run: Run, directory: str | Path, formats: Sequence[str] = ("svg", "png"), *, command: str = ""
) -> dict[str, Path]:
    """Write `run.npz`, `summary.json` and the figure; all of it or nothing.

    Args:
        run: the run.
        directory: made, with its parents, if missing; former results in it are replaced.
        formats: of the figure.
        command: the command that reproduces the run.

    Returns:
        The files by name, each with its path.

    Raises:
        OutputError: the place cannot be written, or holds something else than a run.
    """
    target = RESULTS.check(directory)
    # A run that ended where it began has one row: nothing to draw.
    drawn = formats if len(run.times) > 1 else ()
    files = [RUN, SUMMARY, *(f"{FIGURE}.{format}" for format in drawn)]
    with RESULTS.replacing(target) as place:
        run.save(place / RUN)
        document = run_document(run, files, command)
        (place / SUMMARY).write_text(run_json(document), encoding="utf-8")
        if len(files) > 2:
            figure = run.plot()
            for file in files[2:]:
                write_figure(figure, place / file)
    return {file: target / file for file in files}


def run_document(run: Run, files: Sequence[str] = (), command: str = "") -> dict[str, Any]:
    """The summary of a run, with what is needed to find and to reproduce it."""
    return {"schema": SCHEMA, "command": command, "files": list(files), **run.summary()}


def run_json(document: dict[str, Any]) -> str:
    """The summary as strict JSON."""
    return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def print_run(console: Console, run: Run) -> None:
    """Print what happened: outcome, time with its error, stages of the loss, checks."""
    about = f"{run.about.get('network', 'network')}, {run.about.get('loss', '')} loss"
    console.print(Text(about, style="bold"))
    console.print(labelled(_lines(run)))


def print_files(console: Console, paths: dict[str, Path]) -> None:
    """Print what was written, and what to look at next."""
    directory = from_here(next(iter(paths.values())).parent)
    figure = next((name for name in paths if name.startswith(f"{FIGURE}.") and name != RUN), None)
    rows = [("Wrote", Text(f"{directory}/: {', '.join(paths)}"))]
    if figure:
        rows.append(("Look at", Text(str(directory / figure))))
    rows.append(("Go on", Text(f'ft.Run.load("{(directory / RUN).as_posix()}") in Python')))
    console.print(labelled(rows))


def _lines(run: Run) -> list[tuple[str, Text]]:
    good = "bold green" if run.outcome.ok else "bold red"
    outcome = Text(run.outcome.value.replace("_", " "), style=good)
    if run.outcome is Outcome.EVENT:
        outcome.append(f" ({run.events[-1].name})", style="not bold default")
    elif not run.outcome.ok:
        outcome.append(f": {run.outcome.reason}", style="not bold default")
    loss = Text(f"{number(float(run.loss[0]))} → {number(float(run.loss[-1]))}  {sparkline(run)}")
    rows = [("outcome", outcome), ("time", _time(run)), ("loss", loss)]
    stages = Text("\n".join(_stage(stage) for stage in run.loss_stages))
    rows += [("stages", stages), ("checks", Text(_checks(run))), ("method", Text(_method(run)))]
    passed = [f"{e.name} at t = {e.time:.8g}" for e in run.events]
    if run.outcome is Outcome.EVENT:
        passed = passed[:-1]
    return [*rows[:3], *([("events", Text("\n".join(passed)))] if passed else []), *rows[3:]]


def _time(run: Run) -> Text:
    at_event = run.outcome is Outcome.EVENT
    shown = timed(run.t_end, run.error_estimate) if at_event else f"{run.t_end:.8g}"
    if run.outcome is Outcome.BLEW_UP:
        shown += f", infinite norm at {run.blow_up_time:.8g}"
    return Text.assemble(f"{shown}  ", (f"({run.clock})", "dim"))


def _stage(stage: Any) -> str:
    kind = "late times" if stage.kind == "late" else stage.kind
    level = f"  loss {number(stage.level)}" if stage.kind == "plateau" else ""
    return f"{kind:<10} t = {stage.start:.4g} to {stage.end:.4g}{level}"


def _checks(run: Run) -> str:
    said = [f"energy identity {run.checks.energy:.1e}", f"rises of the loss {run.checks.rises}"]
    if run.checks.drifts:
        said.append(f"conserved quantities {max(run.checks.drifts.values()):.1e}")
    if run.outcome is not Outcome.EVENT and math.isfinite(run.error_estimate):
        said.append(f"error of the final parameters {run.error_estimate:.1e}")
    return ", ".join(said)


def _method(run: Run) -> str:
    cost = run.statistics
    methods = ", then ".join(dict.fromkeys(stage.method for stage in run.stages))
    spent = f"{cost.accepted:,} steps, {cost.evaluations:,} evaluations, {cost.seconds:.1f} s"
    return f"{methods}, {spent}"
