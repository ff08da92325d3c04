"""The common suite: every registered law runs, agrees, and rejects all of its wrong variants."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import sympy as sp

from flowtheory.data import digits
from flowtheory.errors import UnknownNameError
from flowtheory.judge import UpperBound, Verdict
from flowtheory.laws.check import check_law
from flowtheory.laws.record import Effort, Settings
from flowtheory.laws.registry import LAWS, get_law
from flowtheory.laws.verify import verify

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=sorted(LAWS))
def verification(request):
    """A quick run with a seed that is not the default one."""
    return verify(LAWS[request.param], Settings(seed=1, effort=Effort.QUICK, data=digits()))


def test_the_law_agrees(verification):
    assert [f for f in verification.findings if f.verdict is not Verdict.AGREES] == []
    assert verification.verdict is Verdict.AGREES


def test_every_wrong_variant_disagrees(verification):
    assert len(verification.controls) >= 3
    accepted = [n for n, f in verification.controls.items() if f.verdict is not Verdict.DISAGREES]
    assert accepted == []


def test_evidence_is_finite_or_cut_off_and_counts_its_neurons(verification):
    assert verification.rows
    for row in verification.rows:
        assert math.isfinite(row.measured) or math.isfinite(row.cut)
        assert row.error >= 0
        if row.counts:
            assert sum(row.counts.values()) == row["h"]


def test_every_claim_is_about_some_rows(verification):
    for claim in verification.law.claims:
        assert any(claim.covers(row) for row in verification.rows), claim.name


def test_the_record_is_complete(verification):
    law = check_law(verification.law)
    assert {s.role for s in law.statements} & {"published", "derived"}
    for statement in law.statements:
        assert statement.source
        assert isinstance(statement.expression, sp.Basic)
    assert (ROOT / law.docs).is_file()
    assert law.derive is not None
    assert len(law.derive()) > 5


def test_figures_have_captions(verification):
    figures = verification.figures()
    assert figures
    assert all(caption for _, caption in figures.values())


def test_evidence_is_reproducible(verification):
    """The experiment of the fewest rows, once more."""
    law, rows = verification.law, verification.rows
    known = {e: [row for row in rows if row.experiment == e.name] for e in law.experiments}
    shortest = min((e for e in known if known[e]), key=lambda e: len(known[e]))
    part = replace(law, experiments=(shortest,), claims=(), controls=())
    found = verify(part, verification.settings).rows
    again = [row for row in found if row.experiment == shortest.name]
    for first, second in zip(known[shortest], again, strict=True):
        expected = first.as_dict()
        if not math.isfinite(second.predicted):  # the claims have filled it in
            expected |= {"predicted": None, "ratio": None}
        assert second.as_dict() == expected
    assert again


def test_evidence_that_rejects_no_wrong_claim_is_inconclusive():
    law = LAWS["alignment-time"]
    agreeing = replace(
        law.controls[0],
        judge=lambda results: UpperBound().judge("powerless", results["attaining"].rows),
    )
    attaining = [e for e in law.experiments if e.name == "attaining"]
    settings = Settings(effort=Effort.QUICK)
    powerless = replace(law, experiments=tuple(attaining), claims=(), controls=(agreeing,))
    assert verify(powerless, settings).verdict is Verdict.INCONCLUSIVE
    assert verify(replace(powerless, controls=()), settings).verdict is Verdict.AGREES


def test_an_unknown_law_is_refused_with_a_suggestion():
    with pytest.raises(UnknownNameError, match="did you mean 'alignment-time'"):
        get_law("alignment-tim")
