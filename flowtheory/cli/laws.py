"""`flowtheory laws`: the registry."""

from __future__ import annotations

from rich.table import Table

from flowtheory.cli.console import stdout


def laws() -> None:
    """List the laws that can be verified, with their sources."""
    from flowtheory.laws.registry import LAWS

    table = Table(box=None, pad_edge=False)
    for heading in ("law", "statement", "source"):
        table.add_column(heading, overflow="fold")
    for law in LAWS.values():
        table.add_row(law.name, law.title, law.statements[0].source)
    console = stdout()
    console.print(table)
    console.print(f"\nNext: flowtheory verify {next(iter(LAWS))}")
