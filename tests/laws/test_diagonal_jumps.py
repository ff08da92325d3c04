"""The rotated network is the diagonal one, and the wrong algorithms are what they claim to be."""

from __future__ import annotations

import numpy as np
import pytest

from flowtheory.engine.gradient_flow import GradientFlow
from flowtheory.exact import diagonal_jumps
from flowtheory.laws.diagonal_jumps import _decoupled, _restarted, _unsigned, rotated
from flowtheory.symbolic import diagonal_linear

X = np.random.default_rng(0).standard_normal((6, 3))
Y = X @ np.array([1.0, -2.0, 0.5])


def test_the_rotation_changes_neither_loss_nor_flow():
    u, v = np.random.default_rng(1).standard_normal((2, 3))
    p, m = (u + v) / np.sqrt(2), (u - v) / np.sqrt(2)
    plain = GradientFlow(diagonal_linear(), "half_square", reduction="mean", x=X, y=Y)
    turned = GradientFlow(rotated(), "half_square", reduction="mean", x=X, y=Y)
    assert turned.energy({"p": p, "m": m}) == pytest.approx(plain.energy({"u1": u, "u2": v}))
    rate = plain.vector_field({"u1": u, "u2": v})
    found = turned.vector_field({"p": p, "m": m})
    assert np.allclose(found["p"], (rate["u1"] + rate["u2"]) / np.sqrt(2), rtol=1e-12)
    assert np.allclose(found["m"], (rate["u1"] - rate["u2"]) / np.sqrt(2), rtol=1e-12)


def test_on_orthogonal_columns_the_decoupled_times_are_right_and_a_new_start_is_not():
    x = np.linalg.qr(X)[0] * np.sqrt(6)
    y = x @ np.array([1.0, -2.0, 0.5])
    path = diagonal_jumps(x, y)
    assert np.allclose(_decoupled(path), path.times, rtol=1e-12)
    assert np.allclose(path.times, [0.5, 1.0, 2.0], rtol=1e-12)
    assert np.allclose(_restarted(path), [0.5, 1.5, 3.5], rtol=1e-12)


def test_least_squares_without_signs_is_right_as_long_as_no_sign_binds():
    x = np.linalg.qr(X)[0] * np.sqrt(6)
    y = x @ np.array([1.0, -2.0, 0.5])
    assert np.allclose(_unsigned(x, y), diagonal_jumps(x, y).times, rtol=1e-12)
