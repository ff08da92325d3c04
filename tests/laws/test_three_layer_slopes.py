"""Exponents of three layers: known values, where they are tried, and the conserved quantity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp

from flowtheory.laws.diagram_runs import deep_ended
from flowtheory.laws.three_layer_slopes import (
    BALANCED,
    CRITICAL,
    FIRST_GROWS,
    FOLLOWED,
    FROBENIUS,
    LAZY,
    LAZY_ZERO,
    LEADING,
    REST_GROWS,
    SLOW,
    SQUARE,
    STEEP,
    THREE,
)
from flowtheory.phase.deep_asymptotic import layer_slopes
from flowtheory.phase.deep_probe import PROBE, run_cell
from flowtheory.symbolic.depth_regimes import GAMMA_2, depth_regimes
from flowtheory.symbolic.phase import GAMMA, WIDTH

# gamma, and for W1, W2 (Frobenius), W2 (operator): measured before, outside this package, with
# 64 to 512 neurons, and the exponent.
KNOWN = (
    (1.25, (-0.267, -1 / 4), (-0.707, -3 / 4), None),
    (1.5, (-0.069, 0), (-0.485, -1 / 2), None),
    (2.0, (0.167, 1 / 6), (-0.277, -1 / 3), (0.252, 1 / 6)),
    (2.5, (0.330, 1 / 3), (-0.136, -1 / 6), (0.385, 1 / 3)),
)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: f"gamma = {known[0]}")
def test_exponents_are_the_known_ones(known):
    at = [(GAMMA, sp.Rational(str(known[0]))), (GAMMA_2, sp.Integer(0))]
    for expression, pair in zip(THREE, known[1:], strict=False):
        if pair is not None:
            measured, exponent = pair
            value = float(expression.subs(at))
            assert value == pytest.approx(exponent, abs=1e-12)
            # Slopes between such widths are off by this much where a regime begins.
            assert value == pytest.approx(measured, abs=0.09)


def test_zeros_are_those_of_the_exponents():
    assert (FROBENIUS, LAZY_ZERO) == (3, 2)
    for ratio in (sp.Rational(-1, 2), sp.Integer(0), sp.Rational(1, 2)):
        edge = CRITICAL.subs(GAMMA_2, ratio)
        assert edge == sp.Rational(3, 2) + 2 * sp.Max(0, ratio)
        assert THREE.input.subs({GAMMA: edge, GAMMA_2: ratio}) == 0
    assert THREE.hidden.subs({GAMMA: FROBENIUS, GAMMA_2: 0}) == 0


@pytest.mark.parametrize("place", [*LAZY, *BALANCED, REST_GROWS, FIRST_GROWS, *STEEP], ids=str)
def test_places_are_far_from_every_edge_in_gamma(place):
    near = (place.gamma - 1, place.gamma + 1)
    own = [
        {k for k, r in enumerate(depth_regimes(2)) if sp.And(*r.domain).xreplace(at) == sp.true}
        for at in ({GAMMA: g, GAMMA_2: place.gamma_2} for g in (*near, place.gamma))
    ]
    assert own[0] & own[1] & own[2]


@pytest.mark.parametrize("place", [REST_GROWS, FIRST_GROWS])
def test_slow_layers_follow_by_the_square(place):
    """The formula of the claim, of its axis and of its two layers are one."""
    at = {GAMMA: sp.nsimplify(place.gamma), GAMMA_2: sp.nsimplify(place.gamma_2)}
    exponent = (SLOW - 2 * LEADING).xreplace(at)
    assert exponent == SQUARE.xreplace(at)
    assert FOLLOWED.xreplace(at) == WIDTH**exponent


def test_the_square_is_that_of_the_conserved_quantity():
    r"""$|W_1|^2 - |v|^2$ stays; v outgrows its start only by what W_1 has gained."""
    cell: dict[str, Any] = {p.name: p.default for p in PROBE.parameters}
    cell |= {"gamma": 3.0, "gamma_2": -2.5, "width": 32, "data": "three-points-linear"}
    start, end, _ = run_cell(cell, 0.1)
    gained = [float(np.sum(np.asarray(end.params[n]) ** 2) - np.sum(start[n] ** 2)) for n in start]
    assert gained == pytest.approx([gained[0]] * 3, rel=1e-2)
    assert gained[0] > 100 * float(np.sum(start["W1"] ** 2))


def test_far_on_the_lazy_side_changes_are_proportional_to_kappa():
    """RD falls in proportion to kappa there, at every width and for every layer."""
    data: dict[str, Any] = {"data": "three-points-linear", "checked": 0}
    first, second = (deep_ended(gamma, 0.0, 32, 3, **data) for gamma in (-2.0, -1.0))
    for name in ("rd_input", "rd_hidden", "rd_operator", "rd_output"):
        assert second[name] / first[name] == pytest.approx(32.0, rel=0.02)
    assert layer_slopes(-1.0, 0.0, 2).input - layer_slopes(-2.0, 0.0, 2).input == 1
