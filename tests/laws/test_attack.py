"""Attacks: stored cases against their ratios and the bounds, and the search on a known maximum."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import sympy as sp

from flowtheory.errors import ParameterError, UnknownNameError
from flowtheory.judge import Attained, Evidence, LowerBound, UpperBound, Verdict
from flowtheory.laws.attack import STORED, Attack, stored_cases, worst
from flowtheory.laws.attacked import attack_experiment
from flowtheory.laws.record import Effort, Settings
from flowtheory.laws.registry import LAWS

ATTACKS = [attack for law in LAWS.values() for attack in law.attacks]
BOUNDED = (UpperBound, LowerBound, Attained)


@pytest.fixture(scope="module", params=ATTACKS, ids=lambda one: f"{one.law}: {one.name}")
def attack(request):
    return request.param


def test_a_stored_case_has_its_ratio_again(attack):
    stored = stored_cases(attack.law)[attack.name]
    row = attack.row(stored["case"])
    assert row.case == tuple(stored["case"])
    assert row.ratio == pytest.approx(stored["ratio"], rel=1e-6)


def test_a_stored_case_obeys_its_bound_and_refutes_one_tightened_by_a_fifth(attack):
    row, claim = attack.row(attack.stored), attack.claim()
    (held,) = claim.held_against([row], claim.prediction)
    assert claim.judge([held]).verdict is Verdict.AGREES
    assert bool(claim.alternatives) == attack.attained
    found = claim.controls([row])
    assert {one.verdict for one in found.values()} <= {Verdict.DISAGREES}
    assert len(found) == attack.attained


def test_every_claimed_bound_is_attacked():
    for law in LAWS.values():
        claimed = any(isinstance(claim.kind, BOUNDED) for claim in law.claims)
        assert claimed == bool(law.attacks), law.name
        assert {one.law for one in law.attacks} <= {law.name}
        names = [one.name for one in law.attacks]
        assert sorted(names) == sorted(stored_cases(law.name))


def test_every_stored_file_belongs_to_a_law():
    assert {path.stem for path in STORED.glob("*.json")} <= set(LAWS)
    for path in STORED.glob("*.json"):
        assert json.loads(path.read_text(encoding="utf-8"))


x = sp.Symbol("x")


def parabola(**options):
    """1 - |numbers - 1/2|^2 against the bound x = 1; nothing where the first number is negative."""

    def case(numbers):
        if numbers[0] < 0:
            return None
        value = 1 - float(np.sum((numbers - 0.5) ** 2))
        return Evidence("", "", {"x": 1.0}, measured=value, error=0.0)

    given = {"name": "parabola", "law": "none", "bound": x + 0, "upper": True, "case": case}
    given |= {"box": ((-1.0, 1.0),) * 2, "generations": (0, 1, 60)}
    return Attack(**(given | options))


def test_the_search_finds_a_known_maximum():
    rows = parabola().search(60, np.random.default_rng(0))
    best = worst(parabola(), rows)
    assert best is rows[-1]
    assert best.case == pytest.approx((0.5, 0.5), abs=1e-3)
    near = [parabola().nearness(row) for row in rows]
    assert near == sorted(near)


def test_a_bound_from_below_is_approached_from_above():
    attack = parabola(upper=False, bound=x / 10)
    far = attack.row((0.5, 0.5))
    near = worst(attack, attack.search(20, np.random.default_rng(1)))
    assert near.measured < far.measured
    assert attack.nearness(near) == pytest.approx(math.log(0.1 / near.measured), rel=1e-12)


def test_a_bound_that_is_too_tight_is_refuted():
    attack = parabola(bound=x * sp.Rational(9, 10))
    rows = attack.search(20, np.random.default_rng(0))
    claim = attack.claim()
    assert claim.judge(claim.held_against(rows, claim.prediction)).verdict is Verdict.DISAGREES


def test_a_search_begins_with_the_stored_case_and_is_never_weaker():
    for attack in (ATTACKS[0], ATTACKS[-1]):
        rows = attack.search(0, np.random.default_rng(0))
        assert {row.case for row in rows} == {attack.known, attack.stored}
    settings = Settings(seed=3, effort=Effort.QUICK)
    fast = parabola(generations=(1, 1, 1))
    found = list(attack_experiment([fast]).run(settings))
    again = list(attack_experiment([fast]).run(settings))
    assert [row.case for row in found] == [row.case for row in again]


def test_a_case_outside_of_the_box_is_refused():
    for numbers in ((2.0, 0.0), (0.5,), (-0.5, 0.5)):
        with pytest.raises(ParameterError, match="no case of the attack 'parabola'"):
            parabola().row(numbers)


def test_an_unknown_attack_is_refused_with_a_suggestion():
    with pytest.raises(UnknownNameError, match="did you mean"):
        LAWS["three-layer-blow-up"].attack("(i), L = 6")
