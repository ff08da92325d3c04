"""Certificates: rows become theorems, and wrong measurements are refuted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flowtheory.laws.alignment_time import proof
from flowtheory.laws.alignment_time.bound import attaining, random_data
from flowtheory.laws.certificate import certify, closed_form
from flowtheory.laws.deep_linear_time import CLAIMS
from flowtheory.laws.deep_linear_time import LAW as DEEP
from flowtheory.laws.record import Effort, Settings
from flowtheory.laws.registry import LAWS
from flowtheory.laws.verify import verify

QUICK = Settings(effort=Effort.QUICK)


@pytest.fixture(scope="module")
def deep():
    return verify(DEEP, QUICK, certify=True)


def test_all_rows_of_a_closed_form_are_proved(deep):
    assert [one.claim for one in deep.certified] == [claim.name for claim in CLAIMS]
    for one in deep.certified:
        assert one.certified == one.rows > 0
        assert (one.refuted, one.unproved, one.detail) == (0, 0, "")
        assert one.radius < 1e-15


def test_wrong_measurements_and_wrong_formulas_are_refuted(deep):
    rows = deep.rows

    # A measurement that is wrong by more than its error does not meet its ball.
    off = [replace(row, measured=row.measured + 3 * row.error + 1e-9) for row in rows]
    found = certify(closed_form(CLAIMS[1]), off)
    assert found.refuted == found.rows
    assert "measured" in found.detail
    # Nor does a measurement of something else: the time by a wrong formula is refuted.
    wrong = replace(CLAIMS[1], prediction=CLAIMS[1].alternatives["rate L times as large"])
    assert certify(closed_form(wrong), rows).certified == 0


def test_the_sharp_bound_is_proved_neuron_by_neuron():
    """Random data with all three parts, and the families that attain the bound."""
    rows = [*random_data(QUICK).rows[:90], *attaining(QUICK).rows]
    assert {row.instance.part for row in rows} == {"a", "b", "c"}
    found = certify(proof.CERTIFICATE, rows)
    assert found.rows == len(rows)
    assert found.certified == found.rows, found.detail


def test_a_bound_tightened_by_a_fifth_is_not_proved(monkeypatch):
    """The control: the four points attain the bound."""
    tight = {part: 0.8 * bound for part, bound in proof._BOUNDS.items()}
    monkeypatch.setattr(proof, "_BOUNDS", tight)
    rows = [row for row in attaining(QUICK).rows if row.family == "four-points"]
    found = certify(proof.CERTIFICATE, rows)
    assert found.certified == 0
    assert found.unproved == found.rows > 0
    assert "does not hold" in found.detail


def test_rows_of_another_kind_are_left_out(deep):
    assert certify(proof.CERTIFICATE, deep.rows).rows == 0


def test_which_laws_can_be_certified():
    known = {name for name, law in LAWS.items() if law.certificates}
    assert known == {"alignment-time", "deep-linear-time", "aligned-blow-up-time"}
