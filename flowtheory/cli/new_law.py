"""`flowtheory new-law`: a template that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flowtheory.cli.console import clear_errors, stdout


def new_law(
    name: Annotated[str, typer.Argument(help="Lower-case words joined by hyphens.")],
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Write NAME.py: a law of your own that runs, to be changed line by line.

    Next: flowtheory verify NAME.py
    """
    with clear_errors(debug):
        path = _path(name)
        from flowtheory.report.json_file import write_text

        text = Path(__file__).with_name("my_law.py.txt").read_text(encoding="utf-8")
        write_text(text.replace('"my-law"', f'"{name}"').replace("FILE", path.name), path)
        stdout().print(f"{path}\nNext: flowtheory verify {path} --quick", highlight=False)


def _path(name: str) -> Path:
    import re

    from flowtheory.errors import OutputError, ParameterError

    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise ParameterError(
            f"{name!r} is not a name of a law",
            expected="lower-case words joined by hyphens",
            fix="flowtheory new-law my-law",
        )
    path = Path(name.replace("-", "_") + ".py")
    if path.exists():
        raise OutputError(
            f"{path} exists already",
            expected="a name that is free in this directory",
            fix="another name, or move the file away",
        )
    return path
