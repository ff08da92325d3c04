"""A file is read as it was written, or refused with one clear error; nothing half is ever left."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowtheory import files
from flowtheory.errors import FileFormatError, OutputError

ARRAYS = {"times": np.arange(5.0), "rows/loss": np.ones((2, 3)), "flags": np.array([True, False])}
MANIFEST = {"note": "θ = 1e-300", "limit": "inf"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    files.write_file(tmp_path / "a.npz", "run", 3, MANIFEST, ARRAYS)
    return tmp_path / "a.npz"


def test_round_trip(file):
    manifest, arrays = files.read_file(file, "run", 3)
    assert {key: manifest[key] for key in MANIFEST} == MANIFEST
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype


def test_numpy_reads_it(file):
    with np.load(file) as bundle:
        np.testing.assert_array_equal(bundle["rows/loss"], ARRAYS["rows/loss"])


def test_an_earlier_version_is_read(file):
    assert files.read_file(file, "run", 4)[0]["version"] == 3


@pytest.mark.parametrize("number", [0.1, 1e-300, math.inf, -math.inf])
def test_plain_numbers_come_back(number):
    assert float(json.loads(json.dumps(files.plain(number), allow_nan=False))) == number


def test_nan_comes_back():
    assert math.isnan(float(files.plain(math.nan)))


class TestRefused:
    def test_missing(self, tmp_path):
        with pytest.raises(FileFormatError, match="does not exist"):
            files.read_file(tmp_path / "none.npz", "run", 3)

    def test_a_directory(self, tmp_path):
        with pytest.raises(FileFormatError, match="is no file"):
            files.read_file(tmp_path, "run", 3)

    def test_newer(self, file):
        with pytest.raises(FileFormatError, match="version 3") as caught:
            files.read_file(file, "run", 2)
        assert "version 2 or earlier" in caught.value.expected

    def test_of_another_kind(self, file):
        with pytest.raises(FileFormatError, match="is a run"):
            files.read_file(file, "checkpoint", 3)

    @pytest.mark.parametrize("content", [b"", b"PK", b"not a zip at all" * 100])
    def test_something_else(self, file, content):
        file.write_bytes(content)
        with pytest.raises(FileFormatError, match="damaged"):
            files.read_file(file, "run", 3)

    def test_arrays_of_somebody_else(self, file):
        np.savez(file, x=np.ones(3))
        with pytest.raises(FileFormatError, match="not written by flowtheory"):
            files.read_file(file, "run", 3)

    def test_a_manifest_of_somebody_else(self, file):
        np.savez(file, manifest=np.array('{"format": "other"}'))
        with pytest.raises(FileFormatError, match="not written by flowtheory"):
            files.read_file(file, "run", 3)

    def test_pickles_are_not_opened(self, file):
        np.savez(file, manifest=np.array([{}], dtype=object))
        with pytest.raises(FileFormatError, match="damaged"):
            files.read_file(file, "run", 3)

    def test_an_array_that_is_not_as_listed(self, file):
        listed = {"format": "flowtheory", "kind": "run", "version": 3}
        listed["arrays"] = {"x": [[2], "<f8"]}
        np.savez(file, manifest=np.array(json.dumps(listed)), x=np.ones(3))
        with pytest.raises(FileFormatError, match="manifest"):
            files.read_file(file, "run", 3)

    @settings(max_examples=150, deadline=None)
    @given(data=st.data())
    def test_any_damage_is_seen(self, tmp_path_factory, data):
        """Cut anywhere, or with any byte changed, a file is refused or reads as it was."""
        file = tmp_path_factory.mktemp("damaged") / "a.npz"
        files.write_file(file, "run", 3, MANIFEST, ARRAYS)
        content = bytearray(file.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            del content[at:]
        else:
            content[at] ^= data.draw(st.integers(1, 255))
        file.write_bytes(content)
        try:
            _, arrays = files.read_file(file, "run", 3)
        except FileFormatError:
            return
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(arrays[name], array)


class TestAtomic:
    def test_a_failed_writing_leaves_the_former_file(self, file):
        with pytest.raises(ValueError, match="JSON"):
            files.write_file(file, "run", 3, {"bad": math.nan}, ARRAYS)
        with pytest.raises(ZeroDivisionError), files.replacing(file) as part:
            part.write(bytes(1 // 0))
        assert files.read_file(file, "run", 3)[0]["note"] == MANIFEST["note"]
        assert [path.name for path in file.parent.iterdir()] == ["a.npz"]

    def test_sweep_removes_what_killed_writers_left_and_nothing_else(self, tmp_path):
        names = ["run[1].npz", ".run[1].npz.0a1b2c3d.part", ".run1.npz.0a1b2c3d.part", ".x.part"]
        for name in names:
            (tmp_path / name).touch()
        files.sweep(tmp_path / "run[1].npz")
        assert {path.name for path in tmp_path.iterdir()} == {*names} - {names[1]}

    def test_a_place_that_cannot_be_written(self, tmp_path):
        for path in (tmp_path, tmp_path / "missing" / "a.npz"):
            with pytest.raises(OutputError):
                files.require_writable(path)
            with pytest.raises(OutputError):
                files.write_file(path, "run", 1, {}, {})
        assert list(tmp_path.iterdir()) == []

    def test_new_files_have_the_usual_permissions(self, file):
        (file.parent / "plain").touch()
        assert os.stat(file).st_mode == os.stat(file.parent / "plain").st_mode
