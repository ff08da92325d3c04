"""The JSON of a report: strict, complete, and the same numbers as the verification."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report import fake

from flowtheory.judge import Verdict
from flowtheory.laws.record import Effort, ExperimentResult, Settings
from flowtheory.report import to_dict, to_json
from flowtheory.report.evidence import SCHEMA, plain
from flowtheory.report.groups import groups


def strict(text: str):
    def refuse(word: str):
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="module")
def document():
    return strict(to_json(to_dict(fake.verification())))


REQUIRED = [
    "schema", "law", "title", "verdict", "range", "not_shown", "clock", "statements", "evidence",
    "fits", "findings", "controls", "assumptions", "versions", "seed", "effort", "seconds", "data",
]  # fmt: skip


def test_required_keys_are_there(document):
    assert set(REQUIRED) <= set(document)
    assert document["schema"] == SCHEMA
    assert (document["law"], document["verdict"]) == ("alignment-time", "AGREES")
    assert (document["seed"], document["effort"], document["seconds"]) == (7, "quick", 41.3)
    assert document["clock"] == "sum loss, slope 1 at zero"
    assert document["data"]["name"] == "planar"


def test_every_row_is_there_with_its_numbers(document):
    rows = [row for result in fake.results().values() for row in result.rows]
    assert len(document["evidence"]) == len(rows)
    for written, row in zip(document["evidence"], rows, strict=True):
        assert (written["family"], written["parameters"]) == (row.family, row.parameters)
        if math.isfinite(row.measured):
            assert (written["measured"], written["ratio"]) == (row.measured, row.ratio)
        else:
            assert written["measured"] is None
            assert written["ratio"] is None


def test_fits_findings_and_controls_carry_their_verdicts(document):
    results = fake.results().values()
    fits = [fit for result in results for fit in result.fits]
    for written, fit in zip(document["fits"], fits, strict=True):
        assert written["interval"] == [fit.low, fit.high]
        assert (written["value"], written["predicted"]) == (fit.value, fit.predicted)
        assert written["verdict"] == fit.verdict.value
    findings = [finding for result in results for finding in result.findings]
    assert [one["claim"] for one in document["findings"]] == [one.claim for one in findings]
    assert [one["verdict"] for one in document["findings"]] == [f.verdict.value for f in findings]
    assert {(one["name"], one["verdict"]) for one in document["controls"]} == {
        (control.name, "DISAGREES") for control, _ in fake.CONTROLS
    }
    claims = {control.wrong_claim for control, _ in fake.CONTROLS}
    assert {one["claim"] for one in document["controls"]} == claims


def test_range_is_that_of_the_measured_rows(document):
    rows = [row for result in fake.results().values() for row in result.rows]
    measured = [row for row in rows if math.isfinite(row.measured)]
    tested = document["range"]
    assert (tested["cases"], tested["measured"]) == (len(rows), len(measured))
    assert len(rows) == len(measured) + 1
    assert tested["parameters"]["n"] == [2, 2002]
    assert tested["parameters"]["mu"] == [
        min(r["mu"] for r in measured),
        max(r["mu"] for r in measured),
    ]
    assert tested["counts"]["censored"] == 1


def test_statements_are_printed_from_the_expressions(document):
    sharper = document["statements"][1]
    assert sharper["role"] == "sharper"
    assert sharper["latex"] == fake.STATEMENTS[1].latex
    assert sharper["text"].startswith("T ≤ 2 ")


def test_assumptions_are_checked_on_the_real_data(document):
    (found,) = document["assumptions"]
    assert found["holds"] is True
    assert found["found"] == f"mu = {fake.planar_data().mu:.3g}"
    synthetic = to_dict(fake.verification(settings=Settings()))
    assert synthetic["assumptions"][0]["holds"] is None
    assert synthetic["data"] is None


@pytest.mark.parametrize(
    ("effort", "option"), [("quick", " --quick"), ("standard", ""), ("full", " --full")]
)
def test_default_command_repeats_the_settings(effort, option):
    run = fake.verification(settings=Settings(seed=3, effort=Effort(effort)))
    assert to_dict(run)["command"] == f"flowtheory verify alignment-time --seed 3{option}"
    assert to_dict(run, command="mine")["command"] == "mine"


def test_summaries_and_curves_become_plain(document):
    by_name = {one["name"]: one for one in document["experiments"]}
    assert by_name["others"]["summary"]["whole"]["violating_fraction"] == 0.031
    np.testing.assert_array_equal(by_name["finite-eps"]["curves"]["eps"], fake.eps_sweep()[0])


NUMBERS = st.floats() | st.integers() | st.booleans() | st.none() | st.text()
NESTED = st.recursive(
    NUMBERS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner)
)


@given(NESTED)
def test_whatever_is_plain_is_strict_json(value):
    read = strict(to_json({"value": plain(value)}))["value"]
    assert read == plain(value)


@given(st.floats())
def test_only_finite_numbers_survive(value):
    kept = plain(np.array([value]))[0]
    assert (kept == value) if math.isfinite(value) else (kept is None)


def test_what_is_not_data_is_refused():
    bad = ExperimentResult(curves={"bound": fake.bound})
    with pytest.raises(TypeError, match="plain data, not function"):
        to_dict(fake.verification(results={"random": bad}))


def test_verdicts_and_enums_are_words():
    run = fake.verification(verdict=Verdict.INCONCLUSIVE)
    assert to_dict(run)["verdict"] == "INCONCLUSIVE"


def test_groups_partition_the_rows_and_find_the_worst(document):
    found = groups(document["evidence"], largest=3)
    assert sum(group["cases"] for group in found) == len(document["evidence"])
    group = next(one for one in found if one["family"] == "random-cone")
    ratios = [
        row.ratio
        for row in fake.random_rows()
        if row.family == "random-cone" and math.isfinite(row.ratio)
    ]
    assert group["worst"] == max(ratios)
    assert group["median"] == pytest.approx(np.median(ratios))
    assert [row["ratio"] for row in group["rows"]] == sorted(ratios)[:-4:-1]
    assert group["counts"]["censored"] == 1


def test_a_group_without_measurements_has_no_ratio():
    row = replace(fake.random_rows()[-1], family="censored").as_dict()
    (group,) = groups([row])
    assert group["worst"] is None
    assert group["rows"] == []
    assert group["counts"]["censored"] == 1
