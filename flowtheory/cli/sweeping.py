"""Options of the commands that sweep, and what they say when they are interrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

StoreOption = Annotated[
    Path | None,
    typer.Option("--store", metavar="DIR", help="Where results are kept. Default: out/sweeps."),
]
OnOption = Annotated[
    str,
    typer.Option("--on", metavar="PLACE", help="local, dask, or dask:ADDRESS of a scheduler."),
]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", help="Processes here. Default: one a core."),
]
DEFAULT_STORE = Path("out/sweeps")


def interrupted(store: Path) -> Callable[[], str]:
    """What is said after Ctrl-C."""
    return lambda: f"what was stored is in {store}\n  go on with the same command"
