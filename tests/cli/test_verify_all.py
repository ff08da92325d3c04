"""All laws in processes of their own, resumed by law; a law of the user's own; a template."""

from __future__ import annotations

import json
from types import MappingProxyType

import pytest
from typer.testing import CliRunner

from flowtheory.cli import verify_all
from flowtheory.cli.main import app
from flowtheory.laws.registry import LAWS

RUNNER = CliRunner()
ONE = "deep-linear-time"


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*arguments):
    return RUNNER.invoke(app, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture
def two_laws(monkeypatch):
    """One that runs, and one that a worker does not find."""
    laws = {ONE: LAWS[ONE], "no-such-law": LAWS[ONE]}
    monkeypatch.setattr(verify_all, "LAWS", MappingProxyType(laws))


def test_all_laws_are_verified_and_finished_ones_are_kept(two_laws, tmp_path):
    first = run("verify", "--all", "--quick", "--data", "synthetic", "--jobs", 2)
    assert first.exit_code == 2
    assert f"AGREES        {ONE}" in first.stderr
    assert "FAILED        no-such-law: unknown law 'no-such-law'" in first.stderr
    assert "1 AGREES, 1 FAILED" in first.stdout
    atlas = tmp_path / "out" / "atlas"
    listed = json.loads((atlas / "atlas.json").read_text())
    assert [law["law"] for law in listed["laws"]] == [ONE]
    assert (
        listed["command"]
        == "flowtheory verify --all --data synthetic --classes 0,1 --seed 0 --quick"
    )
    before = (atlas / ONE / "evidence.json").stat().st_mtime_ns
    again = run("verify", "--all", "--quick", "--data", "synthetic", "--json", "all.json")
    assert "1 laws taken over" in again.stdout
    assert (atlas / ONE / "evidence.json").stat().st_mtime_ns == before
    assert json.loads((tmp_path / "all.json").read_text())["laws"] == listed["laws"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "neither a law nor --all"),
        (("--all", ONE), "both a law and --all"),
        (("--all", "--no-report"), "--all and --no-report"),
        (("--all", "--jobs", "0"), "--jobs is 0"),
        (("missing.py",), "missing.py is not a file"),
        ((ONE, "--time-limit", "-1"), "the time limit is -1"),
    ],
)
def test_bad_usage_is_one_clear_error(arguments, message):
    result = run("verify", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_the_template_runs_agrees_and_can_be_stopped(tmp_path):
    made = run("new-law", "my-guess")
    assert made.exit_code == 0
    assert "flowtheory verify my_guess.py" in made.stdout
    result = run("verify", "my_guess.py", "--quick")
    assert result.exit_code == 0
    assert "AGREES" in result.stdout
    assert (tmp_path / "out" / "my-guess" / "index.html").is_file()
    text = (tmp_path / "my_guess.py").read_text()
    (tmp_path / "my_guess.py").write_text(text.replace("TIME = sp", "TIME = 2 * sp"))
    wrong = run("verify", "my_guess.py", "--quick", "--no-report")
    assert wrong.exit_code == 1
    endless = text.replace("    rng = np", "    import time\n\n    time.sleep(60)\n    rng = np")
    (tmp_path / "my_guess.py").write_text(endless)
    stopped = run("verify", "my_guess.py", "--quick", "--no-report", "--time-limit", "0.5")
    assert stopped.exit_code == 3
    assert "stopped after 0.5 s, in the experiment 'scales'" in stopped.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("LAW = Law(", "RULE = Law("), "defines no `LAW`"),
        (("LAW = Law(", "LAW = dict("), "is 'dict', not a law"),
        (('"1/time")', '"time")'), "not homogeneous in time"),
        (("import flowtheory as ft", "import flowteory as ft"), "ModuleNotFoundError"),
        (("TIME = sp.log(1 / eps) / rate", "TIME = sp.Symbol('b') / rate"), "not described: b"),
    ],
)
def test_a_law_file_with_a_mistake_is_one_clear_error(tmp_path, change, message):
    run("new-law", "my-guess")
    path = tmp_path / "my_guess.py"
    path.write_text(path.read_text().replace(*change))
    result = run("verify", "my_guess.py", "--quick")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_template_does_not_replace_a_file(tmp_path):
    (tmp_path / "my_guess.py").write_text("mine")
    result = run("new-law", "my-guess")
    assert result.exit_code == 2
    assert "my_guess.py exists already" in result.stderr
    assert (tmp_path / "my_guess.py").read_text() == "mine"
    assert "not a name of a law" in run("new-law", "My Guess").stderr
