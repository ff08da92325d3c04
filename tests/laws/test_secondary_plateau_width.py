"""The second plateau: its constants against integration, the digest's runs, and the engine."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from flowtheory.laws.secondary_plateau_width.competition import (
    EVEN,
    ODD,
    Fit,
    c,
    c_2,
    even_time,
    linear_fit,
    odd_time,
    q,
    shares,
)
from flowtheory.laws.secondary_plateau_width.law import (
    BALANCED,
    EVEN_BALANCED,
    EVEN_FACTOR,
    EVEN_LARGEST,
    FACTOR,
    LARGEST,
)
from flowtheory.lower import numeric

X = np.linspace(-1.0, 1.0, 20)


def test_the_closed_form_is_the_integral_of_the_engine():
    for strength, share in ((0.02, 0.01), (1.3, 2.0)):
        engine = numeric(ODD.alone(c), [c, q])(strength, share)
        assert engine == pytest.approx(float(LARGEST.subs({c: strength, q: share})), rel=1e-12)
    assert float(FACTOR) == pytest.approx(0.845299, abs=1e-6)
    assert sp.simplify(FACTOR * BALANCED - LARGEST) == 0


def test_the_constants_of_the_example():
    assert -sp.Rational(1, 3) == ODD.coefficient
    fit = linear_fit(X, np.sin(3 * X), ODD)
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
    at, _ = shares(start, fit)
    assert at.sum() == pytest.approx(fit.beta, rel=1e-14)

    def flow(_, share):
        return 4 * fit.c * share * (share - np.sum(share**2) / fit.beta)

    def fallen(_, share):
        return fit.c * np.sum(share**2) - 0.1 * fit.level

    fallen.terminal = True
    run = solve_ivp(flow, (0, 2000), at, rtol=1e-11, atol=1e-13, events=fallen, method="DOP853")
    assert odd_time(at, fit) == pytest.approx(run.t_events[0][0], rel=1e-8)


def test_the_digest_s_runs():
    # Durations seen for 400 neurons, seeds 0 to 2, with the predictions 1/(4 c q_max) there.
    fit = linear_fit(X, np.sin(3 * X), ODD)
    for seed, seen, balanced in ((0, 480, 445), (1, 420, 388), (2, 478, 435)):
        rng = np.random.default_rng(seed)
        start = {"v": rng.standard_normal(400), "W": rng.standard_normal((400, 1))}
        at, _ = shares(start, fit)
        assert float(BALANCED.subs({c: fit.c, q: at.max()})) == pytest.approx(balanced, abs=0.6)
        assert float(FACTOR) * odd_time(at, fit) == pytest.approx(seen, rel=0.02)


def test_the_closed_form_with_an_even_term_is_the_integral_of_the_engine():
    assert EVEN.coefficient == sp.Rational(1, 2)
    for strength, share in ((0.02, 0.01), (1.3, 2.0)):
        engine = numeric(EVEN.alone(c_2), [c_2, q])(strength, share)
        closed = float(EVEN_LARGEST.subs({c_2: strength, q: share}))
        assert engine == pytest.approx(closed, rel=1e-12)
        assert closed == pytest.approx(
            float((EVEN_FACTOR * EVEN_BALANCED).subs({c_2: strength, q: share})), rel=1e-12
        )
    assert float(EVEN_FACTOR) == pytest.approx(0.934838, abs=1e-6)


@pytest.mark.parametrize("driving", [0.1, -0.1])
def test_the_competition_of_both_signs_is_that_of_its_equation(driving):
    rng = np.random.default_rng(4)
    fit = Fit(0.9, driving, 0.17, 0.4)
    start = {"v": rng.standard_normal(60), "W": rng.standard_normal((60, 1))}
    at, signs = shares(start, fit)
    gain = 3 * driving * signs

    def flow(_, share):
        growth = gain * share**1.5
        return growth - share * np.sum(growth) / fit.beta

    def fallen(_, share):
        return np.sum(driving * signs * share**1.5) - 0.1 * fit.level

    fallen.terminal = True
    run = solve_ivp(flow, (0, 2000), at, rtol=1e-11, atol=1e-13, events=fallen, method="DOP853")
    assert even_time(at, signs, fit) == pytest.approx(run.t_events[0][0], rel=1e-8)


def test_a_neuron_with_an_even_term_takes_that_time():
    # a' = w^2, w' = 2 a w from a = w = sqrt(q); 1/w is negligible at the end.
    def large(_, state):
        return state[1] - 1e7

    large.terminal = True
    size = np.sqrt(0.3)
    run = solve_ivp(
        lambda _, s: (s[1] ** 2, 2 * s[0] * s[1]),
        (0, 5), (size, size), rtol=1e-12, atol=1e-14, events=large,
    )  # fmt: skip
    assert run.t[-1] == pytest.approx(float(EVEN_LARGEST.subs({c_2: 1, q: 0.3})), rel=1e-6)


def test_the_digest_s_runs_with_an_even_term():
    # Mean durations over four starts, 100 to 800 neurons: 20.6, 26.0, 42.4, 65.4.
    fit = linear_fit(X, np.sin(3 * X) + 0.8 * X**2, EVEN)
    assert (fit.beta, fit.c) == pytest.approx((0.90376, 0.097402), rel=1e-4)
    for neurons, seen in ((100, 20.6), (200, 26.0), (400, 42.4), (800, 65.4)):
        times = []
        for seed in range(4):
            rng = np.random.default_rng(seed)
            start = {"v": rng.standard_normal(neurons), "W": rng.standard_normal((neurons, 1))}
            times.append(even_time(*shares(start, fit), fit))
        assert 0 < seen - float(EVEN_FACTOR) * np.mean(times) < 7
