"""A run is saved and loaded whole, and says in a line what it is."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import flowtheory as ft
from flowtheory.engine.run import KIND, VERSION, sparkline, timed
from flowtheory.errors import FileFormatError, OutputError
from flowtheory.files import read_file, write_file
from flowtheory.flow.run import Run as Integrated

HEAD = ("kind", "version", "arrays")


@pytest.fixture
def file(whole: ft.Run, tmp_path: Path) -> Path:
    whole.save(tmp_path / "run.npz")
    return tmp_path / "run.npz"


class TestFile:
    def test_everything_comes_back(self, whole, file):
        run = ft.Run.load(file)
        for field in fields(Integrated):
            one, other = getattr(run, field.name), getattr(whole, field.name)
            if field.name in ("observables", "params"):
                assert list(one) == list(other)
                for name in other:
                    np.testing.assert_array_equal(one[name], other[name])
            elif field.name == "times":
                np.testing.assert_array_equal(one, other)
            else:
                assert one == other, field.name
        assert dict(run.about) == dict(whole.about)
        assert repr(run) == repr(whole)

    def test_a_loaded_run_is_read_only(self, file):
        run = ft.Run.load(file)
        with pytest.raises(ValueError, match="read-only"):
            run.loss[0] = 1.0

    def test_failures_and_infinities_come_back(self, whole, tmp_path):
        odd = replace(whole, outcome=ft.Outcome.BLEW_UP, blow_up_time=np.inf, error_estimate=np.nan)
        odd.save(tmp_path / "odd.npz")
        run = ft.Run.load(tmp_path / "odd.npz")
        assert run.outcome is ft.Outcome.BLEW_UP
        assert run.blow_up_time == np.inf
        assert np.isnan(run.error_estimate)

    def test_numpy_reads_it(self, whole, file):
        with np.load(file) as bundle:
            np.testing.assert_array_equal(bundle["observables/loss"], whole.loss)
            assert json.loads(str(bundle["manifest"]))["outcome"] == "event"

    def test_a_later_version(self, file):
        manifest, arrays = read_file(file, KIND, VERSION)
        kept = {k: v for k, v in manifest.items() if k not in HEAD}
        write_file(file, KIND, VERSION + 1, kept, arrays)
        with pytest.raises(FileFormatError, match=f"version {VERSION + 1}"):
            ft.Run.load(file)

    def test_a_manifest_that_lacks_something(self, file):
        manifest, arrays = read_file(file, KIND, VERSION)
        kept = {
            k: v for k, v in manifest.items() if k not in ("kind", "version", "arrays", "clock")
        }
        write_file(file, KIND, VERSION, kept, arrays)
        with pytest.raises(FileFormatError, match="clock"):
            ft.Run.load(file)

    def test_no_place(self, whole, tmp_path):
        with pytest.raises(OutputError):
            whole.save(tmp_path / "missing" / "run.npz")


class TestShown:
    def test_one_line(self, whole):
        text = repr(whole)
        assert "\n" not in text
        for part in (
            "event (loss below 0.001) at t = 26.53005129",
            "loss 0.2323 → 0.001",
            "tsit5",
        ):
            assert part in text

    def test_html_has_the_same_words(self, whole):
        text = whole._repr_html_()
        assert "26.53005129" in text
        assert "energy identity" in text
        assert sparkline(whole) in text

    def test_a_failure_gives_its_reason(self, whole):
        stuck = replace(whole, outcome=ft.Outcome.STALLED)
        assert ft.Outcome.STALLED.reason in stuck._repr_html_()

    def test_the_sparkline_falls_as_the_loss_does(self, whole):
        ranks = ["▁▂▃▄▅▆▇█".index(bar) for bar in sparkline(whole)]
        assert ranks == sorted(ranks, reverse=True)
        assert (ranks[0], ranks[-1]) == (7, 0)

    @pytest.mark.parametrize(
        ("time", "error", "text"),
        [
            (69.6139913110774, 3.66e-8, "69.613991311 ± 3.7e-08"),
            (1234.5678, 0.5, "1234.57 ± 5.0e-01"),
            (1e9, 2e3, "1000000000 ± 2.0e+03"),
            (2.5, float("nan"), "2.5"),
            (2.5, 0.0, "2.5"),
        ],
    )
    def test_times_with_their_error(self, time, error, text):
        assert timed(time, error) == text

    def test_the_summary_is_strict_json(self, whole):
        summary = json.loads(json.dumps(whole.summary(), allow_nan=False))
        assert summary["loss"] == "mse"
        assert summary["loss_end"] == pytest.approx(1e-3)
        assert [stage["kind"] for stage in summary["loss_stages"]][:2] == ["plateau", "descent"]

    def test_stages_leave_out_what_is_not_finite(self, whole):
        broken = whole.loss.copy()
        broken[-1] = np.nan
        run = replace(whole, observables={**whole.observables, "loss": broken})
        assert run.loss_stages[-1].end == whole.times[-2]
