"""The common suite: every registered law runs, agrees, and rejects all of its negative controls."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import sympy as sp

from flowtheory.data import digits
from flowtheory.errors import UnknownNameError
from flowtheory.judge import Verdict
from flowtheory.laws.record import Effort, Settings
from flowtheory.laws.registry import LAWS, get_law
from flowtheory.laws.verify import verify

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=sorted(LAWS))
def verification(request):
    settings = Settings(seed=1, effort=Effort.QUICK, data=digits())
    return verify(LAWS[request.param], settings)


def test_the_law_agrees(verification):
    findings = [f for result in verification.results.values() for f in result.findings]
    assert [f for f in findings if f.verdict is not Verdict.AGREES] == []
    assert verification.verdict is Verdict.AGREES


def test_every_negative_control_disagrees(verification):
    assert len(verification.controls) >= 3
    assert {f.verdict for f in verification.controls.values()} == {Verdict.DISAGREES}


def test_evidence_is_finite_and_counts_its_neurons(verification):
    rows = [row for result in verification.results.values() for row in result.rows]
    assert len(rows) > 100
    for row in rows:
        assert math.isfinite(row.measured)
        assert row.live + row.dead + row.censored == row.h


def test_the_record_is_complete(verification):
    law = verification.law
    assert {s.role for s in law.statements} >= {"published"}
    for statement in law.statements:
        assert statement.source
        assert isinstance(statement.expression, sp.Basic)
    described = {info.symbol for info in law.symbols}
    used = set().union(*(s.expression.free_symbols for s in law.statements))
    lhs = {s.expression.args[0] for s in law.statements}
    assert used - lhs <= described
    assert (ROOT / law.docs).is_file()
    assert law.not_shown
    assert law.references
    assert law.derive is not None
    assert len(law.derive()) > 5


def test_verification_is_reproducible(verification):
    again = verify(verification.law, verification.settings)
    for name, result in verification.results.items():
        assert [row.as_dict() for row in again.results[name].rows] == [
            row.as_dict() for row in result.rows
        ]


def test_an_unknown_law_is_refused_with_a_suggestion():
    with pytest.raises(UnknownNameError, match="did you mean 'alignment-time'"):
        get_law("alignment-tim")
