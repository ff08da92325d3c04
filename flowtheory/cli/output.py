"""Where a verification goes: a report, a JSON file, the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from flowtheory.cli.console import stderr


@dataclass(frozen=True)
class Output:
    """What the options of `flowtheory verify` say about it.

    Attributes:
        report: the directory of the report; None for the default.
        no_report: whether none is written.
        json_path: of the JSON file; - for standard output, None for none.
        quiet: whether nothing is said.
    """

    report: Path | None
    no_report: bool
    json_path: str | None
    quiet: bool

    @property
    def silent(self) -> bool:
        """Whether the terminal is left alone, because standard output is taken or by request."""
        return self.quiet or self.json_path == "-"

    def check(self) -> None:
        """Fail before a long run if the JSON file cannot be written."""
        from flowtheory.report.json_file import check_json_path

        if self.json_path not in (None, "-"):
            check_json_path(Path(self.json_path))

    def write(self, document: dict[str, Any]) -> None:
        """Write a document where `--json` wants it, if it does."""
        from flowtheory.report import to_json
        from flowtheory.report.json_file import write_json

        if self.json_path == "-":
            typer.echo(to_json(document).rstrip("\n"))
        elif self.json_path is not None:
            write_json(document, Path(self.json_path))
            if not self.quiet:
                stderr().print(f"evidence: {self.json_path}")
