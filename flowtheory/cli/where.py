"""`flowtheory where`: the place of an initialization in the phase diagram."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flowtheory.cli.console import clear_errors, stdout


def where(
    std_a: Annotated[
        float, typer.Option("--std-a", help="Standard deviation of the output weights.")
    ],
    std_w: Annotated[
        float, typer.Option("--std-w", help="Standard deviation of the input weights.")
    ],
    width: Annotated[int, typer.Option("--width", metavar="M", help="Hidden neurons.")],
    alpha: Annotated[float, typer.Option(help="Divisor of the output.")] = 1.0,
    activation: Annotated[str, typer.Option(metavar="NAME", help="Activation.")] = "relu",
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the regimes with this place: .png, .svg or .pdf."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Say where an initialization of a two-layer network lies in the phase diagram.

    Standard deviations, not variances. gamma and gamma' are read off at this width; a constant
    factor shifts them by its logarithm over that of the width.

    Try: flowtheory where --std-a 0.01 --std-w 0.01 --width 1000
    """
    with clear_errors(debug):
        from rich.table import Table

        from flowtheory.phase import limits, place_of
        from flowtheory.report.picture_file import check_picture, write_picture

        if plot is not None:
            check_picture(plot)
        place = place_of(width, std_a, std_w, alpha=alpha, activation=activation)
        console = stdout()
        console.print(f"kappa   {place.kappa:.4g}    gamma   {place.gamma:.4g}")
        console.print(f"kappa'  {place.kappa_prime:.4g}    gamma'  {place.gamma_prime:.4g}")
        console.print(f"regime  {place.regime.name}")
        console.print(
            f"slopes  RD of the input weights ~ m^{place.hidden:.3g}, "
            f"of the output weights ~ m^{place.output:.3g}"
        )
        console.print(f"m kappa {place.capability:.3g} (lazy where large, condensed where small)")
        table = Table("initialization", "gamma", "gamma'", box=None, pad_edge=False)
        for name, point in limits(activation).items():
            table.add_row(name, *(f"{value:g}" for value in point))
        console.print()
        console.print(table)
        if plot is not None:
            from flowtheory.report.pictures import regimes_picture

            own = (place.gamma, place.gamma_prime)
            write_picture(regimes_picture(activation, own=own), plot)
            console.print(f"Picture {plot}", soft_wrap=True)
