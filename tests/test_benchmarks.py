"""Results of benchmarks: whole or not at all, without a trace of the machine, on one page."""

from __future__ import annotations

import importlib.util
import json
import platform
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks"


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def report():
    return load(FOLDER / "_report.py")


@pytest.fixture(scope="module")
def goals(report):
    return load(FOLDER / "_goals.py")


RESULTS = sorted((FOLDER / "results").glob("*.json"))
SCRIPTS = {path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_")} - {"all"}


class TestReport:
    def written(self, report, path, **changes):
        doc = "How fast\nis it?\n\n    python benchmarks/x.py\n\nA\nlong text.\n\nAnother.\n"
        rows = [("a", np.float64(1.5), np.int64(3)), ("b", np.nan, None), ("c", np.inf, True)]
        table = report.Table("T", ("name", "s", "n"), rows)
        report.write(path, doc, [table], **{"quick": False, **changes})
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)

    def test_what_is_in_it(self, report, tmp_path):
        result = self.written(report, tmp_path / "new" / "r.json", quick=True)
        assert result["question"] == "How fast is it?"
        assert result["text"] == "A long text.\n\nAnother."
        assert result["quick"] is True
        rows = [["a", 1.5, 3.0], ["b", "nan", None], ["c", "inf", True]]
        assert result["tables"] == [
            {"title": "T", "columns": ["name", "s", "n"], "rows": rows, "text": ""}
        ]
        machine = result["machine"]
        assert set(machine) == {"cpu_count", "python", "jax", "diffrax", "scipy", "numpy"}
        assert machine["numpy"] == np.__version__
        assert platform.node() not in json.dumps(result)

    def test_a_failure_leaves_the_old_result_and_nothing_beside_it(
        self, report, tmp_path, monkeypatch
    ):
        path = tmp_path / "r.json"
        before = self.written(report, path)

        def full(*_):
            raise OSError("no space left")

        monkeypatch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="no space"):
            self.written(report, path, quick=True)
        assert json.loads(path.read_text(encoding="utf-8")) == before
        assert list(tmp_path.iterdir()) == [path]

    def test_without_a_path_nothing_is_written(self, report, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        report.write(None, "Q", [], quick=False)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("place", [["--json"], ["--json", "/a/r.json"], ["--json=/a/r.json"]])
    def test_the_command_names_no_path(self, report, place):
        line = ["/a/benchmarks/x.py", "--mnist", "/a/mnist", *place, "--quick"]
        assert report.command(line) == "python benchmarks/x.py --mnist PATH --quick"

    def test_a_row_that_does_not_fit_is_refused(self, report):
        with pytest.raises(ValueError, match="has not the columns"):
            report.Table("T", ("a", "b"), [(1,)])


def test_a_ratio_is_the_peers_time_over_ours(goals):
    line = goals.Line("P3", "diffrax Tsit5", 0.5, 2.0, 1e-9, 1e-8, "steps")
    row = dict(zip(goals.COLUMNS, line.row, strict=True))
    assert row["ratio"] == 4.0
    assert (row["prototype"], row["goal"]) == goals.GOALS["P3", "diffrax Tsit5"] == (9, 40)
    with pytest.raises(KeyError):
        _ = goals.Line("P3", "nobody", 1.0, 1.0, 0.0, 0.0, "").row


def test_every_script_is_run_by_all_and_has_its_result():
    assert set(load(FOLDER / "all.py").SECONDS) == SCRIPTS == {path.stem for path in RESULTS}


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_stored_results_can_be_drawn_up(path, goals):
    result = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert result["tables"]
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert f"## {path.stem}: {result['question']}" in page
    for table in result["tables"]:
        assert {len(row) for row in table["rows"]} <= {len(table["columns"])}
        if table["title"] == "Against the goals":
            assert table["columns"] == list(goals.COLUMNS)
            for row in table["rows"]:
                ours, peer, ratio = row[2:5]
                assert ratio == pytest.approx(peer / ours, rel=1e-12)
                assert tuple(row[7:9]) == goals.GOALS[row[0], row[1]]
                assert row[9]
