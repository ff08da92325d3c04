"""Homogeneous flows in Sundman time: closed forms, any scale, honest outcomes, orders."""

from __future__ import annotations

import math

import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import elliprf

from flowtheory import Outcome
from flowtheory.errors import DataError, ParameterError
from flowtheory.flow import (
    SundmanFlow,
    blow_up,
    from_polar,
    local_degree,
    time_of_growth,
    to_polar,
)


def monomial(x, args):
    """The gradient of s prod x_l^d_l."""
    s, degrees = args
    power = jnp.prod(jnp.where(degrees > 0, x**degrees, 1.0))
    return s * degrees * power / x


FLOWS = {k: SundmanFlow(monomial, float(k)) for k in (2, 3, 4, 5)}


def chain(*gains, s=1.0):
    """The start and arguments of aligned layers of a deep linear network."""
    x = np.array(gains)
    return x, (np.float64(s), np.ones(len(x)))


def integral(gains, s, upper=mpmath.inf):
    """(1/2s) int_0^upper prod (x_l^2 + tau)^(-1/2) dtau."""

    def rate(tau):
        return 1 / mpmath.sqrt(mpmath.fprod(mpmath.mpf(x) ** 2 + tau for x in gains))

    nodes = [0, *(10.0**k for k in range(-4, 3) if 10.0**k < upper), upper]
    return float(mpmath.quad(rate, nodes) / (2 * s))


@pytest.mark.parametrize("gains", [(0.4, 0.9, 1.3), (1e-3, 0.5, 2.0), (1.0, 1.0, 1.0)])
def test_three_aligned_layers_blow_up_at_the_carlson_integral(gains):
    run = blow_up(FLOWS[3], *chain(*gains, s=1.7))
    exact = elliprf(*np.square(gains)) / 1.7
    assert run.outcome is Outcome.BLEW_UP
    assert run.outcome.ok
    assert run.blow_up_time.estimate == pytest.approx(exact, rel=2e-11)
    assert run.blow_up_time.low <= exact <= run.blow_up_time.high
    assert run.blow_up_time.high - run.blow_up_time.low <= 1e-9 * exact


@pytest.mark.parametrize("gains", [(0.5, 0.8, 1.1, 1.6), (0.3, 0.7, 0.9, 1.2, 2.0)])
def test_more_layers_against_mpmath(gains):
    run = blow_up(FLOWS[len(gains)], *chain(*gains, s=0.8))
    assert run.blow_up_time.estimate == pytest.approx(integral(gains, 0.8), rel=2e-11)
    assert run.blow_up_time.low <= integral(gains, 0.8) <= run.blow_up_time.high


def test_a_negative_product_changes_sign_first():
    x, y, w = -0.3, 0.7, 0.9
    run = blow_up(FLOWS[3], *chain(x, y, w))
    formula = 2 * elliprf(0, y**2 - x**2, w**2 - x**2) - elliprf(x**2, y**2, w**2)
    assert formula == pytest.approx(2.662267141464, abs=1e-12)
    assert run.blow_up_time.estimate == pytest.approx(formula, rel=1e-11)
    assert run.blow_up_time.low <= formula <= run.blow_up_time.high


@pytest.mark.parametrize("k", [3, 4])
def test_any_scale_at_one_cost(k):
    """Times at 1e-6, 1e-300 and 1e300 are one number times |theta(0)|^-(k-2)."""
    gains = np.array([0.4, 0.9, 1.3, 0.7][:k])
    args = (np.float64(1.0), np.ones(k))
    runs = {e: blow_up(FLOWS[k], 10.0**e * gains, args) for e in (-6, -300, 300)}
    first = runs[-6]
    for e, run in runs.items():
        assert run.evaluations <= 1.05 * first.evaluations
        assert run.end.estimate == pytest.approx(first.end.estimate, rel=1e-12)
        decades = (run.log_time - first.log_time) / math.log(10)
        assert decades == pytest.approx(-(k - 2) * (e + 6), abs=1e-11)
    if k == 3:
        exact = elliprf(*np.square(gains)) * 1e300
        assert runs[-300].blow_up_time.estimate == pytest.approx(exact, rel=1e-11)
    else:  # 1e600 is no float64; its logarithm is
        assert runs[-300].blow_up_time.estimate == math.inf
        assert runs[300].blow_up_time.estimate == 0.0


@pytest.mark.parametrize("growth", [0.2, 1.0, 8.0, 14.0])
def test_the_time_to_a_growth(growth):
    """Landed on below a gain of 12, in closed form above."""
    gains, s = (0.4, 0.9, 1.3), 1.7
    total = sum(mpmath.mpf(x) ** 2 for x in gains)
    # |theta|^2 = sum (x_l^2 + tau) = e^(2g) |theta(0)|^2; the rest is the integral beyond tau.
    tau = total * (mpmath.exp(2 * growth) - 1) / 3
    left = float(mpmath.elliprf(*(mpmath.mpf(x) ** 2 + tau for x in gains)) / s)
    exact = elliprf(*np.square(gains)) / s - left
    found = time_of_growth(FLOWS[3], *_swap(chain(*gains, s=s), growth))
    unit = math.exp(found.log_unit)
    assert found.outcome is Outcome.REACHED_T
    assert unit * found.time.estimate == pytest.approx(exact, rel=1e-11)
    assert unit * found.time.low <= exact * (1 + 1e-15)
    assert exact * (1 - 1e-15) <= unit * found.time.high


def _swap(start, growth):
    return start[0], growth, start[1]


def test_any_growth_at_one_cost():
    runs = [time_of_growth(FLOWS[3], *_swap(chain(0.4, 0.9, 1.3), g)) for g in (14, 690, 1e5)]
    assert len({run.evaluations for run in runs}) == 1
    assert runs[0].time.estimate < runs[1].time.estimate == runs[2].time.estimate


@pytest.mark.parametrize("growth", [2.0, 60.0])
def test_degree_two_grows_exponentially(growth):
    """From (1, 0): |theta|^2 = cosh(2 s t)."""
    start, args = np.array([1.0, 1e-30]), (np.float64(1.3), np.ones(2))
    found = time_of_growth(FLOWS[2], start, growth, args)
    exact = float(mpmath.acosh(mpmath.exp(2 * growth)) / 2.6)
    assert found.time.estimate == pytest.approx(exact, rel=1e-10)
    with pytest.raises(ParameterError, match="degree above 2"):
        blow_up(FLOWS[2], start, args)


def test_a_dead_neuron_is_not_a_blow_up():
    """H = C a w^2, C < 0 and w0^2 < 2 a0^2: w -> 0 and a -> sqrt(a0^2 - w0^2/2)."""
    run = blow_up(FLOWS[3], np.array([0.4, 0.6]), (np.float64(-1.0), np.array([2.0, 1.0])))
    assert run.outcome is Outcome.NOT_DETECTED
    assert not run.outcome.ok
    assert run.end.estimate == math.inf
    w, a = run.params()
    assert a == pytest.approx(math.sqrt(0.36 - 0.08), rel=1e-9)
    assert a == pytest.approx(0.5291502622, abs=1e-9)
    assert abs(w) < 1e-12


def test_the_stable_manifold_and_the_fixed_points_of_the_saddle():
    shrinks = blow_up(FLOWS[3], *chain(1.0, 1.0, -1.0))  # 1/(t + 1) in every layer
    assert shrinks.outcome is Outcome.NOT_DETECTED
    assert shrinks.gain < -20
    assert shrinks.end.low > 1e10
    still = blow_up(SundmanFlow(lambda x, c: c * x**2 * 0.0, 3.0), np.ones(2), np.float64(1.0))
    assert still.outcome is Outcome.STATIONARY
    short = blow_up(FLOWS[3], *chain(0.4, 0.9, 1.3), horizon=2.0)
    assert short.outcome is Outcome.NOT_DETECTED
    assert blow_up(FLOWS[3], *chain(0.4, 0.9, 1.3), max_steps=3).outcome is Outcome.STEP_LIMIT


def test_the_end_is_self_similar():
    """|theta| ~ sqrt(3)/(s (T* - t)), up to the square of the imbalance, e^-2g."""
    s = 1.7
    run = blow_up(FLOWS[3], *chain(0.4, 0.9, 1.3, s=s), gain=4.0)
    left = (run.end.estimate - run.time) * math.exp(run.log_unit)
    norm = math.exp(run.polar.log_norm)
    assert norm * s * left == pytest.approx(math.sqrt(3), rel=math.exp(-2 * run.gain))


def test_the_degree_is_estimated_where_it_is_not_known():
    start, args = chain(0.4, 0.9, 1.3, 0.6)
    degree, off = local_degree(monomial, start, args)
    assert degree == pytest.approx(4, abs=1e-12)
    assert off < 1e-12
    flow = SundmanFlow.of(monomial, 1e-200 * start, args)
    assert flow.degree == 4.0
    fractional = SundmanFlow.of(lambda x, c: jnp.abs(x) ** 1.5, np.array([1.0, 2.0]))
    assert fractional.degree == pytest.approx(2.5, abs=1e-10)
    with pytest.raises(ParameterError, match="not homogeneous"):
        SundmanFlow.of(lambda x, c: x + x**2, np.array([1.0, 2.0]))
    with pytest.raises(DataError, match="not zero"):
        local_degree(monomial, np.array([1.0, 1.0]), (np.float64(0.0), np.ones(2)))


def test_the_error_follows_the_tolerance():
    """Error per step at order 8: the error of T* is proportional to rtol."""
    start, args = chain(0.05, 0.9, 1.9)
    exact = elliprf(*np.square(start))
    tolerances = 10.0 ** np.arange(-9.0, -3.9, 0.5)
    errors, estimates = [], []
    for rtol in tolerances:
        run = blow_up(FLOWS[3], start, args, rtol=rtol, gain=12.0)
        errors.append(abs(run.blow_up_time.estimate / exact - 1))
        estimates.append(run.ode_error / run.end.estimate)
        assert run.blow_up_time.low <= exact <= run.blow_up_time.high
    slope = np.polyfit(np.log(tolerances), np.log(errors), 1)[0]
    assert 0.75 < slope < 1.25
    assert np.all(np.array(errors) <= np.array(estimates))


@given(
    st.lists(st.floats(-1.0, 1.0), min_size=2, max_size=5).filter(lambda v: max(map(abs, v)) > 0.1),
    st.integers(-300, 300),
)
def test_polar_coordinates_are_inverted(values, exponent):
    params = {"a": np.array(values) * 10.0**exponent, "b": np.ones((2, 2)) * 10.0**exponent}
    polar = to_polar(params)
    length = sum(np.sum(part**2) for part in polar.direction.values())
    assert length == pytest.approx(1.0, rel=1e-15 * 8)
    back = from_polar(polar)
    size = 10.0**exponent
    for name, value in params.items():
        np.testing.assert_allclose(back[name] / size, value / size, rtol=1e-12, atol=1e-13)


def test_bad_input_is_refused():
    start, args = chain(0.4, 0.9, 1.3)
    with pytest.raises(DataError, match="all parameters are zero"):
        blow_up(FLOWS[3], 0 * start, args)
    for wrong in ({"gain": 0.0}, {"horizon": math.inf}, {"rate": -1.0}, {"rtol": 1.0}):
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            blow_up(FLOWS[3], start, args, **wrong)
    with pytest.raises(ParameterError, match="degree"):
        SundmanFlow(monomial, 0.0)
    with pytest.raises(ParameterError, match="log_growth is -1"):
        time_of_growth(FLOWS[3], start, -1.0, args)
    with pytest.raises(ParameterError, match="beyond the last point"):
        blow_up(FLOWS[3], start, args).time_of_growth(2.0)
