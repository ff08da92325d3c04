"""A report is complete or not there, and nothing of the user's is ever removed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from report import fake

from flowtheory.errors import OutputError
from flowtheory.plot import order_figure, slopes_figure
from flowtheory.report import check_writable, place, to_dict, write, write_report


@pytest.fixture(scope="module")
def figures():
    sweep = fake.results()["finite-eps"]
    order = order_figure(sweep.curves["eps"], sweep.curves["error"], sweep.fits[0])
    return {"slopes": (slopes_figure(fake.slope_series()), "slopes"), "order": (order, "order")}


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "out" / "alignment-time"


def save(target, figures, **more):
    return write_report(fake.verification(), figures, target, **more)


def contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_all_files_are_written(target, figures):
    paths = save(target, figures, command="flowtheory verify alignment-time")
    expected = ["index.html", "evidence.json"]
    expected += [f"figures/{name}.{kind}" for name in figures for kind in ("svg", "png")]
    assert list(paths) == expected
    assert sorted(contents(target)) == sorted(expected)
    assert all(paths[name] == target / name for name in expected)
    assert paths["figures/order.png"].read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in paths["figures/order.svg"].read_bytes()
    document = json.loads(paths["evidence.json"].read_text(encoding="utf-8"))
    assert document["files"] == expected
    document.pop("files")
    assert document == to_dict(fake.verification(), command="flowtheory verify alignment-time")
    assert list(target.parent.iterdir()) == [target]


def test_the_page_uses_the_readers_permissions(target, figures):
    save(target, figures)
    plain = target.parent / "plain"
    plain.mkdir()
    assert target.stat().st_mode == plain.stat().st_mode


def test_other_formats(target, figures):
    paths = save(target, figures, formats=["pdf"])
    assert paths["figures/slopes.pdf"].read_bytes().startswith(b"%PDF")


def test_a_former_report_is_replaced_whole(target, figures):
    save(target, figures)
    save(target, {"slopes": figures["slopes"]}, formats=["svg"])
    assert set(contents(target)) == {"index.html", "evidence.json", "figures/slopes.svg"}
    assert list(target.parent.iterdir()) == [target]


class StopError(Exception):
    pass


BREAKS = {
    "page": ("render_page", StopError("in the page")),
    "interrupt in the page": ("render_page", KeyboardInterrupt()),
    "figure": ("write_figure", StopError("in a figure")),
    "interrupt in a figure": ("write_figure", KeyboardInterrupt()),
    "disk full": ("write_figure", OSError(28, "No space left on device")),
}


@pytest.mark.parametrize("case", BREAKS)
@pytest.mark.parametrize("former", [True, False], ids=["over a report", "new"])
def test_a_failure_half_way_leaves_what_was_there(case, former, target, figures, monkeypatch):
    if former:
        save(target, figures)
    before = contents(target) if former else None
    name, error = BREAKS[case]

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(write, name, fail)
    expected = OutputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        save(target, {"slopes": figures["slopes"]})
    if former:
        assert contents(target) == before
        assert list(target.parent.iterdir()) == [target]
    else:
        assert not target.parent.exists()


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()], ids=repr)
def test_a_failure_while_renaming_leaves_the_former_report(
    step, error, target, figures, monkeypatch
):
    save(target, figures)
    before = contents(target)
    rename, calls = Path.rename, []

    def fail(self, to):
        calls.append(to)
        if len(calls) == step:
            raise error
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OutputError if isinstance(error, OSError) else KeyboardInterrupt):
        save(target, {"slopes": figures["slopes"]})
    assert contents(target) == before
    assert list(target.parent.iterdir()) == [target]


def test_an_interrupt_after_the_renaming_leaves_the_new_report(target, figures, monkeypatch):
    save(target, figures)
    remove, calls = place._remove, []

    def interrupted(directory):
        calls.append(directory)
        if len(calls) == 1:
            raise KeyboardInterrupt
        remove(directory)

    monkeypatch.setattr(place, "_remove", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(target, {"slopes": figures["slopes"]}, formats=["svg"])
    assert set(contents(target)) == {"index.html", "evidence.json", "figures/slopes.svg"}
    assert list(target.parent.iterdir()) == [target]


def test_foreign_files_are_not_touched(target, figures):
    target.mkdir(parents=True)
    (target / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"not part of a report: thesis\.tex") as caught:
        save(target, figures)
    assert contents(target) == {"thesis.tex": b"years of work"}
    assert "fix:" in str(caught.value)
    assert "expected:" in str(caught.value)


def test_a_note_beside_a_report_is_not_removed(target, figures):
    save(target, figures)
    (target / "figures" / "note.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"figures/note\.txt"):
        check_writable(target)
    assert (target / "figures" / "note.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "text", ["not JSON", "[]", '{"schema": "other/1", "files": ["evidence.json"]}']
)
def test_someone_elses_evidence_file_is_foreign(text, target):
    target.mkdir(parents=True)
    (target / "evidence.json").write_text(text)
    with pytest.raises(OutputError, match=r"evidence\.json"):
        check_writable(target)


def test_many_foreign_files_are_summarised(target):
    target.mkdir(parents=True)
    for k in range(9):
        (target / f"{k}.txt").touch()
    with pytest.raises(OutputError, match=r"\.txt, \.\.\.\n"):
        check_writable(target)


def test_an_empty_directory_may_be_used(target, figures):
    target.mkdir(parents=True)
    save(target, figures, formats=["svg"])
    assert (target / "index.html").is_file()


def test_a_file_in_the_way_is_refused(target):
    target.parent.mkdir()
    target.write_text("data")
    with pytest.raises(OutputError, match="is a file"):
        check_writable(target)
    with pytest.raises(OutputError, match="cannot be written"):
        check_writable(target / "below")
    assert target.read_text() == "data"


def test_the_current_directory_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (".", "", tmp_path):
        with pytest.raises(OutputError, match="current directory"):
            check_writable(name)


def test_a_relative_path_is_taken_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert check_writable("out/report") == tmp_path / "out" / "report"


@pytest.mark.parametrize("place", ["/proc/flowtheory/report", "/" + 300 * "x"])
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a place where nobody may write")
def test_a_place_that_cannot_be_written_is_refused(place):
    with pytest.raises(OutputError, match="cannot be written"):
        check_writable(place)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        check_writable(tmp_path / "report")
    tmp_path.chmod(0o700)


def test_checking_leaves_nothing_behind(tmp_path):
    check_writable(tmp_path / "a" / "b" / "c")
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_a_directory_is_followed(tmp_path, figures):
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    save(tmp_path / "link", figures, formats=["svg"])
    assert (tmp_path / "link").is_symlink()
    assert (real / "index.html").is_file()
