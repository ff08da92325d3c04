"""The table of the pair of orders 8(7), against diffrax's and the conditions of its orders."""

from __future__ import annotations

import diffrax
import numpy as np
import pytest

from flowtheory.flow.dormand_prince import STAGES, tableau


def test_the_coefficients_are_those_of_diffrax() -> None:
    ours, theirs = tableau(), diffrax.Dopri8().tableau
    for row, values in enumerate(theirs.a_lower[: STAGES - 1], start=1):
        np.testing.assert_array_equal(ours.a[row, :row], values)
    assert np.all(np.triu(ours.a) == 0)
    np.testing.assert_array_equal(ours.b, theirs.b_sol[:STAGES])
    # A difference of fractions that is rounded once, there of rounded fractions.
    np.testing.assert_allclose(ours.error, theirs.b_error[:STAGES], rtol=0, atol=1e-15)


@pytest.mark.parametrize(("which", "order"), [("eighth", 8), ("seventh", 7)])
def test_polynomials_are_integrated_up_to_the_order(which: str, order: int) -> None:
    pair = tableau()
    b = pair.b if which == "eighth" else pair.b - pair.error
    nodes = pair.a.sum(axis=1)
    degrees = np.arange(order)
    found = b @ nodes[:, None] ** degrees
    np.testing.assert_allclose(found, 1 / (degrees + 1), rtol=0, atol=1e-14)
    # Trees with one branch, y' = y: sum b A^k 1 = 1 / (k + 1)!.
    chain = np.ones(STAGES)
    for k in range(order):
        assert b @ chain == pytest.approx(1 / float(np.prod(np.arange(1, k + 2))), abs=1e-14)
        chain = pair.a @ chain
    assert abs(b @ chain - 1 / float(np.prod(np.arange(1, order + 2)))) > 1e-9
