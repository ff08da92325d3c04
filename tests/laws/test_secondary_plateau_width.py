"""The second plateau: its constants against integration, the digest's runs, and the engine."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from flowtheory.laws.secondary_plateau_width import (
    ALONE,
    BALANCED,
    CUBIC,
    FACTOR,
    LARGEST,
    Fit,
    c,
    linear_fit,
    q,
    shares,
    together,
)
from flowtheory.lower import numeric

X = np.linspace(-1.0, 1.0, 20)


def test_the_closed_form_is_the_integral_of_the_engine():
    for strength, share in ((0.02, 0.01), (1.3, 2.0)):
        engine = numeric(ALONE, [c, q])(strength, share)
        assert engine == pytest.approx(float(LARGEST.subs({c: strength, q: share})), rel=1e-12)
    assert float(FACTOR) == pytest.approx(0.845299, abs=1e-6)
    assert sp.simplify(FACTOR * BALANCED - LARGEST) == 0


def test_the_constants_of_the_example():
    assert -sp.Rational(1, 3) == CUBIC
    fit = linear_fit(X, np.sin(3 * X))
    assert fit.beta == pytest.approx(0.9038, abs=5e-5)
    assert fit.c == pytest.approx(0.02533, abs=5e-6)


def test_a_neuron_alone_takes_that_time_and_a_balanced_one_longer():
    # a' = c w^3, w' = 3 c a w^2 from a = w = sqrt(q), to a norm where 1/(c w^2) is negligible.
    def flow(_, state):
        a, w = state
        return w**3, 3 * a * w**2

    def large(_, state):
        return state[1] - 1e4

    large.terminal = True
    size = np.sqrt(0.3)
    run = solve_ivp(flow, (0, 5), (size, size), rtol=1e-12, atol=1e-14, events=large)
    assert run.t[-1] == pytest.approx(float(LARGEST.subs({c: 1, q: 0.3})), rel=1e-6)
    assert run.t[-1] < 0.86 * float(BALANCED.subs({c: 1, q: 0.3}))


def test_the_replicator_time_is_that_of_its_equation():
    rng = np.random.default_rng(0)
    fit = Fit(0.9, 0.025, 0.1, 0.25)
    start = {"v": rng.standard_normal(40), "W": rng.standard_normal((40, 1))}
    at = shares(start, fit)
    assert at.sum() == pytest.approx(fit.beta, rel=1e-14)

    def flow(_, share):
        return 4 * fit.c * share * (share - np.sum(share**2) / fit.beta)

    def fallen(_, share):
        return fit.c * np.sum(share**2) - 0.1 * fit.level

    fallen.terminal = True
    run = solve_ivp(flow, (0, 2000), at, rtol=1e-11, atol=1e-13, events=fallen, method="DOP853")
    assert together(at, fit) == pytest.approx(run.t_events[0][0], rel=1e-8)


def test_the_digest_s_runs():
    # Durations seen for 400 neurons, seeds 0 to 2, with the predictions 1/(4 c q_max) there.
    fit = linear_fit(X, np.sin(3 * X))
    for seed, seen, balanced in ((0, 480, 445), (1, 420, 388), (2, 478, 435)):
        rng = np.random.default_rng(seed)
        start = {"v": rng.standard_normal(400), "W": rng.standard_normal((400, 1))}
        at = shares(start, fit)
        assert float(BALANCED.subs({c: fit.c, q: at.max()})) == pytest.approx(balanced, abs=0.6)
        assert float(FACTOR) * together(at, fit) == pytest.approx(seen, rel=0.02)
