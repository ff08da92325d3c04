"""The rates of the product against its own flow, integrated by SciPy; the network in two forms."""

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from flowtheory.engine.gradient_flow import GradientFlow
from flowtheory.laws.swing_by import PEAK, _flow, a_1, a_2, c_11, c_12, matrix_rate, tied
from flowtheory.laws.swing_by import eps as scale


def field(_, flat, moments):
    U = flat.reshape(2, -1)
    A, rest = np.diag(moments), U @ U.T - np.eye(2)
    return -((rest @ A + A @ rest) @ U).ravel()


def test_published_rates():
    """Claim C29: 6, then -1, and 4 for w_22, at A = diag(2, 1)."""
    rng = np.random.default_rng(0)
    start = 1e-12 * rng.standard_normal(6)
    one, two = -np.log(np.sum(start.reshape(2, 3) ** 2, axis=1)) / (4 * np.array([2.0, 1.0]))
    gap = two - one
    times = np.array([0.2 * one, 0.5 * one, one + 0.35 * gap, one + 0.45 * gap])
    run = solve_ivp(
        field, (0, times[-1]), start, args=((2.0, 1.0),), t_eval=times, method="DOP853",
        rtol=1e-12, atol=1e-24,
    )  # fmt: skip
    U = run.y.T.reshape(-1, 2, 3)
    off, small = np.log(np.abs(np.sum(U[:, 0] * U[:, 1], 1))), np.log(np.sum(U[:, 1] ** 2, 1))
    early, late = np.diff(times)[[0, 2]]
    assert (off[1] - off[0]) / early == pytest.approx(6, rel=1e-4)
    assert (off[3] - off[2]) / late == pytest.approx(-1, rel=1e-3)
    assert (small[3] - small[2]) / late == pytest.approx(4, rel=1e-3)


def test_the_matrix_equation_is_the_flow_of_the_network():
    rng = np.random.default_rng(1)
    U = rng.standard_normal((2, 3))
    ours = _flow(np.array([2.0, 1.0]))
    change = ours.vector_field({"U": U})["U"] @ U.T
    product = U @ U.T
    at = {a_1: 2, a_2: 1, **dict(zip(sp.symbols("w_11 w_12 w_22"),
                                     product[[0, 0, 1], [0, 1, 1]], strict=True))}  # fmt: skip
    claimed = np.array(matrix_rate().subs(at), dtype=float)
    np.testing.assert_allclose(change + change.T, claimed, rtol=1e-12)
    x = np.diag(np.sqrt([2.0, 1.0]))
    symbolic = GradientFlow(tied(), "half_square", x=x, y=x)
    np.testing.assert_allclose(
        symbolic.vector_field({"U": U})["U"], ours.vector_field({"U": U})["U"], rtol=1e-12
    )


def test_the_largest_entry_by_another_integrator():
    eps, moments = 1e-10, (2.0, 1.0)
    start = np.random.default_rng(2).standard_normal((2, 3))
    one = -np.log(eps**2 * np.sum(start[0] ** 2)) / 8
    times = np.linspace(one - 0.5, one + 0.5, 2001)
    run = solve_ivp(
        field, (0, times[-1]), eps * start.ravel(), args=(moments,), t_eval=times,
        method="DOP853", rtol=1e-12, atol=1e-22,
    )  # fmt: skip
    U = run.y.T.reshape(-1, 2, 3)
    largest = np.abs(np.sum(U[:, 0] * U[:, 1], axis=1)).max()
    squares = start @ start.T
    at = dict(zip((a_1, a_2, c_11, c_12, scale),
                  (*moments, squares[0, 0], abs(squares[0, 1]), eps), strict=True))  # fmt: skip
    assert float(PEAK.subs(at)) == pytest.approx(largest, rel=1e-6)
