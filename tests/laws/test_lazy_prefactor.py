"""Constants of the lazy side: limits of the formulas, and one network by plain gradient flow."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from flowtheory.laws.lazy_prefactor import BOTH, GROWN, HIDDEN, OUTPUT, derive, draw
from flowtheory.lower import numeric
from flowtheory.phase.lazy import lazy_constants, lazy_kernels, network_constants
from flowtheory.symbolic.lazy import HIDDEN_FORM, OUTPUT_FORM, SECOND_ORDER
from flowtheory.symbolic.network import INPUT_DIMENSION
from flowtheory.symbolic.phase import KAPPA, KAPPA_PRIME, WIDTH

SYMBOLS = (WIDTH, KAPPA, KAPPA_PRIME, INPUT_DIMENSION, OUTPUT_FORM, HIDDEN_FORM, SECOND_ORDER)


def test_formulas_by_hand():
    capable = WIDTH * KAPPA
    assert sp.simplify(HIDDEN - KAPPA_PRIME * sp.sqrt(HIDDEN_FORM / INPUT_DIMENSION) / capable) == 0
    assert sp.simplify(OUTPUT - sp.sqrt(OUTPUT_FORM) / (KAPPA_PRIME * capable)) == 0
    assert sp.simplify(GROWN - (KAPPA_PRIME / capable) ** 2 * SECOND_ORDER) == 0
    assert len(derive()) == 11


def test_one_sample_in_closed_form():
    """K^a = r^2/2 = K^w for ReLU: alpha = 2 y/(r^2 (1/kappa' + kappa')), and C = y^2/(l^2 2) |..|.

    There B = y^2/(2 l^2), l = r^2/2, and E |sigma sigma' x|^2 = r^2 r^2/2.
    """
    x, y, ratio = np.array([[0.6, 1.1]]), np.array([0.7]), 0.3
    square = float(np.sum(x**2))
    found = lazy_constants(x, y, ratio)
    alpha = 2 * 0.7 / (square * (1 / ratio + ratio))
    assert found.output_form == pytest.approx(alpha**2 * square / 2, rel=1e-12)
    assert found.hidden_form == pytest.approx(alpha**2 * square / 2, rel=1e-12)
    path = 0.49 / (2 * (square / 2) ** 2)
    # Inputs of rank 1: an average over points, not an exact one.
    assert found.second_order == pytest.approx(path * square / 2, rel=1e-2)


@pytest.mark.parametrize(("kappa", "ratio"), [(0.3, 0.8), (4e-4, 1e-4)])
def test_a_network_by_plain_integration(kappa, ratio):
    """300 pairs of ReLU neurons by SciPy, on either side of m kappa = 1."""
    rng = np.random.default_rng(8)
    data = draw(rng, 3, 2)
    m = 600
    W = np.tile(rng.standard_normal((m // 2, 2)), (2, 1))
    a = rng.standard_normal(m // 2)
    a = np.concatenate([a, -a])

    def field(_, flat):
        v, w = flat[:m], flat[m:].reshape(m, 2)
        h = w @ data.x.T
        left = data.y - kappa * v @ np.maximum(h, 0)
        rate_w = ratio * (v[:, None] * (h > 0) * left) @ data.x
        return kappa * np.concatenate([np.maximum(h, 0) @ left / ratio, rate_w.ravel()])

    slowest = np.linalg.eigvalsh(lazy_kernels(data.x).output)[0]
    horizon = 25 / (m * kappa**2 * slowest * max(ratio, 1 / ratio))
    start = np.concatenate([a, W.ravel()])
    run = solve_ivp(field, (0, horizon), start, "RK45", rtol=1e-7, atol=1e-12)
    end = run.y[:, -1]
    moved = [np.linalg.norm(d) for d in (end[:m] - a, end[m:] - W.ravel())]
    constants = network_constants(W, a, *data, ratio)
    # In units of the square of the start, as in the law.
    values = (m, kappa, ratio, np.sum(W**2) / m, constants.output_form, constants.hidden_form)
    second = constants.second_order * np.sqrt(2 * m / np.sum(W**2))
    output, hidden = (numeric(e, SYMBOLS)(*values, second) for e in (OUTPUT, BOTH))
    if m * kappa > 1:
        hidden = numeric(HIDDEN, SYMBOLS)(*values, second)
    assert moved[0] / np.sqrt(m) == pytest.approx(output, rel=0.02)
    assert moved[1] / np.linalg.norm(W) == pytest.approx(hidden, rel=0.03)
