"""Regimes of deep networks for any depth: edges, the two-layer table, and conserved quantities."""

from __future__ import annotations

from itertools import pairwise

import pytest
import sympy as sp

from flowtheory.errors import ParameterError
from flowtheory.phase import layer_slopes
from flowtheory.symbolic.depth_regimes import (
    GAMMA_2,
    HIDDEN_LAYERS,
    condensation_edge,
    depth_regimes,
)
from flowtheory.symbolic.phase import GAMMA, GAMMA_PRIME, regime_at, slope_table

H, g, o = HIDDEN_LAYERS, GAMMA, GAMMA_2
x = g - (H + 1) / 2


def test_formulas_for_any_depth():
    """With the gap |gamma_2| and the number k of fast layers, typed by hand."""
    for k, gap, regimes in ((H, o, depth_regimes()[:3]), (1, -o, depth_regimes()[3:])):
        lead, follow = (
            (x, x / k, (x + (H + 1 - k) * gap) / (H + 1)),
            (x - 2 * gap, 2 * x / k - 2 * gap, (x - k * gap) / (H + 1)),
        )
        front, back = (follow, lead) if k == H else (lead, follow)
        for regime, first, other in zip(regimes, front, back, strict=True):
            for found, expected in zip(
                regime.slopes, (first, other - sp.Rational(1, 2), other, other), strict=True
            ):
                assert sp.simplify(found.expression - expected) == 0


def test_formulas_agree_on_edges_for_any_depth():
    slow, fast = depth_regimes()[:3], depth_regimes()[3:]
    pairs = [(a, b, {g: a.end}) for side in (slow, fast) for a, b in pairwise(side)]
    # The side of the plane changes where the lazy and the balanced regimes meet their like.
    pairs += [(slow[k], fast[k], {o: 0}) for k in (0, 2)]
    for here, there, edge in pairs:
        for one, two in zip(here.slopes, there.slopes, strict=True):
            assert sp.simplify((one.expression - two.expression).subs(edge)) == 0


@pytest.mark.parametrize("hidden", [1, 2, 4])
def test_an_integer_is_substituted_into_the_formulas_for_any_depth(hidden):
    for own, general in zip(depth_regimes(hidden), depth_regimes(), strict=True):
        for one, two in zip(own.slopes, general.slopes, strict=True):
            assert sp.simplify(one.expression - two.expression.subs(H, hidden)) == 0


def test_one_hidden_layer_is_the_table_of_two_layers_exactly():
    table, regimes = slope_table(1), depth_regimes(1)
    for a in range(-4, 17):
        for b in range(-8, 9):
            at = {g: sp.Rational(a, 4), o: sp.Rational(b, 4)}
            two = regime_at(table, at[g], at[o])
            place = {GAMMA: at[g], GAMMA_PRIME: at[o]}
            inside = [r for r in regimes if r.slopes.input.holds(at)]
            assert inside
            for regime in inside:
                assert regime.slopes.input.expression.subs(at) == two.hidden.expression.subs(place)
                assert regime.slopes.output.expression.subs(at) == two.output.expression.subs(place)


@pytest.mark.parametrize("hidden", [2, 5])
def test_lowered_slopes_are_those_of_the_first_regime_that_contains_the_point(hidden):
    for at in ((0.5, 0.3), (0.7, -0.2), (1.9, 0.6), (3.4, -0.9), (6.5, 0.2), (7.0, -1.0)):
        values = dict(zip((g, o), at, strict=True))
        (regime,) = (r for r in depth_regimes(hidden) if r.slopes.input.holds(values))
        expected = [float(one.expression.subs(values)) for one in regime.slopes]
        assert list(map(float, layer_slopes(*at, hidden))) == pytest.approx(expected, abs=1e-12)


def test_the_edge_of_condensation_for_any_depth():
    edge = condensation_edge()
    assert sp.expand(edge.subs(o, 2) - (H + 1) / 2 - 2 * H) == 0
    assert sp.expand(edge.subs(o, -2) - (H + 1) / 2) == 0


def test_what_is_no_depth_is_refused():
    with pytest.raises(ParameterError, match="hidden_layers is"):
        depth_regimes(0)
    with pytest.raises(ParameterError, match="hidden_layers is"):
        depth_regimes(sp.Symbol("n"))
