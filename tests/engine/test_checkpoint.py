"""A run that is interrupted and taken up again is the run that was never interrupted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engine import small

import flowtheory as ft
from flowtheory import files
from flowtheory.engine.checkpoint import KIND, VERSION
from flowtheory.errors import FileFormatError, ParameterError
from flowtheory.flow.settings import Settings

KILLS = int(os.environ.get("FLOWTHEORY_KILLS", "4"))


def assert_same(run: ft.Run, whole: ft.Run) -> None:
    """Times, rows, events, outcome and error estimate; to rounding, though no step was moved."""
    assert run.outcome is whole.outcome
    np.testing.assert_allclose(run.times, whole.times, rtol=1e-12)
    assert set(run.observables) == set(whole.observables)
    for name, rows in whole.observables.items():
        np.testing.assert_allclose(run[name], rows, rtol=1e-11, err_msg=name)
    for name, array in whole.params.items():
        np.testing.assert_allclose(run.params[name], array, rtol=1e-11)
    assert [e.name for e in run.events] == [e.name for e in whole.events]
    np.testing.assert_allclose(
        [e.time for e in run.events], [e.time for e in whole.events], rtol=1e-12
    )
    off, estimate = 1e-12 * whole.t_end, whole.error_estimate
    assert run.error_estimate == pytest.approx(estimate, rel=0, abs=off, nan_ok=True)
    assert run.statistics[:4] == whole.statistics[:4]


def interrupted(flow: ft.GradientFlow, path: Path, part: int) -> None:
    """Run until the progress callback was called `part` times, then stop as Ctrl-C does."""
    calls = 0

    def progress(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == part:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flowtheory.flow.drive._QUIET", -1.0)
        with pytest.raises(KeyboardInterrupt):
            small.solve(flow, path, every=1e9, progress=progress)


class TestResume:
    def test_after_an_interrupt(self, flow, whole, tmp_path):
        path = tmp_path / "run.npz"
        for part in (1, 150, 200):
            interrupted(flow, path, part)
        assert_same(flow.resume(path), whole)

    def test_solve_goes_on_from_a_checkpoint(self, flow, whole, tmp_path):
        path = tmp_path / "run.npz"
        interrupted(flow, path, 400)
        before = files.read_file(path, KIND, VERSION)[0]["parts"]["run"]["stretches"]
        assert before >= 399
        run = small.solve(flow, path)
        assert_same(run, whole)

    def test_a_finished_run_is_not_run_again(self, flow, whole, tmp_path):
        path = tmp_path / "run.npz"
        assert_same(small.solve(flow, path), whole)
        stamp = path.stat().st_mtime_ns
        assert_same(flow.resume(path), whole)
        assert path.stat().st_mtime_ns == stamp

    def test_given_times_and_log_time(self, flow, tmp_path):
        start, times = flow.init(scale=1e-3, seed=2, width=3), np.linspace(0.5, 20, 70)
        options = {"times": times, "log_time": True, "settings": Settings(chunk=7)}
        whole = flow.solve(start, 20.0, **options)
        limited = replace(options["settings"], max_steps=25)
        path = tmp_path / "run.npz"
        first = flow.solve(start, 20.0, **options | {"settings": limited}, checkpoint=path)
        assert first.outcome is ft.Outcome.STEP_LIMIT
        assert len(first.times) < len(whole.times)
        run = flow.resume(path, max_steps=10**6)
        np.testing.assert_allclose(run.times, whole.times, rtol=1e-13)
        np.testing.assert_allclose(run.loss, whole.loss, rtol=1e-11)

    def test_a_time_limit_counts_from_the_resumption(self, flow, whole, tmp_path):
        path, limited = tmp_path / "run.npz", replace(small.SETTINGS, time_limit=0.0)
        run = small.solve(flow, path, settings=limited)
        assert run.outcome is ft.Outcome.TIME_LIMIT
        assert_same(flow.resume(path, time_limit=1e6), whole)


def own_rows(params, data):
    return {"first": params["W"][0, 0]}


def own_event(at):
    return at.params["v"][0] - 0.5


class TestFunctionsOfTheUser:
    def test_must_be_given_again(self, flow, tmp_path):
        path = tmp_path / "run.npz"
        start = flow.init(scale=1e-2, seed=3, width=3)
        until = ft.event(own_event) | ft.loss_below(0.01)
        whole = flow.solve(start, until=until, save=own_rows, checkpoint=path)
        with pytest.raises(ParameterError, match="own_rows") as caught:
            flow.resume(path)
        assert "save=" in caught.value.fix
        with pytest.raises(ParameterError, match="own_event"):
            flow.resume(path, save=own_rows)
        run = flow.resume(path, save=own_rows, until=until)
        np.testing.assert_array_equal(run["first"], whole["first"])


@pytest.fixture(scope="module")
def checkpoint(flow: ft.GradientFlow, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("refused") / "run.npz"
    interrupted(flow, path, 2)
    return path


class TestRefused:
    @pytest.mark.parametrize(
        ("named", "changed"),
        [
            ("until", {"until": ft.loss_below(2e-3)}),
            ("watch", {"watch": ft.plateau_left(0.3)}),
            ("rtol", {"rtol": 1e-11}),
            ("save", {"save": "outputs"}),
            ("method", {"settings": Settings(chunk=2)}),
            ("t_end", {"t_end": 3.0}),
        ],
    )
    def test_another_task(self, flow, checkpoint, named, changed):
        with pytest.raises(ParameterError, match=f"another run: it differs in {named}"):
            small.solve(flow, checkpoint, **changed)

    def test_another_start(self, flow, checkpoint):
        with pytest.raises(ParameterError, match="it differs in start"):
            small.solve(flow, checkpoint, start=flow.init(scale=1e-6, seed=2, width=3))

    def test_other_data(self, flow, checkpoint):
        other = ft.GradientFlow(flow.network, x=flow.data["x"], y=2 * flow.data["y"])
        with pytest.raises(ParameterError, match="it differs in data"):
            other.resume(checkpoint)

    def test_another_network(self, flow, checkpoint):
        net = ft.fully_connected(layers=2, activation="z*tanh(z)")
        other = ft.GradientFlow(net, **flow.data)
        with pytest.raises(ParameterError, match="it differs in network"):
            other.resume(checkpoint)

    def test_another_loss(self, flow, checkpoint):
        other = ft.GradientFlow(flow.network, "half_square", **flow.data)
        with pytest.raises(ParameterError, match="it differs in loss"):
            other.resume(checkpoint)

    def test_a_result_is_no_checkpoint(self, flow, whole, tmp_path):
        whole.save(tmp_path / "run.npz")
        with pytest.raises(FileFormatError, match="is a run"):
            flow.resume(tmp_path / "run.npz")

    def test_missing(self, flow, tmp_path):
        with pytest.raises(FileFormatError, match="does not exist"):
            flow.resume(tmp_path / "none.npz")

    def test_truncated(self, flow, checkpoint, tmp_path):
        path = tmp_path / "half.npz"
        path.write_bytes(checkpoint.read_bytes()[:-1000])
        with pytest.raises(FileFormatError, match="damaged"):
            flow.resume(path)
        with pytest.raises(FileFormatError, match="damaged"):
            small.solve(flow, path)

    def test_newer(self, flow, checkpoint, tmp_path):
        manifest, arrays = files.read_file(checkpoint, KIND, VERSION)
        kept = {k: v for k, v in manifest.items() if k not in ("kind", "version", "arrays")}
        files.write_file(tmp_path / "new.npz", KIND, VERSION + 1, kept, arrays)
        with pytest.raises(FileFormatError, match=f"version {VERSION + 1}"):
            flow.resume(tmp_path / "new.npz")

    def test_every_is_seconds(self, flow, tmp_path):
        with pytest.raises(ParameterError, match="every"):
            small.solve(flow, tmp_path / "run.npz", every=-1.0)


def test_a_full_disk_does_not_end_a_run(flow, whole, tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "run.npz"
    monkeypatch.setattr("flowtheory.files.np.savez", full)
    with pytest.warns(UserWarning, match="No space left on device; the run goes on"):
        run = small.solve(flow, path)
    assert_same(run, whole)
    assert list(tmp_path.iterdir()) == []


def killed_at(directory: Path, module: str, moments: Iterable[float]) -> list[str]:
    """What was killed, kill by kill, and whether it was still at work."""
    script = Path(__file__).with_name("killed.py")
    seconds = [f"{moment:.4f}" for moment in moments]
    done = subprocess.run(
        [sys.executable, str(script), str(directory), module, *seconds],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def killed(tmp_path_factory) -> Path:
    """What ten kills at random moments have left."""
    directory = tmp_path_factory.mktemp("killed")
    lines = killed_at(directory, "small", np.random.default_rng().uniform(0, 0.06, KILLS))
    assert lines[:KILLS] == ["file True"] * KILLS
    assert lines[KILLS] == "run True"
    return directory


@pytest.mark.skipif(not hasattr(sys, "abiflags"), reason="fork and SIGKILL are POSIX")
class TestKilled:
    def test_no_file_is_torn(self, killed):
        for k in range(KILLS):
            manifest, arrays = files.read_file(killed / f"file-{k}.npz", "test", 1)
            for array in arrays.values():
                np.testing.assert_array_equal(array, manifest["number"])

    def test_what_was_half_written_is_not_taken_for_a_file(self, killed):
        for part in killed.glob(".file.npz.*.part"):
            assert part.suffix != ".npz"
        files.sweep(killed / "file.npz")
        assert not list(killed.glob(".file*"))

    def test_every_checkpoint_is_taken_up(self, flow, whole, killed, tmp_path):
        progress = []
        for k in range(KILLS):
            path = tmp_path / f"{k}.npz"
            shutil.copy(killed / f"run-{k}.npz", path)
            parts = files.read_file(path, KIND, VERSION)[0]["parts"]
            progress.append(sum(part["stretches"] for part in parts.values()))
            assert_same(flow.resume(path), whole)
        assert progress == sorted(progress)
        assert progress[0] < whole.statistics.stretches
