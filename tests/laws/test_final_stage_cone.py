"""The cone: its margins by loops, its derivatives along a step, and what starts in it do."""

from __future__ import annotations

import numpy as np
import pytest

from flowtheory.laws.final_stage_cone import Asked, _inside, _with_signs, derive, margins, run
from flowtheory.laws.starts import Drive

DRIVE = Drive(3, np.ones((1, 1)), np.ones(1))


def test_margins_are_the_least_products():
    rng = np.random.default_rng(0)
    for _ in range(20):
        c, W, a = rng.normal(size=4), rng.normal(size=(4, 4)), rng.normal(size=4)
        first, pairs = margins(c, W, a)
        assert first == pytest.approx(min(c[i] * (a @ W[:, i]) for i in range(4)))
        products = [c[i] * c[j] * (W[:, i] @ W[:, j]) for i in range(4) for j in range(4)]
        assert pairs == pytest.approx(min(products))


def test_starts_are_where_they_are_said_to_be():
    rng = np.random.default_rng(1)
    for _ in range(20):
        inside = _inside(DRIVE, 6, rng)
        assert Asked(1, 1, 1).holds(inside)
        signed = _with_signs(DRIVE.gaussian(1.0, rng, 6))
        assert Asked(1, 0, 1).holds(signed)
        assert not Asked(1, 1, 1).holds(signed)
        assert not Asked(1, 1, 1).holds({**inside, "v": -inside["v"]})


def test_products_grow_in_the_cone_by_a_small_step():
    rng = np.random.default_rng(2)
    for _ in range(20):
        start = _inside(DRIVE, 5, rng)
        c, W, a = start["W1"][:, 0], start["W2"], start["v"]
        step = 1e-6
        after = margins(c + step * (W.T @ a), W + step * np.outer(a, c), a + step * (W @ c))
        assert all(new > old > 0 for new, old in zip(after, margins(c, W, a), strict=True))


def test_a_run_stops_where_the_cone_is_entered_and_goes_on_inside():
    rng = np.random.default_rng(3)
    start = DRIVE.gaussian(1.0, rng, 6)
    found = run(DRIVE, start, Asked(1, 1, 1))
    assert found.hit == 1
    assert Asked(1, 1, 1).holds(found.state)
    assert 0 < found.gain < 14
    on = run(DRIVE, found.state, Asked(1, 1, -1))
    assert (on.hit, on.gain >= 14) == (0, True)
    total = found.time + np.exp(-found.gain) * on.time
    whole = DRIVE.blow_up(start).end.estimate
    assert total == pytest.approx(whole, rel=1e-5)  # up to the time left at a growth by e^14


def test_the_derivation_is_checked_by_differentiation():
    assert len(derive()) == 6
