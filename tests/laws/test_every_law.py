"""The common suite: every registered law runs, agrees, and rejects all of its negative controls."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import sympy as sp

from flowtheory.data import digits
from flowtheory.errors import UnknownNameError
from flowtheory.judge import Verdict, judge_upper_bound
from flowtheory.laws.record import Effort, Settings
from flowtheory.laws.registry import LAWS, get_law
from flowtheory.laws.verify import verify

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=sorted(LAWS))
def verification(request):
    return verify(LAWS[request.param], Settings(data=digits()))


def test_the_law_agrees(verification):
    assert [f for f in verification.findings if f.verdict is not Verdict.AGREES] == []
    assert verification.verdict is Verdict.AGREES


def test_every_negative_control_disagrees(verification):
    assert len(verification.controls) >= 3
    assert {f.verdict for f in verification.controls.values()} == {Verdict.DISAGREES}


def test_evidence_is_finite_and_counts_its_neurons(verification):
    assert len(verification.rows) > 100
    for row in verification.rows:
        assert math.isfinite(row.measured)
        assert row.live + row.dead + row.censored == row.h


def test_the_record_is_complete(verification):
    law = verification.law
    assert {s.role for s in law.statements} & {"published", "derived"}
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


def test_the_range_that_the_table_of_laws_quotes_is_the_one_tested(verification):
    assert verification.law.tested_range == verification.tested_range()


@pytest.mark.parametrize("name", sorted(LAWS))
def test_verification_is_reproducible_and_agrees_for_other_seeds(name):
    settings = Settings(seed=1, effort=Effort.QUICK, data=digits())
    first = verify(LAWS[name], settings)
    assert first.verdict is Verdict.AGREES
    part = replace(LAWS[name], experiments=LAWS[name].experiments[:2], controls=())
    again = verify(part, settings).rows
    assert [row.as_dict() for row in first.rows[: len(again)]] == [row.as_dict() for row in again]
    other = verify(LAWS[name], Settings(seed=2, effort=Effort.QUICK, data=digits(3, 8)))
    assert other.verdict is Verdict.AGREES
    assert [row.as_dict() for row in other.rows] != [row.as_dict() for row in first.rows]


def test_evidence_that_rejects_no_wrong_claim_is_inconclusive():
    law = LAWS["alignment-time"]
    agreeing = replace(
        law.controls[0],
        judge=lambda results: judge_upper_bound("powerless", results["attaining"].rows),
    )
    attaining = [e for e in law.experiments if e.name == "attaining"]
    settings = Settings(effort=Effort.QUICK)
    powerless = replace(law, experiments=tuple(attaining), controls=(agreeing,))
    assert verify(powerless, settings).verdict is Verdict.INCONCLUSIVE
    assert verify(replace(powerless, controls=()), settings).verdict is Verdict.AGREES


def test_an_unknown_law_is_refused_with_a_suggestion():
    with pytest.raises(UnknownNameError, match="did you mean 'alignment-time'"):
        get_law("alignment-tim")
