"""The boundary at finite widths, against the formula it is solved from, and known numbers."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp

from flowtheory.errors import ParameterError
from flowtheory.lower import numeric
from flowtheory.phase import solvable_changes
from flowtheory.phase.drift import boundary_gamma
from flowtheory.symbolic.closure import psi_closure
from flowtheory.symbolic.drift import LEVEL, contour
from flowtheory.symbolic.leading import leading_flow
from flowtheory.symbolic.network import INPUT_DIMENSION
from flowtheory.symbolic.networks.fully_connected import two_layer
from flowtheory.symbolic.phase import KAPPA_PRIME, MOMENT, WIDTH
from flowtheory.symbolic.solvable import solvable_diagram

OTHER = np.array([-0.7, -0.2, 0.0, 0.3, 1.1])


@pytest.fixture(scope="module")
def found():
    closure = psi_closure(leading_flow(two_layer("identity"), "half_mse"))
    return contour(solvable_diagram(closure))


def test_equal_scales_give_the_golden_ratio_in_two_dimensions(found):
    at = {KAPPA_PRIME: 1, LEVEL: 1}
    stage = found.stage.expression.subs(at)
    d = INPUT_DIMENSION
    assert sp.simplify(stage - (1 + sp.sqrt(1 + 2 * d)) / 2) == 0
    assert stage.subs(d, 2).equals(sp.GoldenRatio)
    # m kappa = zeta / sinh 2s, and sinh 2s = 4.116.
    doubled = sp.sinh(2 * sp.acosh(stage.subs(d, 2)))
    assert float(doubled) == pytest.approx(4.116, abs=5e-4)
    gamma = found.gamma.expression.subs(at).subs(d, 2)
    claimed = 1 + sp.log(doubled / MOMENT) / sp.log(WIDTH)
    for width, zeta in ((300, 0.4), (10**6, 8.3)):
        values = {WIDTH: width, MOMENT: sp.Float(zeta, 30)}
        assert abs((gamma - claimed).subs(values).evalf(25)) < 1e-20


@pytest.mark.parametrize("level", [1.0, 0.01, 30.0])
def test_the_relative_change_on_the_contour_is_its_level(level):
    for width, zeta, dimension in ((200.0, 1.0, 2), (1e6, 8.3, 3), (1e15, 0.2, 10)):
        widths = np.array([width])
        gamma = boundary_gamma(OTHER, widths, zeta, dimension, level)
        for row, one in zip(gamma[0], OTHER, strict=True):
            changes = solvable_changes(np.array([row]), np.array([one]), widths, zeta, dimension)
            assert changes[0].item() == pytest.approx(level, rel=1e-11)


def test_digits_are_kept_where_the_stage_is_small(found):
    symbols = (KAPPA_PRIME, INPUT_DIMENSION, LEVEL, WIDTH, MOMENT)
    values = (3e7, 5.0, 0.7, 2e4, 1.3)
    one, exact = (numeric(found.kappa.expression, symbols, kind) for kind in ("numpy", "mpmath"))
    with mpmath.workdps(60):
        reference = exact(*map(mpmath.mpf, values))
        # RD = kappa' sinh(s)/sqrt(D) up to a part of order s.
        small = mpmath.sqrt(5) * mpmath.mpf(0.7) / mpmath.mpf(3e7)
        kappa = mpmath.mpf(1.3) / (2e4 * mpmath.mpf(3e7) * small)
    assert one(*values) == pytest.approx(float(reference), rel=1e-14)
    assert float(reference) == pytest.approx(float(kappa), rel=1e-6)


def test_the_drift_is_logarithmic_and_ends_at_the_boundary():
    widths = 10.0 ** np.array([20, 40, 80])
    away = boundary_gamma(OTHER, widths, 0.5, 2) - (1 + np.maximum(OTHER, 0.0))
    constants = away * np.log(widths)[:, None]
    np.testing.assert_allclose(constants[:2], np.tile(constants[2], (2, 1)), rtol=1e-3)
    # By hand: a small kappa' has cosh s = 1 + sqrt(D), a large one sinh s = sqrt(D)/kappa'.
    c = 1 + np.sqrt(2)
    above, below = c * np.sqrt(c**2 - 1) / 0.5, np.sqrt(2) / 0.5
    hand = [below, below, above, above]
    np.testing.assert_allclose(np.exp(np.delete(constants[2], 2)), hand, rtol=1e-3)


def test_what_is_no_width_or_constant_is_refused():
    with pytest.raises(ParameterError, match="smallest width is 1"):
        boundary_gamma(OTHER, np.array([1.0, 2.0]), 1.0, 2)
    with pytest.raises(ParameterError, match="zeta = -1"):
        boundary_gamma(OTHER, np.array([10.0]), -1.0, 2)
