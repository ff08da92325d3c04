"""Entry point of the `flowtheory` command."""

from __future__ import annotations

from typing import Annotated

import typer

from flowtheory.cli.derive import derive
from flowtheory.cli.laws import laws
from flowtheory.cli.verify import verify

_HELP = """Derive, integrate, measure and judge small-initialization training dynamics.

Try: flowtheory verify alignment-time
"""

app = typer.Typer(
    name="flowtheory",
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(verify)
app.command()(laws)
app.command()(derive)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"flowtheory {version('flowtheory')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    app()
