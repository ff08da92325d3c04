"""The terminal's summary: 80 columns, no colour codes in a file, and nothing left out."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from report import fake
from rich.console import Console

from flowtheory.judge import Verdict
from flowtheory.report import print_verification, to_dict


def printed(run, width: int = 80, colour: bool = False, paths=None) -> str:
    file = StringIO()
    system = "standard" if colour else "auto"
    console = Console(file=file, width=width, force_terminal=colour, color_system=system)
    print_verification(console, to_dict(run), paths)
    return file.getvalue()


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_longer_than_the_terminal(width):
    assert max(map(len, printed(fake.verification(), width).splitlines())) <= width


def test_everything_is_said():
    text = words(printed(fake.verification(), 100))
    document = to_dict(fake.verification())
    for said in (
        "alignment-time", document["title"], "published", "sharper", "clock sum loss",
        *(one["text"] for one in document["statements"]),
        *(one["claim"] for one in document["findings"]),
        *(f"{one['name']} {one['cases']}" for one in document["controls"]),
        *document["not_shown"], "AGREES", "300 of 301 cases measured",
        "n 2..2,002", "2.00005 ± 0.00029", "Time 41 s",
    ):  # fmt: skip
        assert said in text
    assert text.count("DISAGREES") == len(fake.CONTROLS) + 1


def test_places_of_the_report_are_relative_to_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = {"index.html": tmp_path / "out" / "index.html", "evidence.json": Path("/x/e.json")}
    text = words(printed(fake.verification(), paths=paths))
    assert "Report out/index.html Evidence /x/e.json" in text
    assert "Report" not in printed(fake.verification())


def test_colour_only_on_a_terminal():
    assert "\x1b[" not in printed(fake.verification())
    assert "\x1b[1;32mAGREES" in printed(fake.verification(), colour=True)


def test_a_disagreement_says_what_was_expected():
    result = fake.results()["random"]
    finding = replace(result.findings[0], verdict=Verdict.DISAGREES, value=1.2)
    run = fake.verification(
        verdict=Verdict.DISAGREES, results={"random": replace(result, findings=(finding,))}
    )
    assert "expected ratio <= 1" in printed(run)
    assert "expected ratio <= 1" not in printed(fake.verification())
    assert "\x1b[1;31mDISAGREES" in printed(run, colour=True)


def test_a_control_that_agrees_is_alarming():
    control = replace(fake.CONTROLS[0][1], verdict=Verdict.AGREES)
    run = fake.verification(results={}, controls={"B(sqrt(mu))": control})
    assert "\x1b[1;31mAGREES" in printed(run, colour=True)


def test_text_in_square_brackets_is_not_taken_for_markup():
    law = replace(fake.law(), title="[red]a[/red] [b", not_shown=("[/nothing]",))
    text = printed(fake.verification(law=law, results={}, controls={}))
    assert "[red]a[/red] [b" in text
    assert "[/nothing]" in text
