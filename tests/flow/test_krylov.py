"""Three wide linear layers as narrow ones: exact where the space closes, convergent where cut."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from flowtheory.flow.krylov import ThreeLayers, compress


def gaussian(h, m, seed=0):
    rng = np.random.default_rng(seed)
    return ThreeLayers(rng.normal(size=m), rng.normal(size=(h, m)), rng.normal(size=h))


def solve(layers, time):
    """The flow of a^T W c, by SciPy."""
    c, W, a = layers
    m, h = len(c), len(a)

    def parts(y):
        return y[:m], y[m:-h].reshape(h, m), y[-h:]

    def rate(_, y):
        c, W, a = parts(y)
        return np.concatenate([W.T @ a, np.outer(a, c).ravel(), W @ c])

    start = np.concatenate([c, W.ravel(), a])
    run = solve_ivp(rate, (0.0, time), start, "DOP853", rtol=1e-12, atol=1e-12)
    return ThreeLayers(*parts(run.y[:, -1]))


def distance(a, b):
    return max(np.linalg.norm(x - y) / np.linalg.norm(y) for x, y in zip(a, b, strict=True))


def test_a_space_that_closes_is_exact():
    """Four singular triples: Krylov spaces of 8 vectors, whatever the widths."""
    rng = np.random.default_rng(1)
    left, right = (np.linalg.qr(rng.normal(size=(n, 4)))[0] for n in (30, 20))
    W = left @ np.diag([2.0, 1.5, 1.0, 0.5]) @ right.T
    start = ThreeLayers(rng.normal(size=20) / 4, W, rng.normal(size=30) / 4)
    small = compress(start, 12)
    assert not np.any(small.U[:, 6:])
    now = solve(small.layers, 0.4)
    assert small.lost(now) == 0.0
    assert distance(small.rebuild(start, now), solve(start, 0.4)) < 1e-10


def test_the_error_falls_faster_than_any_power():
    start = gaussian(40, 60)
    full = solve(start, 0.13)
    assert np.linalg.norm(full.c) > 2.5 * np.linalg.norm(start.c)
    errors, lost = [], []
    for size in (6, 10, 14, 20):
        small = compress(start, size)
        np.testing.assert_allclose(small.U.T @ small.U, np.eye(size), atol=1e-14)
        now = solve(small.layers, 0.13)
        errors.append(distance(small.rebuild(start, now), full))
        lost.append(small.lost(now))
    assert errors[0] < 1e-2
    assert errors[1] < 1e-5
    assert errors[2] < 1e-9
    assert errors[3] < 1e-10
    assert np.all(np.array(lost[:3]) > np.array(errors[:3]))  # what is reported is no smaller


@pytest.mark.parametrize("unit", [1e-3, 1e3])
def test_layers_are_rebuilt_in_any_unit(unit):
    start = gaussian(9, 7)
    small = compress(start, 5)
    now = ThreeLayers(*(x + 0.1 for x in small.layers))
    plain = small.rebuild(start, now)
    scaled = small.rebuild(start, ThreeLayers(*(x / unit for x in now)), unit)
    assert distance([unit * x for x in scaled], plain) < 1e-14
