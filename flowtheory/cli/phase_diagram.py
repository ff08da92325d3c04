"""`flowtheory phase-diagram`: a diagram measured, predicted, judged and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from flowtheory.cli.console import clear_errors, cost_progress, stdout

if TYPE_CHECKING:
    from flowtheory.phase import Diagram, Judged
    from flowtheory.sweep import Study

DISAGREES = 1
_NETWORKS = ("two-layer",)


def phase_diagram(
    network: Annotated[str, typer.Argument(help="two-layer.")] = "two-layer",
    activation: Annotated[str, typer.Option(metavar="NAME", help="Activation.")] = "relu",
    grid: Annotated[
        str, typer.Option(metavar="COLUMNSxROWS", help="Points in gamma and in gamma'.")
    ] = "9x9",
    gamma: Annotated[str, typer.Option(metavar="LOW:HIGH", help="Range of gamma.")] = "0.6:1.4",
    gamma_prime: Annotated[
        str, typer.Option("--gamma-prime", metavar="LOW:HIGH", help="Range of gamma'.")
    ] = "-0.4:0.4",
    widths: Annotated[
        str,
        typer.Option(metavar="LOW:HIGH", help="Widths a factor 2 apart; or a list, 256,1000."),
    ] = "256:16384",
    seeds: Annotated[int, typer.Option(metavar="N", help="Starts a point and width.")] = 4,
    data: Annotated[str, typer.Option(metavar="NAME", help="Data set.")] = "three-points",
    loss: Annotated[float, typer.Option(help="End of a run, over the loss of output 0.")] = 1e-3,
    eps: Annotated[
        float, typer.Option(help="Standard deviation of w, for a smooth activation.")
    ] = 1.0,
    store: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where results are kept. Default: out/sweeps."),
    ] = None,
    on: Annotated[
        str, typer.Option(metavar="PLACE", help="local, dask, or dask:ADDRESS of a scheduler.")
    ] = "local",
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Processes here. Default: one a core.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the report goes. Default: out/phase-diagram."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no summary.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Measure a phase diagram of condensation, and hold it against theory.

    Every point of the grid is one network a width, trained to the end by the exact flow; the slope
    of its relative distance from the start in the width says how it trains: below 0 lazy, above 0
    condensed. What is stored is not computed again: the same command goes on after Ctrl-C, and a
    larger grid or more seeds computes what is new.

    Exit status: 0, or 1 if a verdict is DISAGREES, 2 bad usage.

    Try: flowtheory phase-diagram two-layer --grid 5x5 --widths 256:2048
    """
    place, target = store or Path("out/sweeps"), report or Path("out/phase-diagram")

    def interrupted() -> str:
        return f"what was stored is in {place}\n  go on with the same command"

    with clear_errors(debug, interrupted):
        fixed = {"activation": activation, "data": data, "loss": loss, "eps": eps}
        study = _study(network, grid, gamma, gamma_prime, widths, seeds, fixed)
        command = (
            f"flowtheory phase-diagram {network} --activation {activation} --grid {grid}"
            f" --gamma {gamma} --gamma-prime {gamma_prime} --widths {widths} --seeds {seeds}"
            f" --data {data} --loss {loss:g} --eps {eps:g}"
        )
        found, page = _measured(study, place, on, workers, target, command, quiet)
        from flowtheory.phase import judged

        answers = judged(found)
    if not quiet:
        _close(answers, found.rms, page)
    raise typer.Exit(DISAGREES if any(one.verdict.value == "DISAGREES" for one in answers) else 0)


def _study(
    network: str,
    grid: str,
    gamma: str,
    gamma_prime: str,
    widths: str,
    seeds: int,
    fixed: dict[str, Any],
) -> Study:
    from flowtheory.errors import unknown_name
    from flowtheory.phase import two_layer_study
    from flowtheory.symbolic import find_activation

    if network not in _NETWORKS:
        raise unknown_name("network", network, _NETWORKS)
    if seeds < 1:
        raise _refused("--seeds", str(seeds), "1 start or more")
    find_activation(fixed["activation"])  # before anything runs
    columns, rows = _counts(grid)
    across, along = _range("--gamma", gamma, columns), _range("--gamma-prime", gamma_prime, rows)
    return two_layer_study(across, along, _widths(widths), seeds, **fixed)


def _measured(
    study: Study,
    place: Path,
    on: str,
    workers: int | None,
    target: Path,
    command: str,
    quiet: bool,
) -> tuple[Diagram, Path]:
    """The diagram, and the page that was written of it."""
    from flowtheory.phase import diagram, samples
    from flowtheory.report.diagram import DIAGRAM, write_diagram
    from flowtheory.sweep import results, sweep

    DIAGRAM.check(target)
    with cost_progress(quiet) as progress:
        sweep(study, place, on=on, workers=workers, progress=progress)
    x, _ = samples(str(study.fixed["data"]))
    found = diagram(results(study, place), x.shape[1])
    return found, write_diagram(found, target, command=command)


def _counts(text: str) -> tuple[int, int]:
    """Columns and rows of "17x17"."""
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        raise _refused("--grid", text, "COLUMNSxROWS, such as 17x17")
    columns, rows = map(int, parts)
    if columns < 2 or rows < 2:
        raise _refused("--grid", text, "2 columns and 2 rows or more: a boundary needs two sides")
    return columns, rows


def _range(option: str, text: str, count: int) -> list[float]:
    low, high = _ends(option, text)
    return np.linspace(low, high, count).tolist()


def _widths(text: str) -> list[int]:
    """Widths of "256:16384", a factor 2 apart, or of a list."""
    if ":" in text:
        low, high = _ends("--widths", text)
        if low < 1:
            raise _refused("--widths", text, "widths >= 2")
        count = int(np.log2(high / low) + 1e-9) + 1
        values = [2 * round(low * 2.0**k / 2) for k in range(count)]
    else:
        try:
            values = [int(part) for part in text.split(",")]
        except ValueError as error:
            raise _refused("--widths", text, "LOW:HIGH, or numbers with commas") from error
    if len(values) < 3:
        raise _refused("--widths", text, "three widths or more: two always lie on a line")
    return values


def _ends(option: str, text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError as error:
        raise _refused(option, text, "LOW:HIGH, two numbers") from error
    if not low < high:
        raise _refused(option, text, "LOW:HIGH with LOW < HIGH")
    return low, high


def _refused(option: str, text: str, expected: str) -> Exception:
    from flowtheory.errors import ParameterError

    return ParameterError(
        f"{option} {text}", expected=expected, fix="flowtheory phase-diagram --help"
    )


def _close(answers: tuple[Judged, ...], rms: float, page: Path) -> None:
    from flowtheory.report.terminal import from_here

    console = stdout()
    for one in answers:
        console.print(f"{one.verdict.value:13} {one.name}", soft_wrap=True)
        told = f"rms {one.left:.3f} (tolerance {one.tolerance:g}, {one.scope})"
        console.print(f"              {told}; {one.alternative}: {one.other:.3f}", soft_wrap=True)
    console.print(f"asymptotic slopes: rms {rms:.3f}")
    console.print(f"Report  {from_here(page.resolve())}", soft_wrap=True)
