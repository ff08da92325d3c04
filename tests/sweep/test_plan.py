"""What a cell's result depends on, and what of a study is left to do."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from sweep.studies import HOME, squares
from sweep.toy import PROBE

from flowtheory.errors import FileFormatError, ParameterError, UnknownNameError
from flowtheory.sweep import Home, Measure, Parameter, Probe, Study, plan, read_study
from flowtheory.sweep.waiting import Waiting, bucket

ROOT = Path(__file__).parents[2]


def test_a_cell_is_the_same_in_every_study_that_has_it():
    small, large = squares(range(3), 1), squares(range(5), 2)
    assert set(small.keys) < set(large.keys)
    other_axes = Study.of("y", HOME, {"seed": [0]}, {"x": 2})
    assert other_axes.keys == [small.keys[2]]
    assert squares([0.1 + 0.2], 1).keys == squares([0.3], 1).keys


@pytest.mark.parametrize("change", [{"mode": "raise"}, {"seconds": 1e-9}, {"log": "a"}])
def test_whatever_it_depends_on_is_in_the_key(change):
    assert not set(squares().keys) & set(squares(**change).keys)


def test_version_name_and_source_of_the_probe_are_in_the_key(tmp_path):
    base, source = squares().keys[0], Path(HOME.address.rpartition(":")[0])
    copied = tmp_path / "toy.py"
    copied.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    assert _at(copied).keys[0] == base
    copied.write_text(source.read_text(encoding="utf-8") + "# changed", encoding="utf-8")
    assert _at(copied).keys[0] != base
    for change in ({"version": 2}, {"name": "other"}):
        study = dataclasses.replace(squares(), probe=dataclasses.replace(PROBE, **change))
        assert study.keys[0] != base


def _at(file: Path) -> Study:
    return Study.of("y", Home.of(f"{file}:PROBE"), {"x": [0.0], "seed": [0]})


def test_the_plan_has_every_missing_cell_once():
    study = squares()
    done = set(study.keys[5:11])
    batches = plan(study, done)
    keys = [key for batch in batches for key in batch.keys]
    assert sorted(keys) == sorted(set(study.keys) - done)
    assert max(len(batch.cells) for batch in batches) == PROBE.batch
    assert all(study.key(c) == k for b in batches for c, k in zip(b.cells, b.keys, strict=True))
    assert plan(study, set(study.keys)) == []


def test_a_batch_has_one_bucket_and_the_dearest_come_first():
    probe = dataclasses.replace(
        PROBE, bucket=lambda cell: cell["seed"], cost=lambda cell: float(cell["x"])
    )
    batches = plan(dataclasses.replace(squares(), probe=probe))
    assert all(len({cell["seed"] for cell in batch.cells}) == 1 for batch in batches)
    assert [b.cost for b in batches] == sorted((b.cost for b in batches), reverse=True)


def test_names_of_batches_are_those_of_their_cells():
    first, again = plan(squares()), plan(squares())
    assert [batch.name for batch in first] == [batch.name for batch in again]
    assert len({batch.name for batch in first}) == len(first)


@pytest.mark.parametrize(
    ("grid", "fixed", "error", "words"),
    [
        ({"x": []}, {}, ParameterError, "the axis x is empty"),
        ({"x": [1.0, 1]}, {}, ParameterError, "given twice"),
        ({"x": [-1.0]}, {}, ParameterError, "x = -1.0"),
        ({"x": [float("nan")]}, {}, ParameterError, "x = nan"),
        ({"x": ["a"]}, {}, ParameterError, "x = 'a'"),
        ({"x": [True]}, {}, ParameterError, "x = True"),
        ({"y": [1.0]}, {}, UnknownNameError, "'y'"),
        ({"x": [1.0]}, {"mod": "raise"}, UnknownNameError, "did you mean 'mode'"),
        ({"x": [1.0]}, {"mode": "rise"}, UnknownNameError, "did you mean 'raise'"),
        ({"x": [1.0]}, {"seed": 0.5}, ParameterError, "an integer"),
        ({"x": [1.0]}, {"x": 1.0}, ParameterError, "an axis of the grid and fixed"),
        ({"seed": [1]}, {}, ParameterError, "x is not given"),
    ],
)
def test_a_study_that_makes_no_sense(grid, fixed, error, words):
    with pytest.raises(error, match=words):
        Study.of("wrong", HOME, grid, fixed)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nowhere.at_all:PROBE", "cannot be imported"),
        ("flowtheory.outcome:Outcome", "is a EnumType|is a EnumMeta"),
        ("flowtheory.outcome:PROBE", "is nothing"),
        ("missing.py:PROBE", "is not a file"),
        ("PROBE", "cannot be imported"),
    ],
)
def test_a_probe_that_is_not_there(address, words):
    with pytest.raises(FileFormatError, match=words):
        Home.of(address).probe()


def test_a_hundred_thousand_cells_have_their_own_keys():
    parameters = (Parameter("a", float, "a"), Parameter("b", int, "b"))
    probe = Probe("many", 1, "nothing", parameters, (), lambda cells: [])
    grid = {"a": tuple(i / 8 for i in range(400)), "b": tuple(range(250))}
    study = Study("many", probe, HOME, grid, {})
    assert len(set(study.keys)) == 100_000
    assert sum(len(batch.cells) for batch in plan(study)) == 100_000


def test_two_things_of_one_name_are_refused():
    parameter, measure = Parameter("loss", float, "a level", 1.0), Measure("loss", "the end")
    with pytest.raises(ParameterError, match="two things called loss"):
        Probe("double", 1, "nothing", (parameter,), (measure,), run=lambda cells: [])
    with pytest.raises(ParameterError, match="two things called outcome"):
        Probe("double", 1, "nothing", (), (Measure("outcome", "a word"),), run=lambda cells: [])


@pytest.mark.parametrize(
    "example", sorted((ROOT / "examples" / "studies").glob("*.toml")), ids=lambda path: path.name
)
def test_the_example_studies_are_read(example):
    study = read_study(example)
    assert plan(study)
    assert len(set(study.keys)) == study.size


def test_a_worker_stays_with_what_it_has_compiled_and_helps_where_most_is_left():
    probe = dataclasses.replace(PROBE, bucket=lambda cell: cell["x"], cost=lambda cell: cell["x"])

    class There(Home):
        def probe(self) -> Probe:
            return probe

    # Buckets 2, 3 and 4 of three batches each; a batch of bucket x costs 4 x.
    study = dataclasses.replace(squares([2, 3, 4], 12), probe=probe, home=There(HOME.address))
    waiting = Waiting(plan(study))
    taken = [(waiting.take(last), last) for last in (None, None, 4.0, 4.0, 3.0, None)]
    assert [bucket(batch) for batch, _ in taken] == [4, 3, 4, 4, 3, 2]
    # Nothing is fresh. Bucket 4 gets one back; then 2 has two batches of cost 8, 3 has one of 12.
    waiting.put_back(taken[0][0])
    assert [bucket(waiting.take(4.0)) for _ in range(2)] == [4, 2]
    rest = []
    while waiting:
        rest.append(bucket(waiting.take(None)))
    assert rest == [3, 2]
