"""The verdict on a terminal: 80 columns are enough, colour only where there is a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from flowtheory.report.numbers import number, span, with_error

STYLES = {"AGREES": "bold green", "DISAGREES": "bold red", "INCONCLUSIVE": "bold yellow"}
# A control that agrees is the failure.
_CONTROL_STYLES = {"AGREES": "bold red", "DISAGREES": "green", "INCONCLUSIVE": "bold yellow"}


def print_verification(
    console: Console, document: Mapping[str, Any], paths: Mapping[str, Path] | None = None
) -> None:
    """Print a document made by `to_dict`, and where the report lies (what `write_report` gave)."""
    console.print(
        Group(
            Text.assemble((document["law"], "bold"), "   ", document["title"]),
            _indented(_statements(document)),
            Text(),
            _indented(_findings(document)),
            Text(),
            _verdict(document),
            _closing(document, paths or {}),
        )
    )


def _indented(inside: RenderableType) -> Padding:
    return Padding(inside, (0, 0, 0, 2))


def labelled(rows: Sequence[tuple[str, Text]]) -> Table:
    """Lines with a label each, the text beside it hanging."""
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column()
    for label, content in rows:
        table.add_row(label, content)
    return table


def _statements(document: Mapping[str, Any]) -> Table:
    rows, role, source = [], "", ""
    for one in document["statements"]:
        # What is as in the line above is not repeated.
        about = [one["note"], "" if one["source"] == source else one["source"]]
        content = Text(one["text"])
        for words in filter(None, about):
            content.append(f"\n{words}", "dim")
        rows.append(("" if one["role"] == role else one["role"], content))
        role, source = one["role"], one["source"]
    return labelled([*rows, ("clock", Text(document["clock"]))])


def _findings(document: Mapping[str, Any]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("finding")
    table.add_column("cases", justify="right", no_wrap=True)
    table.add_column("found", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for one in document["findings"]:
        claim = Text(one["claim"])
        if one["verdict"] != "AGREES":
            claim.append(f"\nexpected {one['expected']}", "dim")
        interval = one["interval"]
        found = with_error(one["value"], *interval) if interval else number(one["value"])
        verdict = Text(one["verdict"], STYLES[one["verdict"]])
        table.add_row(claim, str(one["cases"]), found, verdict)
    _add_controls(table, document["controls"])
    _add_certificates(table, document["certificates"])
    return table


def _add_controls(table: Table, controls: Sequence[Mapping[str, Any]]) -> None:
    if controls:
        table.add_row(Text("controls, which must come out DISAGREES", "dim"))
    for one in controls:
        verdict = Text(one["verdict"], _CONTROL_STYLES[one["verdict"]])
        table.add_row(one["name"], str(one["cases"]), number(one["value"]), verdict)


def _add_certificates(table: Table, certificates: Sequence[Mapping[str, Any]]) -> None:
    if certificates:
        table.add_row(Text("certificates: rows proved in ball arithmetic", "dim"))
    for one in certificates:
        claim, refuted = Text(one["claim"]), one["refuted"]
        if one["detail"]:
            claim.append(f"\n{one['detail']}", "dim")
        whole = one["certified"] == one["rows"]
        said = f"{refuted} REFUTED" if refuted else "all" if whole else f"{one['unproved']} not"
        style = "bold red" if refuted else "green" if whole else "yellow"
        table.add_row(claim, str(one["rows"]), f"{one['certified']} proved", Text(said, style))


def _verdict(document: Mapping[str, Any]) -> Table:
    tested = document["range"]
    numbers = [f"{name} {span(*found)}" for name, found in tested["parameters"].items()]
    counts = f"{tested['measured']} of {tested['cases']} cases measured"
    table = labelled([])
    table.add_row(
        Text(document["verdict"], STYLES[document["verdict"]]), ", ".join([counts, *numbers])
    )
    if document["stopped"]:
        table.add_row("", Text(document["stopped"], "bold yellow"))
    return table


def _closing(document: Mapping[str, Any], paths: Mapping[str, Path]) -> Table:
    rows = [("Not shown", Text("\n".join(document["not_shown"])))]
    for label, file in (("Report", "index.html"), ("Evidence", "evidence.json")):
        if file in paths:
            rows.append((label, Text(str(from_here(paths[file])), overflow="fold")))
    return labelled([*rows, ("Time", Text(f"{document['seconds']:.0f} s"))])


def from_here(path: Path) -> Path:
    """The path from the current directory, if it is below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
