"""Predictions at finite widths: the solvable diagram, the closure, and the fit of its constant."""

from __future__ import annotations

import numpy as np
import pytest

from flowtheory.errors import ParameterError
from flowtheory.phase import (
    asymptotic_slopes,
    fit_zeta,
    psi_changes,
    samples,
    solvable_changes,
    width_slopes,
)
from flowtheory.phase.probe import PROBE
from flowtheory.phase.psi import linear_floor

GAMMA, OTHER = np.linspace(0.6, 1.4, 5), np.linspace(-0.4, 0.4, 3)
WIDTHS = 2.0 ** np.arange(8, 13)


def test_slopes_of_powers_are_their_exponents():
    exponents = np.array([[0.3, -1.0]])
    powers = WIDTHS[None, :, None, None] ** exponents[None, None]
    found = width_slopes(np.concatenate([powers, 1 / powers]), WIDTHS)
    np.testing.assert_allclose(found.hidden, exponents, atol=1e-12)
    np.testing.assert_allclose(found.output, -exponents, atol=1e-12)


def test_slopes_at_enormous_widths_are_those_of_the_table():
    """Away from the edges, where the difference is exponentially small in ln m."""
    gamma, other = np.array([0.7, 1.6]), np.array([-0.25, 0.25])
    far = 10.0 ** np.array([60, 61, 62])
    found = width_slopes(solvable_changes(gamma, other, far, 1.0, 3), far)
    table = asymptotic_slopes(gamma, other)
    np.testing.assert_allclose(found.hidden, table.hidden, atol=2e-3)
    np.testing.assert_allclose(found.output, table.output, atol=2e-3)


@pytest.mark.parametrize("zeta", [0.3, 1.0, 8.3])
def test_the_constant_of_the_solvable_diagram_is_found_again(zeta):
    slopes = width_slopes(solvable_changes(GAMMA, OTHER, WIDTHS, zeta, 2), WIDTHS)
    fitted = fit_zeta(slopes.hidden, GAMMA, OTHER, WIDTHS, 2)
    assert fitted.zeta == pytest.approx(zeta, rel=1e-2)
    assert fitted.rms < 1e-4
    wrong = fit_zeta(asymptotic_slopes(GAMMA, OTHER).hidden, GAMMA, OTHER, WIDTHS, 2)
    assert wrong.rms > 0.01


def test_the_closure_on_whitened_data_is_the_solvable_diagram():
    x, y = samples("whitened")
    zeta = float(np.linalg.norm(x.T @ y / len(y)))
    gamma, other, widths = np.array([0.8, 1.5]), np.array([-0.3, 0.2]), np.array([1e3, 1e6])
    closed = solvable_changes(gamma, other, widths, zeta, 3)
    np.testing.assert_allclose(psi_changes(gamma, other, widths, x, y, 1e-8), closed, rtol=1e-6)


def test_the_closure_keeps_its_digits_at_enormous_widths():
    """Lazy and condensed, where its state is of size 1e-20 and 1e+13."""
    x, y = samples("whitened")
    zeta = float(np.linalg.norm(x.T @ y / len(y)))
    for gamma, other in ((0.3, -0.6), (0.3, 0.6), (1.3, 1.1), (2.3, 0.4), (1.6, -1.4)):
        place = np.array([gamma]), np.array([other]), np.array([1e15])
        closed = solvable_changes(*place, zeta, 3)
        np.testing.assert_allclose(psi_changes(*place, x, y, 1e-6), closed, rtol=1e-4)


def test_the_closure_is_the_limit_of_linear_networks():
    """Within the noise of the moments of 20,000 neurons; the fall of the loss to 1e-6 fixes |g|."""
    x, y = samples("whitened")
    cell = {p.name: p.default for p in PROBE.parameters}
    cell |= {"activation": "identity", "data": "whitened", "width": 20_000, "loss": 1e-6, "c": 0.2}
    for gamma, other in ((0.7, 0.0), (1.5, 0.2), (1.4, -0.4)):
        (found,) = PROBE.run([cell | {"gamma": gamma, "gamma_prime": other}])
        place = np.array([gamma]), np.array([other]), np.array([20_000.0])
        exact = psi_changes(*place, x, y, 1e-3)[:, 0, 0, 0]
        assert found.outcome.ok
        measured = [found.values["rd_w"], found.values["rd_a"]]
        np.testing.assert_allclose(measured, exact, rtol=2e-2)


def test_data_whose_moments_are_degenerate_are_refused():
    x, y = np.array([[1.0, 0.0], [0.0, 1e-9]]), np.array([1.0, 1.0])
    with pytest.raises(ParameterError, match="singular in the direction of z"):
        psi_changes(np.array([1.0]), np.array([0.0]), np.array([1e3]), x, y, 1e-12)


def test_a_level_of_the_loss_ends_the_closure_where_it_ends_a_network():
    """On data that no linear function fits: the loss is that of the part that one does."""
    x, y = samples("cloud")
    place = np.array([1.2]), np.array([0.1]), np.array([1e5])
    exact = psi_changes(*place, x, y, loss=0.2)[:, 0, 0, 0]
    cell = {p.name: p.default for p in PROBE.parameters}
    cell |= {"activation": "identity", "data": "cloud", "width": 100_000, "loss": 0.2, "c": 0.2}
    (found,) = PROBE.run([cell | {"gamma": 1.2, "gamma_prime": 0.1}])
    measured = [found.values["rd_w"], found.values["rd_a"]]
    np.testing.assert_allclose(measured, exact, rtol=2e-2)
    white = samples("whitened")
    one, other = (psi_changes(*place, *white, **end) for end in ({"left": 0.1}, {"loss": 0.01}))
    np.testing.assert_allclose(one, other, rtol=1e-9)


def test_a_loss_that_no_linear_function_has_is_refused():
    x, y = samples("cloud")
    assert linear_floor(x, y) == pytest.approx(0.0598, abs=1e-4)
    with pytest.raises(ParameterError, match=r"leaves 0\.0598 of the loss of output 0"):
        psi_changes(np.array([1.0]), np.array([0.0]), np.array([1e3]), x, y, loss=1e-3)
