"""`flowtheory flow`: a run from a file, results whole or not at all, a mistake is one error."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import flowtheory as ft
from flowtheory.cli.main import app
from flowtheory.engine.keys import SECTIONS
from flowtheory.engine.spec import read_spec
from flowtheory.errors import FlowtheoryError

ROOT = Path(__file__).parents[2]
DATA = "[data]\nx = [[1.0, 0.5], [-0.3, 1.2]]\ny = [0.9, -0.4]\n"
SMALL = DATA + "[init]\nwidth = 3\nseed = 1\n[run]\nuntil = { loss_below = 0.01 }\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["flow", *arguments])


def write(text: str, name: str = "small.toml") -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def files(directory: Path) -> set[str]:
    found = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix() for path in found}


def direct() -> ft.Run:
    """The same run, from Python."""
    x, y = np.array([[1.0, 0.5], [-0.3, 1.2]]), np.array([0.9, -0.4])
    flow = ft.GradientFlow(ft.fully_connected(2), x=x, y=y)
    return flow.solve(flow.init(scale=1e-6, seed=1, width=3), until=ft.loss_below(0.01))


class TestRun:
    def test_it_is_the_run_that_python_makes(self, here):
        result = call(write(SMALL), "--output", "results")
        assert result.exit_code == 0, result.output
        run, same = ft.Run.load("results/run.npz"), direct()
        np.testing.assert_array_equal(run.times, same.times)
        np.testing.assert_array_equal(run.loss, same.loss)
        assert run.error_estimate == same.error_estimate

    def test_what_is_written_is_said_and_nothing_else_lies_about(self, here):
        result = call(write(SMALL))
        wanted = {"run.npz", "summary.json", "run.svg", "run.png"}
        assert files(here) == {"small.toml"} | {f"out/small/{name}" for name in wanted}
        for name in wanted:
            assert name in result.stdout
        assert "event (loss below 0.01)" in result.stdout
        assert 'ft.Run.load("out/small/run.npz")' in result.stdout
        assert max(map(len, result.stdout.splitlines())) <= 80

    def test_json_on_standard_output_is_the_summary_alone(self, here):
        result = call(write(SMALL), "--json", "-")
        summary = json.loads(result.stdout)
        assert summary == json.loads(Path("out/small/summary.json").read_text(encoding="utf-8"))
        assert summary["outcome"] == "event"
        assert summary["command"] == "flowtheory flow small.toml"
        assert summary["files"] == ["run.npz", "summary.json", "run.svg", "run.png"]

    def test_json_to_a_file_and_quiet(self, here):
        result = call(write(SMALL), "--json", "found.json", "--quiet")
        assert result.output == ""
        assert json.loads(Path("found.json").read_text(encoding="utf-8"))["outcome"] == "event"

    def test_former_results_are_replaced_and_other_files_are_not(self, here):
        call(write(SMALL + '[output]\nformats = ["pdf"]\n'))
        assert files(here / "out/small") == {"run.npz", "summary.json", "run.pdf"}
        call(write(SMALL))
        assert files(here / "out/small") == {"run.npz", "summary.json", "run.svg", "run.png"}
        Path("out/small/notes.txt").touch()
        result = call(write(SMALL))
        assert result.exit_code == 2
        assert "notes.txt" in result.stderr

    def test_a_spent_budget_is_no_success_and_can_be_raised(self, here):
        limited = SMALL + "max_steps = 10\n"
        result = call(write(limited))
        assert result.exit_code == 1
        assert "raise max_steps in [run]: flowtheory flow small.toml --resume" in result.stderr
        assert ft.Run.load("out/small/run.npz").outcome is ft.Outcome.STEP_LIMIT
        assert call(write(SMALL)).exit_code == 2
        result = call(write(SMALL), "--resume")
        assert result.exit_code == 0
        np.testing.assert_allclose(ft.Run.load("out/small/run.npz").t_end, direct().t_end, 1e-12)
        assert "out/small.checkpoint.npz" not in files(here)

    def test_a_run_that_cannot_reach_its_end_leaves_no_checkpoint(self, here):
        # Two labels at one input: the least loss is the variance of the labels.
        result = call(write(SMALL.replace("[-0.3, 1.2]", "[1.0, 0.5]")), "--quiet")
        assert result.exit_code == 1
        assert files(here / "out") == {
            f"small/{name}" for name in ("run.npz", "summary.json", "run.svg", "run.png")
        }
        assert not ft.Run.load("out/small/run.npz").outcome.ok

    def test_a_run_that_ends_where_it_begins_has_no_figure(self, here):
        result = call(write(SMALL.replace("0.01", "100")))
        assert result.exit_code == 0, result.output
        assert files(here / "out/small") == {"run.npz", "summary.json"}
        assert ft.Run.load("out/small/run.npz").t_end == 0

    def test_resume_without_a_checkpoint_begins_anew_and_says_so(self, here):
        result = call(write(SMALL), "--resume")
        assert result.exit_code == 0
        assert "begins anew" in result.stderr

    def test_a_file_that_was_changed_does_not_go_on(self, here):
        call(write(SMALL + "max_steps = 10\n"))
        result = call(write(SMALL.replace("seed = 1", "seed = 2")), "--resume")
        assert result.exit_code == 2
        assert "another run: it differs in start" in result.stderr


class TestSources:
    """Every way to give data or a start ends in the same run."""

    @pytest.fixture
    def arrays(self, here) -> dict[str, np.ndarray]:
        x, y = np.array([[1.0, 0.5], [-0.3, 1.2]]), np.array([0.9, -0.4])
        np.savez("data.npz", x=x, y=y)
        np.save("x.npy", x)
        np.savetxt("y.csv", y, delimiter=",")
        np.savetxt("data.csv", np.column_stack([x, y]), delimiter=",", header="a,b,y", comments="")
        return {"x": x, "y": y}

    @pytest.mark.parametrize(
        "given", ['file = "data.npz"', 'file = "data.csv"', 'x = "x.npy"\ny = "y.csv"']
    )
    def test_files(self, arrays, given):
        from flowtheory.engine.build import make_flow

        flow = make_flow(read_spec(write(f"[data]\n{given}\n")))
        for name, array in arrays.items():
            np.testing.assert_array_equal(flow.data[name], array)

    def test_paths_are_seen_from_the_file(self, arrays, monkeypatch):
        from flowtheory.engine.build import make_flow

        Path("elsewhere").mkdir()
        write('[data]\nfile = "data.npz"\n')
        monkeypatch.chdir("elsewhere")
        flow = make_flow(read_spec("../small.toml"))
        np.testing.assert_array_equal(flow.data["x"], arrays["x"])

    def test_families_and_digits(self, here):
        from flowtheory.data import digits, family
        from flowtheory.engine.build import make_flow

        text = '[data]\nfamily = "fan"\noptions = { n = 5, mu = 0.2 }\n'
        made = make_flow(read_spec(write(text)))
        np.testing.assert_array_equal(made.data["x"], family("fan")(n=5, mu=0.2).data.x)
        made = make_flow(read_spec(write("[data]\ndigits = [3, 8]\n")))
        np.testing.assert_array_equal(made.data["y"], digits(3, 8).y)

    def test_a_start_from_a_file(self, arrays):
        from flowtheory.engine.build import make_flow, make_start

        start = {"W": np.ones((3, 2)), "v": np.arange(3.0)}
        np.savez("start.npz", **start)
        spec = read_spec(write('[data]\nfile = "data.npz"\n[init]\nfile = "start.npz"\n'))
        made = make_start(spec, make_flow(spec))
        for name, array in start.items():
            np.testing.assert_array_equal(made[name], array)

    def test_a_network_from_a_file(self, arrays):
        from flowtheory.engine.build import make_flow

        Path("net.py").write_text(
            "import flowtheory as ft\n"
            "network = ft.fully_connected(layers=3, activation='z*tanh(z)')\n",
            encoding="utf-8",
        )
        text = '[network]\nfile = "net.py"\n[data]\nfile = "data.npz"\n'
        assert len(make_flow(read_spec(write(text))).network.parameters) == 3


MISTAKES = {
    "section": ("[netwrk]\nlayers = 2\n", 1, "[netwrk] is no section", "network"),
    "key": ('[network]\nlayers = 2\nactvation = "tanh"\n', 3, "actvation is no key", "activation"),
    "no section": ("layers = 2\n", None, "layers stands in no section", "[network]"),
    "kind": ('[network]\nlayers = "2"\n', 2, "layers is '2'", "layers = 2"),
    "a truth value": ("[network]\nlayers = true\n", 2, "layers is true", "layers = 2"),
    "architecture": (
        '[network]\narchitecture = "fully-conected"\n',
        2,
        "unknown architecture",
        "fully-connected",
    ),
    "activation": ('[network]\nactivation = "tanhh"\n', 2, "unknown activation", "tanh"),
    "loss": (SMALL + '[loss]\nname = "mes"\n', 10, "unknown loss", "mse"),
    "reduction": (SMALL + '[loss]\nreduction = "men"\n', 10, "reduction is 'men'", "mean"),
    "array": (SMALL.replace("y =", "z ="), 3, "neither a key nor an array", ""),
    "event": (SMALL.replace("loss_below", "loss_belw"), 8, "loss_belw is no event", "loss_below"),
    "level": (SMALL.replace("0.01", "-0.01"), 8, "loss_below(-0.01)", ""),
    "observable": (SMALL + 'save = ["norm"]\n', 9, "norm is no observable", "norms"),
    "format": (SMALL + '[output]\nformats = ["jpeg"]\n', 10, "jpeg is not written", ""),
    "no end": (DATA + "[run]\nrtol = 1e-8\n", 4, "neither a final time nor an event", "until"),
    "rtol": (SMALL + "rtol = 1.0\n", 9, "rtol is 1.0", ""),
    "atol": (SMALL + "atol = 1e-3\n", 9, "atol is 0.001", ""),
    "time": (SMALL + "t_end = -1\n", 7, "from t = 0.0 to t = -1", ""),
    "method": (SMALL + 'method = "euler"\n', 9, "method is 'euler'", ""),
    "scale": (SMALL.replace("width = 3", "scale = 0"), 5, "scale of W is 0", ""),
    "width": (SMALL.replace("width = 3", "width = { q = 3 }"), 5, "has no width q", ""),
    "shapes": (SMALL.replace("[0.9, -0.4]", "[0.9]"), 3, "y has n = 1", ""),
    "ragged": (SMALL.replace("[-0.3, 1.2]", "[-0.3]"), 2, "different lengths", ""),
    "missing": (SMALL.replace("y =", "# y ="), 1, "y is missing", ""),
    "nan": (SMALL.replace("0.9", "nan"), 3, "non-finite", ""),
    "no file": ('[data]\nfile = "nope.npz"\n', 2, "No such file", ""),
    "two sources": ('[data]\ndigits = [0, 1]\nmnist = "x"\n', 3, "together with digits", ""),
    "option alone": ("[data]\noptions = { mu = 0.1 }\n", 2, "no family", ""),
    "family": ('[data]\nfamily = "fann"\n', 2, "unknown family", "fan"),
    "family option": (
        '[data]\nfamily = "fan"\noptions = { muu = 0.1 }\n',
        3,
        "no option 'muu'",
        "mu",
    ),
    "no TOML": ("[network\nlayers = 2\n", None, "line 1", ""),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_error_that_names_the_line(here, mistake):
    text, line, words, near = MISTAKES[mistake]
    result = call(write(text))
    assert result.exit_code == 2
    first = result.stderr.splitlines()[0]
    assert first.startswith("error small.toml" + (f":{line}: [" if line else ""))
    assert words in first
    assert near in re.search(r"^  fix (.*)", result.stderr, re.MULTILINE)[1]
    assert "Traceback" not in result.output
    assert files(here) == {"small.toml"}
    assert not (here / "out").exists()


def test_a_missing_file(here):
    result = call("nothing.toml")
    assert result.exit_code == 2
    assert "nothing.toml cannot be read: No such file" in result.stderr


@pytest.mark.parametrize(
    "example", sorted((ROOT / "examples").glob("*.toml")), ids=lambda p: p.name
)
def test_the_examples_are_read(example):
    from flowtheory.engine.build import make_flow, make_start, options, output

    spec = read_spec(example)
    flow = make_flow(spec)
    assert flow.energy(make_start(spec, flow)) > 0
    assert options(spec)["until"].events
    assert output(spec)[0].parts[0] == "out"


def test_every_key_has_its_kind_and_its_words():
    for section, keys in SECTIONS.items():
        for name, key in keys.items():
            example = f"[{section}]\nkey = {key.kind.example}\n"
            assert key.kind.test(tomllib.loads(example)[section]["key"]), (section, name)
            assert key.says


LONG = """
[data]
x = [[1.0, 0.5], [-0.3, 1.2]]
y = [0.9, -0.4]
[init]
width = 3
seed = 1
[run]
until = { loss_below = 1e-20 }
rtol = 1e-14
method = "tsit5"
every = 0.0
"""


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as SIGINT")
def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(here):
    write(LONG)
    command = [sys.executable, "-m", "flowtheory", "flow", "small.toml"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    checkpoint = here / "out" / "small.checkpoint.npz"
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert stdout == ""
    assert "interrupted: the run so far is in" in stderr
    assert "flowtheory flow small.toml --resume" in stderr
    assert files(here) == {"small.toml", "out/small.checkpoint.npz"}
    result = call("small.toml", "--resume")
    assert result.exit_code == 0, result.output
    assert not checkpoint.exists()


def test_errors_are_of_our_kind(here):
    with pytest.raises(FlowtheoryError):
        read_spec(write("[run]\nt_end = 'soon'\n"))
