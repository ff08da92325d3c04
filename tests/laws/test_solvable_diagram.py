"""The solvable diagram: the formulas by hand, its limits, and the closure beyond white data."""

from __future__ import annotations

import numpy as np
import sympy as sp

import flowtheory as ft
from flowtheory.laws.solvable_diagram import CONTOUR, HIDDEN, OUTPUT, _start, derive
from flowtheory.lower import numeric
from flowtheory.phase import psi_changes
from flowtheory.symbolic.drift import LEVEL
from flowtheory.symbolic.network import INPUT_DIMENSION
from flowtheory.symbolic.phase import KAPPA, KAPPA_PRIME, MOMENT, WIDTH

SYMBOLS = (WIDTH, KAPPA, KAPPA_PRIME, MOMENT, INPUT_DIMENSION)


def test_formulas_by_hand():
    hidden, output = (numeric(change, SYMBOLS) for change in (HIDDEN, OUTPUT))
    for m, kappa, ratio, z, d in ((1e3, 1e-4, 0.3, 1.2, 3), (50.0, 2.0, 4.0, 0.5, 2)):
        s = 0.5 * np.arcsinh(2 * z / (m * kappa * (ratio + 1 / ratio)))
        grown, turned = np.cosh(s) - 1, np.sinh(s)
        by_hand = [np.hypot(ratio * turned, grown) / np.sqrt(d), np.hypot(turned / ratio, grown)]
        np.testing.assert_allclose([f(m, kappa, ratio, z, d) for f in (hidden, output)], by_hand)
    assert len(derive()) == 9


def test_numbers_of_wide_networks():
    """|z| = 1.118, D = 3, 20,000 neurons, as measured with random starts, within 3 %."""
    hidden = numeric(HIDDEN, SYMBOLS)
    measured = {
        (0.7, 0): 0.0169, (1, 0): 0.3019, (1.5, 0): 6.92, (1.5, 0.2): 2.179,
        (1.5, -0.2): 19.41, (1.4, -0.8): 34.21,
    }  # fmt: skip
    m = 20_000.0
    for (gamma, other), value in measured.items():
        found = hidden(m, m**-gamma, m**-other, 1.118, 3)
        np.testing.assert_allclose(found, value, rtol=0.03)


def test_the_contour_is_a_level_of_the_change():
    at = {WIDTH: 700, KAPPA_PRIME: sp.Rational(3, 10), MOMENT: 2, INPUT_DIMENSION: 5, LEVEL: 1}
    change = HIDDEN.subs(KAPPA, CONTOUR.kappa.expression).subs(at)
    assert abs(change.evalf(30) - 1) < 1e-25


def test_the_closure_is_exact_for_data_that_are_not_white():
    """Networks of 30 neurons with the moments of a normal, against the integrated closure."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20, 3)) * [1.5, 1.0, 0.5]
    y = x @ np.array([0.4, -0.7, 0.9])
    m, d = 30, 3
    flow = ft.GradientFlow(ft.fully_connected(2, "identity"), loss="half_mse", x=x, y=y)
    for gamma, other in ((0.6, 0.3), (1.6, -0.2)):
        kappa, ratio = m**-gamma, m**-other
        w, a = _start(m, d, rng)
        first = {"W": np.sqrt(kappa / ratio) * w, "v": np.sqrt(kappa * ratio) * a}
        run = flow.solve(first, until=ft.loss_below(1e-13), rtol=1e-10)
        moved = [
            np.linalg.norm(run.params[k] - first[k]) / np.linalg.norm(first[k]) for k in ("W", "v")
        ]
        place = np.array([gamma]), np.array([other]), np.array([float(m)])
        exact = psi_changes(*place, x, y, 1e-6)[:, 0, 0, 0]
        np.testing.assert_allclose(moved, exact, rtol=2e-5)
