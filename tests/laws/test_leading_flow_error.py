"""The order of the leading flow's error: its integrator, its constant, and what would refute it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from flowtheory.errors import DataError, ParameterError
from flowtheory.flow import solve_smooth
from flowtheory.judge import Verdict
from flowtheory.laws.leading_flow_error import LAW
from flowtheory.laws.leading_flow_error.cases import with_feedback, without_feedback
from flowtheory.laws.leading_flow_error.experiments import fit_order, judge_widths
from flowtheory.laws.leading_flow_error.measure import Sweep, sweep, system
from flowtheory.laws.record import Effort, Settings
from flowtheory.laws.verify import verify
from flowtheory.outcome import Outcome


@pytest.fixture(scope="module")
def quick():
    return verify(LAW, Settings(effort=Effort.QUICK))


def test_the_quick_run_agrees_and_rejects_every_wrong_claim(quick):
    assert quick.verdict is Verdict.AGREES
    assert {found.verdict for found in quick.controls.values()} == {Verdict.DISAGREES}
    for result in quick.results.values():
        for fit in result.fits:
            assert abs(fit.value - fit.predicted) < 1e-3
            assert fit.high - fit.low < 0.05


def test_against_a_wrong_potential_the_error_has_order_zero(quick):
    for result in quick.results.values():
        for curve in result.curves["wrong potential"].values():
            slope = np.polyfit(np.log(curve["eps"]), np.log(curve["error"]), 1)[0]
            assert abs(slope) < 0.01


def test_the_figure_shows_every_row_beside_its_prediction(quick):
    (figure, caption), *_ = quick.figures().values()
    assert "nothing is fitted" in caption
    measured = {row.measured for row in quick.rows}
    shown = [v for axes in figure.axes for line in axes.lines for v in line.get_ydata()]
    assert measured <= set(shown)
    assert {row.predicted for row in quick.rows} <= set(shown)


def test_the_gaps_are_those_of_the_theory():
    gaps = {case.label: system(case).gap for case in without_feedback()}
    assert list(gaps.values()) == [2, 1, 2, 2]
    gaps = {case.label: system(case).gap for case in with_feedback()}
    assert list(gaps.values()) == [1, 3, 2, 1, 2, 2, 2]


def test_the_constant_of_a_linear_network_is_that_of_its_scalar_flow():
    """One aligned pair of weights, a' = w c - eps^2 a w^2 s: the variation by hand."""
    case = next(c for c in with_feedback() if c.label.startswith("deep linear, 2"))
    x, y = np.array([[1.5]]), np.array([1.0])
    found = sweep(case, np.array([1e-3, 2e-3, 4e-3]), 0, (x, y))
    # Every start has |theta|^2 and the modes u = (v + W)/sqrt(2), d = (v - W)/sqrt(2) decoupled:
    # u' = z u, d' = -z d, with the feedback -s (sum_j v_j W_j) (W, v), s = x^2.
    parts = system(case)
    assert (parts.degree, parts.gap) == (2, 2)
    rng = np.random.default_rng(0)
    start = {"W": rng.normal(size=(4, 1)), "v": rng.normal(size=4) / 2}
    w, v, z, s = start["W"][:, 0], start["v"], 1.5, 2.25
    p, m = (v + w) / np.sqrt(2), (v - w) / np.sqrt(2)
    size = np.sqrt(np.sum(w**2 + v**2))
    end = 0.4 * size / (z * size)
    # f = x sum_j v_j W_j = x (|p|^2 - |m|^2)/2, and p picks up -s * integral of f/x.
    n_p, n_m = p @ p, m @ m
    grown = (n_p * np.expm1(2 * z * end) - n_m * -np.expm1(-2 * z * end)) / (4 * z)
    up, down = p * np.exp(z * end), m * np.exp(-z * end)
    delta = s * grown * np.sqrt(up @ up + down @ down)
    assert found.constant == pytest.approx(delta / np.sqrt(up @ up + down @ down), rel=1e-9)
    np.testing.assert_allclose(found.error, found.constant * found.eps**2, rtol=1e-3)


def test_a_power_that_is_not_the_gap_is_not_accepted():
    eps = np.geomspace(1e-3, 1e-2, 6)
    made = Sweep(eps, 0.3 * eps**1.5, 0.3, eps, 6)
    fit = fit_order("made up", 2, 2, [made])
    assert fit.value == pytest.approx(1.5)
    assert fit.verdict is Verdict.DISAGREES
    bent = Sweep(eps, 0.3 * eps**2 * (1 + 5 * eps), 0.3, eps, 6)
    honest = fit_order("made up", 2, 1, [bent])
    assert honest.verdict is Verdict.AGREES
    assert not fit_order("made up", 2, 1, [replace(bent, error=bent.error * eps**0.2)]).contains(2)
    wide = replace(fit, low=1.9, high=2.1)
    assert judge_widths("narrow", [wide]).verdict is Verdict.INCONCLUSIVE


def oscillate(state, frequency):
    return {"q": frequency * state["p"], "p": -frequency * state["q"]}


def blow_up(state, _):
    return state**2


def test_smooth_flows_are_integrated_to_their_tolerance_and_failures_are_named():
    start = {"q": np.array([1.0]), "p": np.array([0.0])}
    found = solve_smooth(oscillate, start, 10.0, np.float64(2.0))
    assert found.outcome is Outcome.REACHED_T
    assert found.state["q"][0] == pytest.approx(math.cos(20.0), abs=1e-10)
    assert found.state["p"][0] == pytest.approx(-math.sin(20.0), abs=1e-10)
    assert not solve_smooth(blow_up, np.array([1.0]), 2.0).outcome.ok
    assert solve_smooth(blow_up, np.array([1.0]), 0.5).state[0] == pytest.approx(2.0, rel=1e-11)
    assert solve_smooth(oscillate, start, 1e6, np.float64(2.0)).outcome is Outcome.STEP_LIMIT
    for wrong in (0.0, math.inf, -1.0):
        with pytest.raises(ParameterError, match="end is"):
            solve_smooth(blow_up, np.array([1.0]), wrong)
    with pytest.raises(DataError, match="zero"):
        solve_smooth(blow_up, np.zeros(2), 1.0)
    with pytest.raises(DataError, match="non-finite"):
        solve_smooth(blow_up, np.array([np.nan]), 1.0)
