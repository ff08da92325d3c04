"""Lines of the theory: where S_w crosses 0, and where regimes end."""

from __future__ import annotations

import numpy as np
import pytest

from flowtheory.phase import asymptotic_slopes
from flowtheory.phase.asymptotic import regime_of
from flowtheory.phase.borders import borders, boundary
from flowtheory.symbolic.phase import GAMMA, GAMMA_PRIME

ROWS = np.linspace(-0.4, 0.4, 9)


def test_the_boundary_of_multiplicity_one():
    """Luo et al. 2021, Theorems 1 and 2."""
    np.testing.assert_allclose(boundary(ROWS), 1 + np.maximum(ROWS, 0), atol=1e-12)


def test_leaders_move_the_zero_of_the_slope_and_not_its_discontinuity():
    """S_w = (gamma - gamma')/3 - 1/2, beyond gamma - gamma' = 1, where it jumps from 0."""
    np.testing.assert_allclose(boundary(ROWS, "z*tanh(z)"), ROWS + 1.5, atol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "z*tanh(z)"])
def test_a_grid_of_slopes_is_its_points(activation):
    gamma, other = np.linspace(-1.0, 3.0, 17), np.linspace(-2.0, 2.0, 15)
    found = asymptotic_slopes(gamma, other, activation)
    for i, j in np.ndindex(found.hidden.shape):
        regime = regime_of(float(gamma[j]), float(other[i]), activation)
        values = {GAMMA: float(gamma[j]), GAMMA_PRIME: float(other[i])}
        assert found.hidden[i, j] == pytest.approx(float(regime.hidden.expression.subs(values)))
        assert found.output[i, j] == pytest.approx(float(regime.output.expression.subs(values)))


@pytest.mark.parametrize("activation", ["relu", "z*tanh(z)"])
def test_every_change_of_regime_lies_on_a_line_that_is_drawn(activation):
    lines = borders((0.6, 1.4), (-0.4, 0.4), activation)
    step, rows = lines.gamma[1] - lines.gamma[0], ROWS * 0.99 + 1e-3
    names = np.array(
        [
            [regime_of(float(g), float(o), activation).name for g in lines.gamma[::6]]
            for o in ROWS * 0.99 + 1e-3
        ]
    )
    for row, other in enumerate(rows):
        i = int(np.abs(lines.gamma_prime - other).argmin())
        for k in np.flatnonzero(names[row, 1:] != names[row, :-1]):
            between = slice(6 * k, 6 * k + 7)
            nearest = min(
                np.nanmin(np.abs(field[i, between]), initial=np.inf)
                for field in (*lines.edges, lines.slope)
            )
            assert nearest <= 2 * step
