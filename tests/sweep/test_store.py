"""What is written is read back, damage is seen, and nothing is half written."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from sweep.studies import right, squares

from flowtheory.errors import FileFormatError, OutputError
from flowtheory.outcome import Outcome
from flowtheory.sweep import Found, Store, plan, results
from flowtheory.sweep.work import run_batch


def filled(place: Path, **fixed) -> None:
    """A store that has all squares, computed in this process."""
    Store(place)
    for batch in plan(squares(**fixed)):
        run_batch(batch, place)


def test_numbers_labels_and_units_are_read_back(tmp_path):
    filled(tmp_path / "s")
    study = squares()
    assert right(study, tmp_path / "s").all()
    found = results(study, tmp_path / "s")
    assert found["square"].dims == ("x", "seed")
    assert found["square"].attrs == {"long_name": "x^2 + seed", "units": "1"}
    assert found["x"].attrs["long_name"] == "a number"
    assert found.attrs["mode"] == "answer"
    assert (found["outcome"] == "reached_t").all()
    some = squares([2, 100], 1)
    np.testing.assert_array_equal(results(some, tmp_path / "s")["square"], [[4], [np.nan]])


def test_every_float_is_read_back_to_the_bit(tmp_path):
    store, (batch, *_) = Store(tmp_path / "s"), plan(squares(range(4), 1))
    numbers = [5e-324, 1e308, -0.1, float("nan")]
    store.write(batch, [Found(Outcome.EVENT, {"square": n}) for n in numbers], {})
    (data,) = store.files(squares())
    assert data["square"].values.tobytes() == np.array(numbers).tobytes()
    assert data["key"].values.astype(str).tolist() == list(batch.keys)


@pytest.mark.parametrize("place", [10, 500, -1])
def test_a_flipped_bit_is_seen_and_only_its_cells_are_left_to_do(tmp_path, place):
    filled(tmp_path / "s")
    victim = sorted((tmp_path / "s").rglob("*.nc"))[0]
    data = bytearray(victim.read_bytes())
    data[place] ^= 1
    victim.write_bytes(bytes(data))
    store, study = Store(tmp_path / "s"), squares()
    with pytest.warns(UserWarning, match="is damaged and was moved"):
        left = plan(study, store.done(study))
    assert sum(len(batch.cells) for batch in left) == 4
    for batch in left:
        run_batch(batch, tmp_path / "s")
    assert right(study, tmp_path / "s").all()
    assert [p.name for p in (tmp_path / "s" / "damaged").iterdir()] == [victim.name]


def test_a_half_written_file_is_no_result(tmp_path):
    filled(tmp_path / "s")
    victim = sorted((tmp_path / "s").rglob("*.nc"))[0]
    victim.write_bytes(victim.read_bytes()[:-100])
    with pytest.warns(UserWarning, match="damaged"):
        assert len(Store(tmp_path / "s").done(squares())) == 20


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    store, (batch, *_) = Store(tmp_path / "s"), plan(squares())

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr("flowtheory.files.os.fsync", full)
        with pytest.raises(OutputError, match="No space left"):
            run_batch(batch, store.place)
    assert [p.name for p in store.place.rglob("*") if p.is_file()] == ["store.json"]
    run_batch(batch, store.place)
    assert store.done(squares()) == set(batch.keys)


def test_a_batch_that_is_there_stays(tmp_path):
    filled(tmp_path / "s")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "s").rglob("*.nc")}
    filled(tmp_path / "s")
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "s").rglob("*.nc")} == before


def test_results_of_another_spec_are_never_mixed_in(tmp_path):
    filled(tmp_path / "s", mode="raise")
    assert not Store(tmp_path / "s").done(squares()) & set(squares().keys)
    assert np.isnan(results(squares(), tmp_path / "s")["square"]).all()


def test_one_cell_that_fails_does_not_harm_the_others(tmp_path):
    filled(tmp_path / "s", mode="raise")
    study = squares(mode="raise")
    wrong = ~right(study, tmp_path / "s")
    assert wrong[3].all()
    assert wrong.sum() == 3
    found = results(study, tmp_path / "s")
    assert (found["outcome"][3] == "failed").all()
    store = Store(tmp_path / "s")
    assert len(store.done(study)) == 24
    assert len(store.done(study, failed=False)) == 21
    messages = {m for d in store.files(study) for m in d["message"].values.astype(str)}
    assert messages == {"", "ValueError: x is three"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"other.txt": "x"}, "is no store"),
        ({"store.json": "{"}, "is damaged"),
        ({"store.json": json.dumps({"format": "flowtheory sweep", "version": 2})}, "version 2"),
        ({"store.json": json.dumps({"format": "another", "version": 1})}, "is damaged"),
    ],
)
def test_a_directory_that_is_no_store_of_ours(tmp_path, content, words):
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(FileFormatError, match=words):
        Store(tmp_path)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == content


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises((OutputError, FileFormatError)):
        Store(tmp_path / "file" / "s")


def test_a_store_that_another_driver_is_just_making_is_one(tmp_path):
    place = tmp_path / "s"
    place.mkdir()
    (place / ".store.json.1a2b3c4d.part").write_bytes(b"{")
    assert Store(place).place == place
    assert Store(place).done(squares()) == set()
