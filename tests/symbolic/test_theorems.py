"""Published bounds beside the table: what they allow, and where they are attained."""

import itertools

import pytest
import sympy as sp

from flowtheory.symbolic.network import INPUT_DIMENSION
from flowtheory.symbolic.phase import (
    GAMMA,
    GAMMA_PRIME,
    KAPPA,
    KAPPA_PRIME,
    WIDTH,
    regime_at,
    slope_table,
)
from flowtheory.symbolic.theorems import (
    MULTIPLICITY,
    limits,
    luo_lower,
    luo_upper,
    orientations,
    sharper_lower,
)

D = sp.Rational
POINTS = [(D(a, 7), D(b, 7)) for a, b in itertools.product(range(2, 20, 3), range(-15, 16, 2))]
TABLE = slope_table()


def holds(bound, place):
    return sp.And(*(c.subs(place) for c in bound.region)) == sp.true


def sides(bound):
    """The bound's slope and the table's at the points of the region of the bound."""
    for g, gp in POINTS:
        place = {GAMMA: g, GAMMA_PRIME: gp}
        regime = regime_at(TABLE, g, gp)
        formula = regime.output if bound.quantity == "output weights" else regime.hidden
        if holds(bound, place):
            yield place, bound.slope.expression.subs(place), formula.expression.subs(place)


def test_bounds_hold_for_the_table():
    for bound in luo_upper()[:2]:
        assert all(own <= limit for _, limit, own in sides(bound))
    for bound in (luo_lower(), sharper_lower()):
        assert all(own >= limit for _, limit, own in sides(bound))


def test_exponents_of_the_published_sizes():
    g, gp = GAMMA, GAMMA_PRIME
    first, second, _, output = (bound.slope.expression for bound in luo_upper())
    assert (first, second, output) == (g - 1, g - 1 - gp, g - 1 + gp)
    lower = luo_lower().slope.expression
    for place, limit, _ in sides(luo_lower()):
        assert lower.subs(place) == limit == ((g - 1 - sp.Max(gp, 0)) / 2).subs(place)
    # The sizes themselves at a width, with their logarithm.
    at = {WIDTH: 1000, KAPPA: D(1, 100), KAPPA_PRIME: D(1, 4)}
    assert luo_upper()[0].size.subs(at) == sp.log(1000) / 10
    assert luo_lower().size.subs(at) == sp.sqrt(D(1, 40))
    assert sharper_lower().size.subs(at) == D(1, 10)


def test_upper_bounds_are_no_slopes_where_gamma_prime_is_positive():
    first, second, *_ = luo_upper()
    for place, limit, own in sides(first):
        assert (limit == own) == (place[GAMMA_PRIME] <= 0)
    inside = [(limit, own) for place, limit, own in sides(second) if place[GAMMA] > 1]
    assert inside
    assert all(own == 2 * limit for limit, own in inside)


def test_our_lower_bound_is_attained_and_the_published_one_is_not():
    assert all(limit == own for _, limit, own in sides(sharper_lower()))
    for place, limit, own in sides(luo_lower()):
        assert (limit == own) == (place[GAMMA_PRIME] >= 0)
    weaker = [place for place, limit, own in sides(luo_lower()) if limit < own]
    assert len(weaker) > 10


def test_limits_are_the_signs_of_the_table():
    for bound in limits():
        for g, gp in POINTS:
            place = {GAMMA: g, GAMMA_PRIME: gp}
            if holds(bound, place):
                slope = regime_at(TABLE, g, gp).hidden.expression.subs(place)
                assert (slope < 0) == (bound.size == 0)
                assert (slope > 0) == (bound.size == sp.oo)
    verified = {bound.name: bound.verified for bound in limits()}
    assert verified["Theorem 1*"]
    assert not verified["Chen et al., condensed"]


@pytest.mark.parametrize(("p", "count"), [(1, 2), (2, 4), (3, 8), (4, 14)])
def test_orientations_in_three_dimensions(p, count):
    at = {MULTIPLICITY: p, INPUT_DIMENSION: 3}
    conjectured, *proved = orientations()
    (own,) = [formula for formula in proved if formula.holds(at)]
    assert own.expression.subs(at) == count
    assert (conjectured.expression.subs(at) < count) == (p >= 3)
