"""A law of the user's own, from a Python file."""

from __future__ import annotations

from pathlib import Path

from flowtheory.errors import LawError
from flowtheory.laws.check import check_law
from flowtheory.laws.record import Law
from flowtheory.laws.registry import get_law
from flowtheory.userfile import run_file

_MORE = "docs/adding-a-law.md"


def load_law(path: str | Path) -> Law:
    """Run the user's own Python file and take its `LAW`.

    The file is executed: load only files that you wrote or read.

    Raises:
        FileFormatError: There is no such file, or it raises.
        LawError: It defines no `LAW`, or one that is not complete.
    """
    found = run_file(path, "LAW", more=_MORE)
    if "LAW" not in found:
        raise LawError(
            f"{path} defines no `LAW`",
            expected="an object of flowtheory.laws.Law called `LAW`",
            fix="flowtheory new-law NAME writes a template that runs",
            more=_MORE,
        )
    return check_law(found["LAW"])


def find_law(name: str) -> Law:
    """A registered law by its name, or the law of a Python file by its path."""
    return load_law(name) if name.endswith(".py") else get_law(name)
