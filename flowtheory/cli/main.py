"""Entry point of the `flowtheory` command."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from flowtheory.cli.cache import use_compilation_cache
from flowtheory.cli.conserve import conserve
from flowtheory.cli.derive import derive
from flowtheory.cli.flow import flow
from flowtheory.cli.laws import laws
from flowtheory.cli.new_law import new_law
from flowtheory.cli.phase_diagram import phase_diagram
from flowtheory.cli.sweep import sweep
from flowtheory.cli.verify import verify
from flowtheory.cli.where import where

_HELP = """Derive, integrate, measure and judge small-initialization training dynamics.

Try: flowtheory verify alignment-time
"""

app = typer.Typer(
    name="flowtheory",
    help=_HELP,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(verify)
app.command()(laws)
app.command()(new_law)
app.command()(derive)
app.command()(conserve)
app.command()(flow)
app.command()(sweep)
app.command()(phase_diagram)
app.command()(where)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"flowtheory {version('flowtheory')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version)
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line."""
    use_compilation_cache(os.environ)
    app()
