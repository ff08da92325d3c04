"""`flowtheory phase-diagram` and `flowtheory where` as a newcomer runs them."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from flowtheory.cli.main import app


def run(*words: str):
    return CliRunner().invoke(app, list(words))


def test_a_small_diagram_is_measured_judged_written_and_gone_on_with(tmp_path):
    words = ["phase-diagram", "--grid", "3x2", "--widths", "64:256", "--workers", "1"]
    places = ["--store", str(tmp_path / "s"), "--report", str(tmp_path / "r")]
    done = run(*words, *places)
    assert done.exit_code in (0, 1), done.output
    assert "AGREES" in done.output or "INCONCLUSIVE" in done.output
    document = json.loads((tmp_path / "r" / "diagram.json").read_text())
    assert document["widths"] == [64, 128, 256]
    assert len(document["slopes"]["w"]) == 2
    assert document["slopes"]["w"][0][0] < 0 < document["slopes"]["w"][0][2]
    assert 0 < document["integration"] < 0.05
    for name in document["files"]:
        assert (tmp_path / "r" / name).stat().st_size > 1000
    page = (tmp_path / "r" / "index.html").read_text()
    assert page.count("data-cell=") == 6
    assert "http" not in page.replace("http://www.w3.org", "")

    wide = run(*words[:2], "3x3", *words[3:], *places)
    assert wide.exit_code in (0, 1), wide.output
    again = json.loads((tmp_path / "r" / "diagram.json").read_text())
    assert again["rd"][0][0][0] == document["rd"][0][0][0]  # the row gamma' = -.4 was kept
    assert len(again["gamma_prime"]) == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["three-layers"], "network"),
        (["--grid", "1x9"], "a boundary needs two sides"),
        (["--grid", "9"], "COLUMNSxROWS"),
        (["--widths", "256:512"], "three widths or more"),
        (["--widths", "many"], "LOW:HIGH, or numbers"),
        (["--gamma", "1.4:0.6"], "LOW < HIGH"),
        (["--gamma", "0.6:99"], "gamma = "),
        (["--activation", "rellu"], "did you mean 'relu'"),
        (["--data", "three-point"], "did you mean 'three-points'"),
        (["--on", "nowhere"], "local, dask or dask:ADDRESS"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_block(tmp_path, words, told):
    places = ["--store", str(tmp_path / "s"), "--report", str(tmp_path / "r")]
    done = run("phase-diagram", "--widths", "64:256", "--grid", "2x2", *words, *places)
    assert done.exit_code == 2
    assert told in done.output.replace("\n", " ")
    assert not (tmp_path / "r").exists()


def test_where_is_my_initialization():
    done = run("where", "--std-a", "0.01", "--std-w", "0.01", "--width", "1000")
    assert done.exit_code == 0
    assert "condensed, balanced" in done.output
    assert "gamma   1.333" in done.output
    assert "mean-field" in done.output
    wrong = run("where", "--std-a", "0", "--std-w", "0.01", "--width", "1000")
    assert wrong.exit_code == 2
    assert "a number > 0" in wrong.output
