"""Leaders: the exponents of the engine, and a network whose bulk stays behind."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from flowtheory.flow.fall import fall
from flowtheory.laws.diagram_runs import cell_of
from flowtheory.laws.leader_selection import ALL_BALANCED, BALANCED, FROZEN, LEADER, p
from flowtheory.lower.gradient_flow import two_layer_model
from flowtheory.phase.point import Point
from flowtheory.phase.probe import run_cell
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.phase import GAMMA, GAMMA_PRIME

X, Y = np.array([[1, 0.2], [0.3, 1], [-0.8, 0.7]]), np.array([1, -0.7, 0.5])


@pytest.mark.parametrize("number", [2, 3])
def test_the_exponents_are_those_of_one_neuron_over_the_root_of_all(number):
    g, gp, half = GAMMA, GAMMA_PRIME, sp.Rational(1, 2)
    parts: tuple[Expr, ...] = (LEADER, ALL_BALANCED, *BALANCED, FROZEN[0])
    leader, every, *found = (one.xreplace({p: sp.Integer(number)}) for one in parts)
    wanted = (leader - half, leader + gp - half, g / number - half)
    assert all(sp.expand(one - other) == 0 for one, other in zip(found, wanted, strict=True))
    # All neurons: kappa is m kappa, and the root mean square is each one's.
    assert sp.expand(every - leader.xreplace({g: g - 1})) == 0


def _growth(activation: str, level: float, seed: int) -> np.ndarray:
    point = Point(3.0, 0.0, 1000, activation)
    start, seen = point.start(2, np.random.default_rng(seed), paired=False), point.samples(X, Y)
    whole = 0.5 * float(seen.weight) * float(np.sum(np.asarray(seen.y) ** 2))
    model = two_layer_model(activation, "half_mse")
    end = fall(model, seen, start, level * whole, c=0.5)
    assert end.outcome.ok
    size = [np.linalg.norm(np.asarray(params.W), axis=1) for params in (end.params, start)]
    return size[0] / size[1]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_bulk_stays_behind_for_multiplicity_two_and_not_for_one(seed):
    """Three points, 1,000 neurons, gamma = 3: the median grows by 5 %, the leader 100-fold."""
    square, linear = _growth("z**2", 0.9, seed), _growth("identity", 0.97, seed)
    assert np.median(square) < 1.1
    assert square.max() > 100
    assert np.median(linear) > 100


def test_with_a_frozen_output_the_largest_of_them_leads():
    start, end, _, _ = run_cell(cell_of(3.0, -2.5, 2048, 0, activation="z**2", loss=0.5), 1.0)
    v, sizes = np.abs(np.asarray(start.v)), np.linalg.norm(np.asarray(end.params.W), axis=1)
    rank = int(np.sum(v > v[np.argmax(sizes)]))
    assert rank < 20
