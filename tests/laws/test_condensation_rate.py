"""The rate of condensation: the formulas by hand, and the share along a plain integration."""

from __future__ import annotations

from itertools import takewhile

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from flowtheory.laws.condensation_rate import approach, derive, misaligned, p, s
from flowtheory.laws.record import Effort, Settings
from flowtheory.lower import numeric
from flowtheory.symbolic.brackets import REMAINING as LEFT


def test_the_share_by_hand():
    expected = {3: (s * LEFT) ** 2, 4: 2 * s * LEFT, 5: (3 * s * LEFT) ** sp.Rational(2, 3)}
    for layers, share in expected.items():
        assert sp.simplify(misaligned(layers) / (p**2 * share)) == 1
    assert len(derive()) == 6


def test_the_share_in_plain_time():
    """Four layers by SciPy to a norm of 300: the part beside z rests, the share is the law's."""
    rng = np.random.default_rng(1)
    shapes = [(4, 3), (4, 4), (4, 4), (4,)]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    z = rng.normal(size=3)
    unit = z / np.linalg.norm(z)

    def split(flat):
        return [part.reshape(s) for part, s in zip(np.split(flat, ends), shapes, strict=True)]

    def rate(_, flat):
        W1, W2, W3, v = split(flat)
        c, b = W1 @ z, W3.T @ v
        parts = (np.outer(W2.T @ b, z), np.outer(b, c), np.outer(v, W2 @ c), W3 @ W2 @ c)
        return np.concatenate([part.ravel() for part in parts])

    def far(_, flat):
        return np.linalg.norm(flat) - 300

    setattr(far, "terminal", True)  # noqa: B010  (how solve_ivp takes its options)
    start = rng.normal(size=48)
    run = solve_ivp(rate, (0, 100), start, "DOP853", events=far, rtol=1e-12, atol=1e-12)
    first, last = split(start)[0], split(run.y[:, -1])[0]
    rest = np.eye(3) - np.outer(unit, unit)
    np.testing.assert_allclose(last @ rest, first @ rest, atol=1e-9)
    # All four norms are 150 near the end: the time left is that of the balanced start.
    left = 1 / (2 * np.linalg.norm(z) * 150.0**2)
    share = 1 - np.sum((last @ unit) ** 2) / np.sum(last**2)
    law = numeric(misaligned(4), (p, s, LEFT))
    expected = law(np.linalg.norm(first @ rest), np.linalg.norm(z), left)
    assert share == pytest.approx(expected, rel=1e-3)


def test_rows_of_one_start_follow_the_law_in_order():
    rows = list(takewhile(lambda row: row["L"] == 3, approach(Settings(effort=Effort.QUICK))))
    own = [row for row in rows if row.seed == rows[0].seed]
    left = [row[str(LEFT)] for row in own]
    assert left == sorted(left, reverse=True)
    for row in own:
        assert row.measured == pytest.approx((row["p"] * row["s"] * row[str(LEFT)]) ** 2, rel=0.02)
