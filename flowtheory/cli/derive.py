"""`flowtheory derive`: how a law follows, step by step, from the symbolic engine."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from flowtheory.cli.console import clear_errors


class Format(StrEnum):
    """How a derivation is printed."""

    TEXT = "text"
    LATEX = "latex"
    JSON = "json"


def derive(
    law: Annotated[str, typer.Argument(help="Name of a law; `flowtheory laws` lists them.")],
    format: Annotated[
        Format, typer.Option(help="Unicode text, a LaTeX document that compiles, or JSON.")
    ] = Format.TEXT,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Show the derivation of a law, computed by the symbolic engine.

    Width, input dimension and number of samples stay symbols. Nothing else is printed, so the
    output can be piped: flowtheory derive alignment-time --format latex > alignment.tex
    """
    with clear_errors(debug):
        from flowtheory.errors import UnknownNameError
        from flowtheory.laws.registry import get_law

        record = get_law(law)
        if record.derive is None:
            raise UnknownNameError(
                f"the law {law!r} has no derivation",
                expected="a law whose record names one",
                fix="flowtheory laws",
            )
        derivation = record.derive()
        render = {
            Format.TEXT: derivation.text,
            Format.LATEX: derivation.latex,
            Format.JSON: derivation.json,
        }
        typer.echo(render[format]().rstrip("\n"))
