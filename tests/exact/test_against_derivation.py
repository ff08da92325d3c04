"""The compiled kernel and the measures say what the symbolic engine derives: one truth."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from flowtheory.exact import propagate
from flowtheory.lower import numeric
from flowtheory.measure import alignment_times
from flowtheory.symbolic.alignment import derive_alignment
from flowtheory.symbolic.cell import ALPHA, P0, V0, P, T, V

DERIVED = derive_alignment()
PSI_0, R_0 = sp.Symbol("psi_0", real=True), sp.Symbol("R_0", positive=True)


def formula(name, symbols):
    rhs = DERIVED[name].rhs
    by_name = {str(symbol): symbol for symbol in rhs.free_symbols}
    return numeric(rhs, [by_name.get(str(symbol), symbol) for symbol in symbols])


@settings(max_examples=200, deadline=None)
@given(st.floats(-0.999, 3.0), st.floats(0.0, 4.0), st.floats(0.01, 5.0), st.floats(0.01, 10.0))
def test_time_in_a_cell_is_the_derived_one(p0, s, alpha, imbalance):
    from flowtheory.exact._kernel import elapsed

    rho2 = imbalance  # v^2 - p^2
    p1 = p0 + alpha * s
    v0, v1 = np.sqrt(rho2 + p0**2), np.sqrt(rho2 + p1**2)
    # In 60 digits: the derived v + p cancels for p < 0, and so do the logarithms for nearby p.
    derived = sp.lambdify((V, P, V0, P0, ALPHA), DERIVED["Time in a cell"].rhs, "mpmath")
    with mp.workdps(60):
        q0, q1 = mp.mpf(p0), mp.mpf(p1)
        speeds = mp.sqrt(rho2 + q1**2), mp.sqrt(rho2 + q0**2)
        expected = float(derived(speeds[0], q1, speeds[1], q0, mp.mpf(alpha)))
    assert elapsed(p0, v0, p1, v1, rho2, alpha) == pytest.approx(expected, rel=1e-13, abs=1e-40)


@pytest.mark.parametrize("ratio", [0.4, 1.0, 2.5])
def test_a_neuron_in_its_last_cell_follows_the_derived_closed_forms(ratio):
    x = np.array([[1.0, 0.0], [0.6, 0.8]])
    a = x.sum(axis=0)
    alpha = np.linalg.norm(a)
    w0, times = np.array([0.3, 0.5]), np.array([0.1, 0.7, 2.0])
    v0 = ratio * np.linalg.norm(w0)
    samples = propagate(x, np.ones(2), [w0], [v0], times=times).samples
    path = formula("Path in a cell", (V0, P0, ALPHA, T))(v0, w0 @ a / alpha, alpha, times)
    gain = formula("Output weight in a cell", (V0, P0, ALPHA, T))(v0, w0 @ a / alpha, alpha, times)
    w = w0 + path[:, None] * a
    norm = np.linalg.norm(w, axis=1)
    np.testing.assert_allclose(np.exp(samples.log_norm[0]), norm, rtol=1e-13)
    np.testing.assert_allclose(samples.direction[0], w / norm[:, None], rtol=1e-13)
    np.testing.assert_allclose(samples.ratio[0] * norm, gain, rtol=1e-13)


def test_cosine_and_phi_times_solve_the_derived_laws():
    x = np.array([[1.0, 0.0], [0.6, 0.8]])
    delta = 1e-2
    paths = propagate(x, np.ones(2), [[1.0, 0.05]])
    times = alignment_times(paths, np.ones(2), delta=delta)
    a = x.sum(axis=0)
    alpha = np.linalg.norm(a)
    psi_0 = np.arccos(a @ [1.0, 0.05] / alpha / np.hypot(1.0, 0.05))
    speed = formula("Speed in a cell", (ALPHA, T, PSI_0))(alpha, times.phi[0], psi_0)
    assert float(speed) == pytest.approx((1 - delta) * alpha, rel=1e-12)
    half = formula("Half-angle law", (ALPHA, T, PSI_0))(alpha, times.cosine[0], psi_0)
    assert np.cos(2 * np.arctan(half)) == pytest.approx(1 - delta, rel=1e-12)
