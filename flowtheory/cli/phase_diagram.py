"""`flowtheory phase-diagram`: a diagram measured, predicted, judged and drawn."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowtheory.cli.console import clear_errors, cost_progress, stderr, stdout
from flowtheory.cli.diagrams import DIAGRAMS, Done, Kind
from flowtheory.cli.grids import Asked, refused
from flowtheory.cli.sweeping import (
    DEFAULT_STORE,
    OnOption,
    StoreOption,
    WorkersOption,
    interrupted,
)

if TYPE_CHECKING:
    import xarray as xr

    from flowtheory.sweep import Study

DISAGREES = 1


Grid = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMNSxROWS",
        help="Points in gamma and in gamma' (gamma_2). Default: 9x9; 9x1 for more layers.",
    ),
]
Gamma = Annotated[
    str | None,
    typer.Option(
        metavar="LOW:HIGH", help="Range of gamma. Default: 0.6:1.4; 0.9:2.5 for three layers."
    ),
]
GammaPrime = Annotated[
    str | None,
    typer.Option(
        "--gamma-prime",
        metavar="LOW:HIGH",
        help="Range of gamma', for two layers. Default: -0.4:0.4.",
    ),
]
Gamma2 = Annotated[
    str | None,
    typer.Option(
        "--gamma-2",
        metavar="LOW:HIGH",
        help="Range of gamma_2 for more layers, or one value. Default: 0; -0.4:0.4 for more rows.",
    ),
]
Widths = Annotated[
    str | None,
    typer.Option(
        metavar="LOW:HIGH",
        help="Widths a factor 2 apart; or a list, 256,1000. Default: 256:16384; 64:512 for more "
        "layers.",
    ),
]
Eps = Annotated[
    float | None,
    typer.Option(
        help="Standard deviation of w, for two layers and a smooth activation. Default: 1."
    ),
]


def phase_diagram(
    network: Annotated[str, typer.Argument(help=f"{', '.join(DIAGRAMS)}.")] = "two-layer",
    activation: Annotated[str, typer.Option(metavar="NAME", help="Activation.")] = "relu",
    grid: Grid = None,
    gamma: Gamma = None,
    gamma_prime: GammaPrime = None,
    gamma_2: Gamma2 = None,
    widths: Widths = None,
    seeds: Annotated[int, typer.Option(metavar="N", help="Starts a point and width.")] = 4,
    data: Annotated[str, typer.Option(metavar="NAME", help="Data set.")] = "three-points",
    loss: Annotated[float, typer.Option(help="End of a run, over the loss of output 0.")] = 1e-3,
    eps: Eps = None,
    store: StoreOption = None,
    on: OnOption = "local",
    workers: WorkersOption = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the report goes. Default: out/phase-diagram."),
    ] = None,
    points: Annotated[
        str | None,
        typer.Option(
            metavar='"G,G\';..."',
            help='Where networks of two layers are drawn, "0.5,0;1,0"; none; default: one of each '
            "kind of a row.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress, no summary.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Measure a phase diagram of condensation, and hold it against theory.

    Every point of the grid is one network a width, trained to the end by the exact flow; the slope
    of its relative distance from the start in the width says how it trains: below 0 lazy, above 0
    condensed. What is stored is not computed again: the same command goes on after Ctrl-C, and a
    larger grid or more seeds computes what is new. Networks of more layers have a slope for every
    layer, and for the hidden matrices one in each norm.

    Exit status: 0, or 1 if a verdict is DISAGREES, 2 bad usage.

    Try: flowtheory phase-diagram two-layer --grid 5x5 --widths 256:2048
    """
    place, target = store or DEFAULT_STORE, report or Path("out/phase-diagram")
    fixed = {"activation": activation, "data": data, "loss": loss}
    asked = Asked(network, grid, gamma, gamma_prime, gamma_2, widths, seeds, eps, points, fixed)
    with clear_errors(debug, interrupted(place)):
        kind = _kind(asked)
        study, command = kind.study(asked)
        kind.place().check(target)
        table = _measured(study, place, on, workers, quiet)
        done = kind.finish(table, study, target, command, asked)
    if not quiet:
        _close(done)
    answers = (one.verdict.value for one in done.answers)
    raise typer.Exit(DISAGREES if "DISAGREES" in answers else 0)


def _kind(asked: Asked) -> Kind:
    from flowtheory.errors import unknown_name
    from flowtheory.symbolic import find_activation

    if asked.network not in DIAGRAMS:
        raise unknown_name("network", asked.network, DIAGRAMS)
    if asked.seeds < 1:
        raise refused("--seeds", str(asked.seeds), "1 start or more")
    find_activation(asked.fixed["activation"])  # before anything runs
    return DIAGRAMS[asked.network]


def _measured(study: Study, place: Path, on: str, workers: int | None, quiet: bool) -> xr.Dataset:
    from flowtheory.sweep import results, sweep

    with cost_progress(quiet) as progress:
        summary = sweep(study, place, on=on, workers=workers, progress=progress)
    table = results(study, place)
    _tell_failures(table["outcome"].values.ravel().tolist(), summary.message)
    return table


def _tell_failures(outcomes: list[str], message: str) -> None:
    """Say which runs did not reach their level, before anything is made of the others."""
    from flowtheory.outcome import Outcome

    bad = Counter(name for name in outcomes if not Outcome(name).ok)
    if not bad:
        return
    told = ", ".join(f"{count} {name}" for name, count in bad.most_common())
    console = stderr()
    console.print(f"{bad.total()} of {len(outcomes)} runs did not reach their loss: {told}")
    if message:
        console.print(f"first failure: {message}", markup=False)


def _close(done: Done) -> None:
    from flowtheory.report.terminal import from_here

    console = stdout()
    for one in done.answers:
        console.print(f"{one.verdict.value:13} {one.name}", soft_wrap=True)
        told = f"rms {one.left:.3f} (tolerance {one.tolerance:g}, {one.scope})"
        console.print(f"              {told}; {one.alternative}: {one.other:.3f}", soft_wrap=True)
    console.print(f"asymptotic slopes: rms {done.rms:.3f}")
    console.print(f"Report  {from_here(done.page.resolve())}", soft_wrap=True)
