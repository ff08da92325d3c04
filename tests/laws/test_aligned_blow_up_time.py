"""The closed forms of aligned blow-up, against quadrature, special cases and published digits."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

from flowtheory.laws.aligned_blow_up_time import LAW, derive
from flowtheory.lower import numeric
from flowtheory.symbolic import aligned_layers

CLAIMS = {claim.name: claim for claim in LAW.claims}


def value(prediction, strength, gains):
    flow = aligned_layers(len(gains))
    return float(numeric(prediction, (flow.strength, *flow.gains))(strength, *gains))


def integral(strength, gains, lower) -> Any:
    """The integral of the page, from `lower` = 0 or -x_1^2, by mpmath with u^2 = tau - lower."""

    at_rest = [mpmath.mpf(x) ** 2 + lower for x in gains]  # quad works at a higher precision

    def integrand(u):
        return u / (strength * mpmath.sqrt(mpmath.fprod(square + u**2 for square in at_rest)))

    return mpmath.quad(integrand, [0, 0.1, 1, 10, mpmath.inf])


@pytest.mark.parametrize(
    "gains", [(0.3, 0.7, 0.9), (0.2, 0.9, 1.1, 1.6), (0.4, 0.5, 0.8, 1.2, 2.1)]
)
def test_both_signs_against_quadrature(gains):
    up = CLAIMS[f"L = {len(gains)}: T* is Carlson's integral of the squared gains"].prediction
    after = CLAIMS[f"L = {len(gains)}: T* from a negative product"].prediction
    forth = integral(1.3, gains, 0)
    back = 2 * integral(1.3, gains, -(mpmath.mpf(gains[0]) ** 2)) - forth
    assert value(up, 1.3, gains) == pytest.approx(float(forth), rel=1e-11)
    assert value(after, 1.3, gains) == pytest.approx(float(back), rel=1e-11)


def test_digits_for_a_negative_product():
    after = CLAIMS["L = 3: T* from a negative product"].prediction
    assert value(after, 1.0, (0.3, 0.7, 0.9)) == pytest.approx(2.662267141464, abs=1e-12)


def test_equal_gains_are_the_balanced_time():
    for layers in (3, 4, 5):
        flow = aligned_layers(layers)
        x = sp.Symbol("x", positive=True)
        time = flow.blow_up_time.subs(dict.fromkeys(flow.gains, x))
        assert sp.simplify(time - x ** (2 - layers) / ((layers - 2) * flow.strength)) == 0


def test_the_time_diverges_at_the_stable_manifold():
    """As the logarithm of the distance of the two smallest moduli."""
    after = CLAIMS["L = 3: T* from a negative product"].prediction
    times = [value(after, 1.0, (1.0, 1.0 + d, 2.0)) for d in (1e-2, 1e-4, 1e-6)]
    steps = np.diff(times)
    assert steps[1] == pytest.approx(steps[0], rel=1e-2)
    assert steps[1] == pytest.approx(np.log(100) / np.sqrt(3), rel=1e-3)
    assert len(derive()) > 5
