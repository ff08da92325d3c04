"""The atlas lists every verdict with its formula and range, and is written where it may be."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from report import fake

from flowtheory.errors import OutputError
from flowtheory.judge import Verdict
from flowtheory.laws.record import ExperimentResult
from flowtheory.laws.registry import LAWS, get_law
from flowtheory.report import to_dict, write_report
from flowtheory.report.atlas import check_atlas, entry, former, write_atlas
from flowtheory.report.page import render_page


@pytest.fixture(scope="module")
def document():
    return to_dict(fake.verification(), command="flowtheory verify alignment-time --quick")


def test_an_entry_has_one_formula_a_role_and_counts_the_wrong_variants(document):
    found = entry(document)
    assert found["formulas"] == [fake.STATEMENTS[0].latex, fake.STATEMENTS[1].latex]
    assert found["rejected"] == len(found["variants"]) == 3
    assert found["range"].startswith("n 2..2002, mu 1e-08..")
    assert found["range"].endswith("300 cases")


def test_every_law_is_listed_with_its_verdict_and_a_failure_with_its_error(document, tmp_path):
    other = document | {"law": "second", "verdict": "DISAGREES", "stopped": "stopped after 3 s"}
    failed = {"third": "the experiment 'a' failed: <ZeroDivisionError>"}
    write_atlas([document, other], failed, tmp_path, command="flowtheory verify --all --quick")
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    for law in ("alignment-time", "second"):
        assert f'href="{law}/index.html"' in page
    assert "1 AGREES, 1 DISAGREES" in page
    assert "6 of 6 wrong variants" in page
    assert "&lt;ZeroDivisionError&gt;" in page
    assert "stopped after 3 s" in page
    assert page.count("<math") >= 4
    assert not re.search(r'(src|href)="https?://', page)
    listed = json.loads((tmp_path / "atlas.json").read_text(encoding="utf-8"))
    assert [law["verdict"] for law in listed["laws"]] == ["AGREES", "DISAGREES"]
    assert listed["failed"] == [{"law": "third", "error": failed["third"]}]


def test_attacks_are_shown_with_the_call_that_measures_them_again(tmp_path):
    attack = LAWS["three-layer-blow-up"].attack("(iv), L = 3")
    row = attack.row(attack.stored)
    weaker = attack.row([1.1 * number if k == 0 else number for k, number in enumerate(row.case)])
    results = {"attack": ExperimentResult((weaker, row))}
    law = replace(fake.law(), name="three-layer-blow-up", attacks=(attack,))
    document = to_dict(fake.verification(law=law, results=results))
    (shown,) = document["attacks"]
    assert shown["case"] == list(row.case)
    assert shown["stored"]
    assert abs(shown["short"]) < 1e-6
    assert eval(shown["again"], {"get_law": get_law}).ratio == pytest.approx(shown["ratio"])
    page = render_page(document, {}, downloads={})
    assert "get_law(&#39;three-layer-blow-up&#39;).attack(&#39;(iv), L = 3&#39;)" in page
    write_atlas([document], {}, tmp_path, command="flowtheory verify --all")
    listed = json.loads((tmp_path / "atlas.json").read_text(encoding="utf-8"))
    assert listed["attacks"] == 1
    assert listed["laws"][0]["attacks"][0]["case"] == list(row.case)
    assert "Attacks: (iv), L = 3" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_report_is_taken_over_only_from_the_same_command_and_versions(tmp_path):
    verification = fake.verification()
    target = tmp_path / "alignment-time"
    write_report(verification, {}, target, command="flowtheory verify alignment-time --quick")
    versions = dict(verification.versions)
    found = former(target, "flowtheory verify alignment-time --quick", versions)
    assert found is not None
    assert found["verdict"] == Verdict.AGREES.value
    assert former(target, "flowtheory verify alignment-time --full", versions) is None
    changed = versions | {"numpy": "0"}
    assert former(target, "flowtheory verify alignment-time --quick", changed) is None
    (target / "evidence.json").write_text("{", encoding="utf-8")
    assert former(target, "flowtheory verify alignment-time --quick", versions) is None


def test_a_report_of_evidence_that_was_cut_short_is_not_taken_over(tmp_path):
    stopped = fake.verification(stopped="stopped after 3 s")
    write_report(stopped, {}, tmp_path / "law", command="c")
    assert former(tmp_path / "law", "c", dict(stopped.versions)) is None


def test_an_atlas_is_not_written_over_something_else(document, tmp_path):
    check_atlas(tmp_path / "new")
    write_atlas([document], {}, tmp_path / "new", command="c")
    check_atlas(tmp_path / "new")
    (tmp_path / "new" / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match=r"thesis\.tex"):
        check_atlas(tmp_path / "new")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="cannot be written"):
        check_atlas(tmp_path / "file")
