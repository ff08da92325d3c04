"""`flowtheory phase-diagram` and `flowtheory where` as a newcomer runs them."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from flowtheory.cli.main import app
from flowtheory.cli.points import default_points, drawn_widths
from flowtheory.phase import Diagram


def run(*words: str):
    return CliRunner().invoke(app, list(words))


def test_a_small_diagram_is_measured_judged_written_and_gone_on_with(tmp_path):
    words = ["phase-diagram", "--grid", "3x2", "--widths", "64:256", "--workers", "1"]
    places = ["--store", str(tmp_path / "s"), "--report", str(tmp_path / "r")]
    done = run(*words, *places)
    document = json.loads((tmp_path / "r" / "diagram.json").read_text())
    verdicts = [one["verdict"] for one in document["judged"]]
    assert [line.split()[0] for line in done.output.splitlines()[:3:2]] == verdicts
    assert done.exit_code == int("DISAGREES" in verdicts)
    assert document["widths"] == [64, 128, 256]
    assert len(document["slopes"]["w"]) == 2
    assert document["slopes"]["w"][0][0] < 0 < document["slopes"]["w"][0][2]
    assert 0 < document["integration"] < 0.05
    for name in document["files"]:
        assert (tmp_path / "r" / name).stat().st_size > 1000
    page = (tmp_path / "r" / "index.html").read_text()
    assert page.count("data-cell=") == 6
    # An image's base64 may spell "http", never "://".
    assert set(re.findall(r"https?://[\w.]*", page)) <= {"http://www.w3.org"}

    # One of each kind in the row nearest to gamma' = 0, which here is the first of two.
    kinds = {name for name in ("features", "functions", "similarity") if f'id="{name}"' in page}
    assert kinds == {"features", "functions", "similarity"}

    wide = run(*words[:2], "3x3", *words[3:], *places, "--points", "none")
    assert wide.exit_code in (0, 1), wide.output
    again = json.loads((tmp_path / "r" / "diagram.json").read_text())
    assert "features.png" in document["files"]
    assert "features.png" not in again["files"]  # and the file is gone, with the former report
    assert again["command"].endswith('--points "none"')
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
        (["--points", "1"], "GAMMA,GAMMA' with semicolons"),
        (["--points", "1,0;1,0"], "each point once"),
        (["--points", "1,99"], "gamma_prime = 99"),
        (["--gamma-2", "0:1"], "two-layer networks have no --gamma-2"),
        (["three-layer", "--gamma-prime", "0:1"], "three-layer networks have no --gamma-prime"),
        (["three-layer", "--eps", "0.1"], "three-layer networks have no --eps"),
        (["three-layer", "--activation", "tanh"], "not homogeneous of degree 1"),
        (["three-layer", "--gamma-2", "0"], "LOW:HIGH, for 2 values"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_block(tmp_path, words, told):
    places = ["--store", str(tmp_path / "s"), "--report", str(tmp_path / "r")]
    done = run("phase-diagram", "--widths", "64:256", "--grid", "2x2", *words, *places)
    assert done.exit_code == 2
    assert told in done.output.replace("\n", " ")
    assert not (tmp_path / "r").exists()


def test_a_small_diagram_of_three_layers(tmp_path):
    words = [
        "phase-diagram",
        "three-layer",
        "--grid",
        "3x2",
        "--widths",
        "32:128",
        "--workers",
        "1",
    ]
    more = ["--gamma-2", "0:0.4", "--seeds", "2"]
    places = ["--store", str(tmp_path / "s"), "--report", str(tmp_path / "r")]
    done = run(*words, *more, *places)
    document = json.loads((tmp_path / "r" / "diagram.json").read_text())
    verdicts = [one["verdict"] for one in document["judged"]]
    assert [line.split()[0] for line in done.output.splitlines()[:10:2]] == verdicts
    assert done.exit_code == int("DISAGREES" in verdicts)
    slopes = document["slopes"]
    assert set(slopes) == {"input", "hidden", "operator", "output"}
    assert slopes["input"][0][0] < 0 < slopes["input"][0][2]
    assert slopes["input"][1][2] < slopes["input"][0][2]
    assert slopes["hidden"][0][2] < slopes["operator"][0][2] - 0.3
    for name in document["files"]:
        assert (tmp_path / "r" / name).stat().st_size > 1000
    page = (tmp_path / "r" / "index.html").read_text()
    assert page.count("<svg") == 3  # maps, slopes, RD over the width
    assert document["command"] in page


def test_where_is_my_initialization():
    done = run("where", "--std-a", "0.01", "--std-w", "0.01", "--width", "1000")
    assert done.exit_code == 0
    assert "condensed, balanced" in done.output
    assert "gamma   1.333" in done.output
    assert "mean-field" in done.output
    wrong = run("where", "--std-a", "0", "--std-w", "0.01", "--width", "1000")
    assert wrong.exit_code == 2
    assert "a number > 0" in wrong.output


def test_where_draws_the_place(tmp_path):
    words = ["where", "--std-a", "0.01", "--std-w", "0.01", "--width", "1000", "--plot"]
    done = run(*words, str(tmp_path / "regimes.svg"))
    assert done.exit_code == 0, done.output
    assert (tmp_path / "regimes.svg").read_text().startswith("<?xml")
    assert [path.name for path in tmp_path.iterdir()] == ["regimes.svg"]
    for name, told in (("r.txt", "one of .png"), ("", "format"), ("no/r.png", "No such file")):
        wrong = run(*words, str(tmp_path / name))
        assert wrong.exit_code == 2
        assert told in wrong.output.replace("\n", " ")
    (tmp_path / "folder.png").mkdir()
    assert "it is a directory" in run(*words, str(tmp_path / "folder.png")).output


@pytest.mark.parametrize(
    ("slopes", "chosen"),
    [
        ([-0.4, -0.2, 0.0, 0.1, 0.2], [(0.6, 0.0), (1.0, 0.0), (1.4, 0.0)]),
        ([-0.4, -0.3, -0.2, -0.1, -0.06], [(0.6, 0.0)]),
        ([0.1, 0.1, 0.1, 0.2, np.nan], [(1.2, 0.0)]),
    ],
)
def test_networks_are_drawn_at_one_point_of_each_kind(slopes, chosen):
    gamma, other = np.linspace(0.6, 1.4, 5), np.array([-0.4, 0.0, 0.4])
    rows = np.stack([np.full(5, -1.0), slopes, np.full(5, -1.0)])
    made = SimpleNamespace(gamma=gamma, gamma_prime=other, error=np.full((3, 5), np.nan))
    made.slopes = SimpleNamespace(hidden=rows)
    made.kinds = Diagram.kinds.fget(made)
    np.testing.assert_allclose(default_points(made), chosen)


def test_widths_that_are_drawn_are_few_and_not_too_wide():
    widths = [2.0**k for k in range(8, 21)]
    assert drawn_widths(SimpleNamespace(widths=widths)) == [256, 4096, 32768]
    assert drawn_widths(SimpleNamespace(widths=[1e6, 2e6, 4e6])) == [1000000]


def test_runs_that_do_not_reach_their_loss_are_counted(tmp_path):
    places = ["--store", str(tmp_path / "s"), "--report", str(tmp_path / "r")]
    over = ["--activation", "z*exp(z)", "--eps", "1000"]  # overflows at the first step
    small = ["--grid", "2x2", "--widths", "8,16,32", "--seeds", "1", "--workers", "1"]
    done = run("phase-diagram", *over, *small, *places)
    assert done.exit_code == 2
    counts = re.search(r"12 of 12 runs did not reach their loss: ([\w ,]+)\n", done.output)
    assert counts is not None
    found = {name: int(count) for count, name in (one.split() for one in counts[1].split(", "))}
    assert sum(found.values()) == 12
    assert set(found) <= {"nonfinite", "step_limit"}  # one or the other: rounding decides
    assert "no slope is known" in done.output
    assert not (tmp_path / "r").exists()
