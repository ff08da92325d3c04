"""The command line as a stranger uses it: verdicts, JSON, one clear error a mistake."""

from __future__ import annotations

import gzip
import json
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from flowtheory.cli.main import app
from flowtheory.judge import Finding, Verdict
from flowtheory.laws import registry
from flowtheory.laws.alignment_time import LAW

RUNNER = CliRunner()


def run(*arguments):
    return RUNNER.invoke(app, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """One quick run with everything written, shared by the tests that read its output."""
    place = tmp_path_factory.mktemp("quick")
    arguments = ["verify", "alignment-time", "--quick", "--seed", "3", "--report", place / "report"]
    result = run(*arguments, "--json", place / "evidence.json")
    return result, place


def test_verify_agrees_and_says_where_the_report_is(quick):
    result, place = quick
    assert result.exit_code == 0
    assert "AGREES" in result.stdout
    assert "controls" in result.stdout
    assert "Not shown" in result.stdout
    assert (place / "report" / "index.html").is_file()
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_json_has_what_is_promised(quick):
    _, place = quick
    document = json.loads((place / "evidence.json").read_text(), parse_constant=pytest.fail)
    promised = {"law", "verdict", "range", "not_shown", "evidence", "fits", "controls", "versions"}
    assert promised | {"clock", "seed", "seconds"} <= set(document)
    assert document["seed"] == 3
    assert document["verdict"] == "AGREES"
    assert {control["verdict"] for control in document["controls"]} == {"DISAGREES"}
    columns = {"family", "parameters", "counts", "seed", "predicted", "measured", "ratio"}
    assert all(columns <= set(row) for row in document["evidence"])
    assert all({"value", "interval", "predicted"} <= set(fit) for fit in document["fits"])


def _fake_law(monkeypatch, verdict=None, run_experiment=None):
    """The registry with one law that is judged at once."""
    from dataclasses import replace

    from flowtheory.laws.record import Experiment, ExperimentResult

    findings = () if verdict is None else (Finding("claim", verdict, 0.5, "<= 1", 1),)
    experiment = run_experiment or (lambda settings: ExperimentResult(findings=findings))
    law = replace(
        LAW,
        name="fake",
        experiments=(Experiment("only", "only", experiment),),
        claims=(),
        controls=(),
    )
    monkeypatch.setattr(registry, "LAWS", {"fake": law})


@pytest.mark.parametrize("verdict", list(Verdict))
def test_exit_status_is_the_verdict(verdict, monkeypatch):
    _fake_law(monkeypatch, verdict)
    result = run("verify", "fake", "--data", "synthetic", "--no-report")
    assert result.exit_code == verdict.exit_code
    assert verdict.value in result.stdout


def test_json_to_standard_output_prints_nothing_else(monkeypatch):
    _fake_law(monkeypatch, Verdict.AGREES)
    result = run("verify", "fake", "--data", "synthetic", "--no-report", "--json", "-")
    assert json.loads(result.stdout)["verdict"] == "AGREES"


def test_an_interrupted_run_writes_nothing(monkeypatch):
    def interrupted(settings):
        raise KeyboardInterrupt

    _fake_law(monkeypatch, run_experiment=interrupted)
    result = run("verify", "fake", "--data", "synthetic", "--json", "evidence.json")
    assert result.exit_code == 130
    assert "nothing was written" in result.stderr
    assert list(Path().iterdir()) == []


def _idx(path, dtype_code, array):
    header = struct.pack(">BBBB", 0, 0, dtype_code, array.ndim)
    header += struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


def _mnist(place, labels=None, images_type=8, cut=0):
    place.mkdir()
    labels = np.arange(40) % 2 if labels is None else labels
    images = np.random.default_rng(0).integers(0, 255, (40, 5, 5))
    _idx(place / "t10k-images-idx3-ubyte.gz", images_type, images)
    _idx(place / "t10k-labels-idx1-ubyte.gz", 8, labels)
    if cut:
        path = place / "t10k-images-idx3-ubyte.gz"
        raw = gzip.decompress(path.read_bytes())
        path.write_bytes(gzip.compress(raw[:-cut]))
    return f"mnist:{place}"


MISTAKES = {
    "unknown law": (["verify", "alignment"], "unknown law"),
    "derive unknown": (["derive", "nope"], "unknown network or law"),
    "unknown data": (["verify", "alignment-time", "--data", "cifar"], "not a data set"),
    "no such path": (["verify", "alignment-time", "--data", "mnist:nowhere"], "nowhere"),
    "one class": (["verify", "alignment-time", "--classes", "1"], "pair of classes"),
    "same class": (["verify", "alignment-time", "--classes", "1,1"], "both classes"),
    "missing class": (["verify", "alignment-time", "--classes", "0,11"], "11"),
    "both efforts": (["verify", "alignment-time", "--quick", "--full"], "--quick"),
    "negative seed": (["verify", "alignment-time", "--seed", "-3"], "seed"),
    "json in no directory": (["verify", "alignment-time", "--json", "no/e.json"], "no/e.json"),
    "json is a directory": (["verify", "alignment-time", "--json", "."], "directory"),
    "report is a file": (["verify", "alignment-time", "--report", "/dev/null"], "/dev/null"),
}


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_mistake_is_one_clear_error(name):
    arguments, said = MISTAKES[name]
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "expected" in result.stderr
    assert "fix" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cut": 7}, "truncated"),
        ({"images_type": 0x0D}, "type"),
        ({"labels": np.arange(39) % 2}, "39"),
        ({"labels": np.zeros(40, dtype=int)}, "class"),
    ],
    ids=["truncated", "wrong type", "mislabelled", "class missing"],
)
def test_a_bad_idx_file_is_one_clear_error(tmp_path, options, said):
    result = run("verify", "alignment-time", "--data", _mnist(tmp_path / "data", **options))
    assert result.exit_code == 2
    assert said in result.stderr
    assert "expected" in result.stderr
    assert not (tmp_path / "out").exists()


def test_debug_shows_the_traceback():
    assert "Traceback" in run("verify", "nope", "--debug").stderr


def test_the_first_screen_tells_what_to_try():
    result = run()
    assert result.exit_code == 0
    assert "flowtheory verify alignment-time" in result.stdout
    assert len(result.stdout.splitlines()) < 24


def test_laws_lists_the_registry():
    result = run("laws")
    assert result.exit_code == 0
    for name in registry.LAWS:
        assert name in result.stdout


def test_derive_prints_text_latex_and_json():
    text = run("derive", "alignment-time").stdout
    assert "tan" in text
    assert "Half-angle law" in text
    latex = run("derive", "alignment-time", "--format", "latex").stdout
    assert latex.startswith("\\documentclass")
    assert latex.rstrip().endswith("\\end{document}")
    lines = json.loads(run("derive", "alignment-time", "--format", "json").stdout)["lines"]
    assert len(lines) > 20


def test_float64_without_touching_the_global_flag():
    """A process with JAX in its default state: results in float64, the flag unchanged."""
    script = """
from dataclasses import replace
import jax
import numpy as np
from flowtheory.laws import Effort, Settings, verify
from flowtheory.laws.registry import get_law
law = get_law("alignment-time")
flows = tuple(e for e in law.experiments if e.name in ("finite-eps", "after"))
part = replace(law, experiments=flows, claims=(), controls=())
verification = verify(part, Settings(effort=Effort.QUICK))
# float32 could not resolve a shift of 1e-4 to second order, nor conserve |w|^2 to 1e-9.
assert verification.verdict.value == "AGREES", verification.findings
assert verification.results["after"].curves["loss"].dtype == np.float64
assert jax.config.jax_enable_x64 is False
assert jax.numpy.ones(1).dtype == np.float32
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_control_c_leaves_no_partial_report(tmp_path):
    run("new-law", "my-guess")
    law = tmp_path / "my_guess.py"
    measures = "    import sys, time\n\n    print('began', file=sys.stderr)\n    time.sleep(60)\n"
    law.write_text(law.read_text().replace("    rng = np", measures + "    rng = np"))
    place = tmp_path / "empty"
    place.mkdir()
    command = [sys.executable, "-m", "flowtheory", "verify", law, "--full"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=place) as process:
        assert process.stderr is not None
        said = [process.stderr.readline()]
        while said[-1] not in ("began\n", ""):
            said.append(process.stderr.readline())
        process.send_signal(signal.SIGINT)
        said.append(process.stderr.read())
    assert process.returncode == 130, said
    assert "nothing was written" in said[-1]
    assert "Traceback" not in "".join(said)
    assert list(place.iterdir()) == []


def test_verify_certify_says_what_is_proved(tmp_path):
    path = tmp_path / "deep.json"
    result = run(
        "verify", "deep-linear-time", "--quick", "--certify", "--no-report", "--json", path
    )
    assert result.exit_code == 0
    assert "rows proved in ball arithmetic" in result.output
    document = json.loads(path.read_text())
    assert document["command"].endswith("--quick --certify")
    assert [one["certified"] for one in document["certificates"]] == [
        one["rows"] for one in document["certificates"]
    ]


def test_a_law_without_closed_forms_cannot_be_certified():
    result = run("verify", "bottleneck", "--quick", "--certify", "--no-report")
    assert result.exit_code == 2
    assert "no row of bottleneck can be certified" in result.output
    assert "deep-linear-time" in result.output
