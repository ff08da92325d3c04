"""Blow-up times of aligned flows against integration of the ordinary differential equations."""

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from flowtheory.errors import ParameterError
from flowtheory.symbolic.blowup import AlignedFlow, Fate, aligned_layers, aligned_neuron, balanced
from flowtheory.symbolic.carlson import CarlsonR, CarlsonRF, elementary

R = sp.Rational


def blow_up_by_ode(degrees, start, gain=14.0):
    """$T^*$ of $H = \\prod x_l^{d_l}$ in logarithmic coordinates, with the exact balanced tail."""
    d, k = np.array(degrees, dtype=float), float(sum(degrees))

    def rhs(_, state):
        xi, rho = state[:-2] / np.linalg.norm(state[:-2]), state[-2]
        h = np.prod(xi**d)
        # The gradient without division by a gain, which may cross zero.
        gradient = np.array(
            [d[m] * xi[m] ** (d[m] - 1) * np.prod(np.delete(xi**d, m)) for m in range(len(d))]
        )
        return np.concatenate([gradient - k * h * xi, [k * h, np.exp(-(k - 2) * rho)]])

    x = np.array(start, dtype=float)
    rho0 = np.log(np.linalg.norm(x))
    reached = lambda s, state: state[-2] - rho0 - gain  # noqa: E731
    reached.terminal = True
    run = solve_ivp(
        rhs,
        [0, 1e7],
        [*(x / np.exp(rho0)), rho0, 0.0],
        method="DOP853",
        rtol=1e-13,
        atol=1e-15,
        events=reached,
    )
    assert run.status == 1
    largest = np.prod(d ** (d / 2)) * k ** (-k / 2)
    return run.y[-1, -1] + np.exp(-(k - 2) * run.y[-2, -1]) / (k * (k - 2) * largest)


CASES = [
    ((1, 1, 1), (R(1, 2), R(4, 5), R(6, 5))),
    ((1, 1, 1), (R(-3, 10), R(7, 10), R(9, 10))),
    ((1, 1, 1, 1), (R(1, 2), R(7, 10), 1, R(13, 10))),
    ((1, 1, 1, 1, 1), (-1, R(7, 10), R(-1, 5), -2, R(-13, 10))),
    ((2, 1), (R(3, 10), R(7, 10))),
    ((2, 1), (1, R(-1, 2))),
    ((3, 1), (R(1, 5), 1)),
    ((4, 2, 1), (R(9, 10), R(11, 10), 1)),
]


@pytest.mark.parametrize(("degrees", "start"), CASES)
def test_times_equal_those_of_the_flow(degrees, start):
    gains = tuple(sp.Symbol(f"x_{m}", positive=True) for m in range(len(degrees)))
    flow = AlignedFlow(sp.Symbol("s", positive=True), gains, tuple(map(sp.Integer, degrees)))
    escape = flow.escape(start)
    assert escape.fate.ok
    exact = float(escape.time.subs(flow.strength, 1).evalf(20))
    assert blow_up_by_ode(degrees, start) == pytest.approx(exact, rel=1e-10)


def test_the_digits_of_three_layers_with_a_negative_product():
    time = aligned_layers(3, strength=sp.Integer(1)).escape([R(-3, 10), R(7, 10), R(9, 10)]).time
    assert float(time.evalf(20)) == pytest.approx(2.662267141464, abs=1e-12)


def test_three_layers_are_elliptic():
    flow = aligned_layers(3)
    x, y, w = flow.gains
    s = flow.strength
    assert flow.blow_up_time == CarlsonRF(x**2, y**2, w**2) / s
    crossed = 2 * CarlsonRF(0, y**2 - x**2, w**2 - x**2) / s - CarlsonRF(x**2, y**2, w**2) / s
    assert sp.expand(flow.time_after_sign_change(x) - crossed) == 0


def test_the_clock_and_the_invariants_follow_from_the_field():
    flow = aligned_layers(4, multiplicity=3)
    assert flow.degree == (3**4 - 1) // 2
    assert flow.clock_rates == flow.degrees == (27, 9, 3, 1)
    rate = dict(zip(flow.gains, flow.rates, strict=True))
    for invariant in flow.invariants:
        along = sum(invariant.diff(x) * rate[x] for x in flow.gains)
        assert sp.cancel(along) == 0


@pytest.mark.parametrize(("layers", "p"), [(3, 1), (4, 1), (7, 1), (2, 2), (2, 5), (3, 2)])
def test_balanced_flows(layers, p):
    flow, x = aligned_layers(layers, p), sp.Symbol("x", positive=True)
    k = flow.degree
    weight = sp.prod(sp.sqrt(d) ** d for d in flow.degrees)
    time = flow.blow_up_time.subs(balanced(flow, x))
    assert sp.powsimp(time * (k - 2) * flow.strength * weight * x ** (k - 2)) == 1


# (p, a_0, w_0) -> T* for h = 0.7: the published digits.
NEURONS = {
    (2, 1, 1): 0.89032,
    (2, R(3, 10), 1): 1.26350,
    (2, 1, R(1, 5)): 1.90783,
    (3, 1, 1): 0.3018927,
    (3, 1, R(1, 5)): 2.1344835,
}


@pytest.mark.parametrize("case", NEURONS)
def test_one_neuron_has_an_elementary_time(case):
    p, a0, w0 = case
    flow = aligned_neuron(p)
    h, (w, a) = flow.strength, flow.gains
    at = {h: R(7, 10), w: w0, a: a0}
    exact = flow.blow_up_time.subs(at).evalf(30)
    digits = NEURONS[case]
    assert float(exact) == pytest.approx(digits, abs=5.1e-6 if p == 2 else 5.1e-8)
    (general,) = flow.blow_up_time.atoms(CarlsonR)
    larger = bool(p * a0**2 > w0**2)
    form = elementary(a**2, R(p, 2), w**2 / p, first_is_larger=larger)
    assert abs(flow.blow_up_time.subs(general, form).subs(at).evalf(30) - exact) < 1e-27


def test_the_closed_forms_of_one_neuron():
    """Published for p = 3, and for p = 2 with the sign of C = 2a^2 - w^2."""
    h, w, a = R(1, 2), R(7, 5), R(1, 3)
    C = 3 * a**2 - w**2
    time = aligned_neuron(3).escape([w, a]).time.subs(aligned_neuron(3).strength, h)
    assert abs(time.evalf(30) - ((a / w - 1 / sp.sqrt(3)) / (h * C)).evalf(30)) < 1e-27
    C = 2 * a**2 - w**2
    arc = sp.pi / 2 - sp.atan(sp.sqrt(2) * a / sp.sqrt(-C))
    time = aligned_neuron(2).escape([w, a]).time.subs(aligned_neuron(2).strength, h)
    assert abs(time.evalf(30) - (arc / (h * sp.sqrt(-2 * C))).evalf(30)) < 1e-27


def test_starts_that_never_escape():
    flow = aligned_layers(3)
    stuck = flow.escape([1, 1, -1])
    assert stuck.fate is Fate.NEVER_ESCAPES
    assert (stuck.time, set(stuck.limit.values())) == (sp.oo, {0})
    # The stable manifold: all moduli are 1/(t + 1).
    run = solve_ivp(
        lambda t, x: [x[1] * x[2], x[0] * x[2], x[0] * x[1]],
        [0, 9],
        [1, 1, -1],
        rtol=1e-12,
        atol=1e-14,
    )
    np.testing.assert_allclose(run.y[:, -1], [0.1, 0.1, -0.1], rtol=1e-9)
    # One vanishing gain leaves, two do not.
    left = flow.escape([0, 1, 2])
    assert left.time == CarlsonRF(0, 1, 4) / flow.strength
    assert flow.escape([0, 0, 2]).limit == dict(zip(flow.gains, (0, 0, 2), strict=True))


def test_dead_neurons():
    neuron = aligned_neuron(2)
    w, a = neuron.gains
    w0, a0 = R(3, 10), R(-569, 1000)
    dead = neuron.escape([w0, a0])
    assert dead.fate is Fate.NEVER_ESCAPES
    assert dead.limit == {w: 0, a: sp.sqrt(a0**2 - w0**2 / 2)}
    run = solve_ivp(
        lambda t, x: [2 * x[0] * x[1], x[0] ** 2],
        [0, 60],
        [float(w0), float(a0)],
        rtol=1e-12,
        atol=1e-15,
    )
    assert run.y[0, -1] == pytest.approx(0, abs=1e-12)
    assert -run.y[1, -1] == pytest.approx(float(dead.limit[a]), rel=1e-9)
    # On the other side of w0^2 = 2 a0^2 the output weight changes its sign, and the neuron escapes.
    assert neuron.escape([1, R(-7, 10)]).fate is Fate.BLOWS_UP_AFTER_SIGN_CHANGE
    assert neuron.escape([1, R(-71, 100)]).fate is Fate.NEVER_ESCAPES
    assert neuron.time_after_sign_change(w) == sp.oo


def test_two_layers_grow_exponentially():
    flow = aligned_layers(2)
    assert flow.blow_up_time == sp.oo
    assert flow.escape([1, 2]).fate is flow.escape([1, -2]).fate is Fate.GROWS_EXPONENTIALLY
    assert flow.escape([1, -1]).fate is Fate.NEVER_ESCAPES


def test_small_layers_alone_count():
    """Five layers, three of them at 1e-3; six with four; the digits of the layer-wise scales."""
    one = sp.Integer(1)
    for layers, small, digits, tolerance in ((5, 3, 998.43, 5e-3), (6, 4, 499993.6, 5e-2)):
        flow = aligned_layers(layers, strength=one)
        at = dict.fromkeys(flow.gains, one) | dict.fromkeys(flow.gains[:small], R(1, 1000))
        assert float(flow.blow_up_time.subs(at).evalf(20)) == pytest.approx(digits, abs=tolerance)
    flow = aligned_layers(3, strength=one)
    at = dict(zip(flow.gains, (R(1, 1000), R(1, 1000), 1), strict=True))
    assert float(flow.blow_up_time.subs(at).evalf(20)) == pytest.approx(7.600906, abs=5e-7)
    assert float(mpmath.log(2000)) == pytest.approx(7.600902, abs=5e-7)


def test_bad_input():
    flow = aligned_layers(3)
    with pytest.raises(ParameterError, match="layers is 1"):
        aligned_layers(1)
    with pytest.raises(ParameterError, match="multiplicity is 0"):
        aligned_layers(2, 0)
    with pytest.raises(ParameterError, match="the start is"):
        flow.escape([1, 2])
    with pytest.raises(ParameterError, match="not a gain"):
        flow.time_after_sign_change(sp.Symbol("q"))
    with pytest.raises(ParameterError, match="positive"):
        AlignedFlow(sp.Symbol("s"), flow.gains, flow.degrees)
    with pytest.raises(ParameterError, match="2 degrees"):
        AlignedFlow(flow.strength, flow.gains, flow.degrees[:2])
