"""The rotation against the closure of infinite width, on data that are not whitened."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from flowtheory.laws.diagram_runs import ended
from flowtheory.laws.rotation_to_least_squares import ALONG, FROZEN, V_LS, A, D, W, kappa, m
from flowtheory.measure.projection import linear_directions
from flowtheory.phase.data import samples
from flowtheory.phase.psi import psi_changes

DATA = samples("cloud")
Z, BEST = linear_directions(*DATA)


@pytest.mark.parametrize("gamma", [0.8, 1.4, 2.0])
def test_a_frozen_output_moves_the_input_as_the_closure_says(gamma):
    width = 1e6
    at = {m: width, kappa: width**-gamma, V_LS: np.linalg.norm(BEST), D: 3, A: 1, W: 1}
    formula = float(FROZEN.xreplace({s: sp.Float(float(v)) for s, v in at.items()}))
    place = np.array([gamma]), np.array([-2.0]), np.array([width])
    assert formula == pytest.approx(psi_changes(*place, *DATA, 1e-8)[0, 0, 0, 0], rel=1e-6)


def test_the_part_along_the_solution_goes_from_that_of_noise_to_all():
    distance = sp.Symbol("x", positive=True)
    along = ALONG.xreplace({V_LS: distance * m * kappa * sp.sqrt(D) * A * W})
    assert sp.simplify(along.subs(distance, 0) - 1 / sp.sqrt(D)) == 0
    assert sp.limit(along, distance, sp.oo) == 1


def test_the_directions_of_a_tanh_network_turn():
    """Along z at the escape; along v_LS, and at its angle to z, near the plateau."""
    cosine = abs(Z @ BEST) / (np.linalg.norm(Z) * np.linalg.norm(BEST))
    x, y = DATA
    floor = np.mean((y - x @ BEST) ** 2) / np.mean(y**2)
    at = {"activation": "tanh", "eps": 1e-5, "data": "cloud", "checked": 0}
    early = ended(3.0, 0.0, 2048, 0, loss=1 - 0.01 * (1 - floor), **at)
    late = ended(3.0, 0.0, 2048, 0, loss=floor + 1e-3 * (1 - floor), **at)
    assert early["ratio_z"] > 0.999
    assert late["ratio_ls"] > 0.99
    assert late["ratio_z"] == pytest.approx(cosine, abs=0.05)
    assert cosine < 0.9
