"""Thresholds by degree: the engine's exponents, the places, and tanh on three points."""

from __future__ import annotations

import numpy as np
import pytest

from flowtheory.laws.diagram_runs import ended
from flowtheory.laws.thresholds_by_degree import (
    BEYOND,
    DEGREES,
    GAMMA_Q,
    IN_LIMIT,
    LAZY,
    LINE,
    LINEAR,
    SLOPES,
    q,
)
from flowtheory.phase.data import samples
from flowtheory.phase.psi import linear_floor
from flowtheory.phase.slopes import log_slopes
from flowtheory.symbolic.thresholds import GAMMA_A, GAMMA_W, degree_thresholds


@pytest.mark.parametrize("name", DEGREES)
def test_the_second_degree_is_that_of_the_engine(name):
    first, second, *_ = degree_thresholds(name)
    assert (first.degree, second.degree) == (1, DEGREES[name])


def test_exponents_by_hand():
    for degree, a, w in ((1, 0.1, 0.5), (2, 0.4, 0.15), (3, -0.2, 0.25), (5, 0.1, 0.12)):
        found = [float(s.subs({q: degree, GAMMA_A: a, GAMMA_W: w})) for s in SLOPES]
        gamma = a + degree * w
        assert found == pytest.approx(
            [gamma - 1 - 2 * max(0, a - w), gamma - 1 + 2 * min(0, a - w)]
        )


def test_places_are_on_their_sides_of_the_thresholds():
    def gamma(place, degree):
        return float(GAMMA_Q.subs({q: degree, GAMMA_A: place.gamma_a, GAMMA_W: place.gamma_w}))

    for place in (*LAZY, *IN_LIMIT):
        assert gamma(place, place.q) < 0.9
    for place in (*LINEAR, *BEYOND):
        assert gamma(place, 1) < 0.95
        assert gamma(place, place.q) > 1.3
    for layer, places in LINE.items():
        for place in places:
            assert gamma(place, place.q) == pytest.approx(1)
            assert (place.gamma_a - place.gamma_w) * {"w": 1, "a": -1}[layer] <= 0


def _slopes(gamma: float, loss: float, widths: np.ndarray, neurons: int) -> np.ndarray:
    """S_w of tanh on labels 0.7, -0.4, 0.9 at gamma' = 0."""
    at = {"activation": "tanh", "data": "three-points", "loss": loss, "checked": 0}
    logs = [
        np.mean(
            [
                np.log(ended(gamma, 0.0, m, seed, eps=m ** (-gamma / 2), **at)["rd_w"])
                for seed in range(max(2, neurons // m))
            ]
        )
        for m in map(int, widths)
    ]
    return log_slopes(np.array(logs), widths.astype(float))


@pytest.mark.parametrize(("gamma", "theory"), [(0.8, -0.2), (0.6, -0.4)])
def test_tanh_is_lazy_in_degree_one_and_not_in_degree_three(gamma, theory):
    """Noted elsewhere: -0.28 and -0.52 at 90 % of the linear part (theory -0.2, -0.4), -0.10 and
    -0.15 near the full fit. Here -0.20 and -0.40 at large widths, -0.07 and -0.09."""
    nine_tenths = 1 - 0.9 * (1 - linear_floor(*samples("three-points")))
    linear = _slopes(gamma, nine_tenths, 2 ** np.arange(14, 19, 4), 2**16)
    assert linear == pytest.approx(theory, abs=0.015)
    whole = _slopes(gamma, 0.05, 2 ** np.arange(7, 10), 2048)
    assert whole > theory + 0.1
