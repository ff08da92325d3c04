"""Norm and direction form, closed forms of a cell, and the half-angle law, against mpmath."""

import mpmath
import pytest
import sympy as sp
from mpmath import mpf
from symbolic.brute_force import evaluate

from flowtheory.symbolic import direction
from flowtheory.symbolic.angle import COSINE, HALF, HALF0, PSI0, R0, AngleLaw
from flowtheory.symbolic.cell import ALPHA, P0, V0, P, T, V, cell_flow
from flowtheory.symbolic.direction import direction_form, neuron_flow
from flowtheory.symbolic.effective import effective_flow
from flowtheory.symbolic.networks.fully_connected import two_layer

W0 = [mpf("0.31"), mpf("-0.72"), mpf("1.4")]
A0 = [mpf("0.9"), mpf("0.25"), mpf("-0.6")]
V_START = mpf("-0.83")
DIGITS = 40


@pytest.fixture(scope="module")
def neuron():
    return neuron_flow(effective_flow(two_layer(), "exponential"))


@pytest.fixture(scope="module")
def cell(neuron):
    return cell_flow(neuron)


def _dot(a, b):
    return mpmath.fsum(x * y for x, y in zip(a, b, strict=True))


def _norm(a):
    return mpmath.sqrt(_dot(a, a))


def _flow(w, v, s):
    """The neuron a time s later, by the matrix exponential of its linear flow."""
    d = len(w)
    M = mpmath.zeros(d + 1)
    for p in range(d):
        M[p, d] = M[d, p] = A0[p]
    state = mpmath.expm(M * s, method="taylor") * mpmath.matrix([*w, v])
    return list(state[:d]), state[d]


QUANTITIES = {
    "log_norm": lambda w, v: mpmath.log(_norm(w)),
    "ratio": lambda w, v: v / _norm(w),
    "speed": lambda w, v: _dot(w, A0) / _norm(w),
    "direction": lambda w, v: w[2] / _norm(w),
}


@pytest.mark.parametrize("name", QUANTITIES)
def test_direction_form_is_the_derivative_along_the_flow(neuron, name):
    rate = getattr(direction_form(neuron), name)
    with mpmath.workdps(DIGITS):
        R, d = _norm(W0), len(W0)
        tensors = {
            "u": [[sp.Float(x / R, DIGITS) for x in W0]],
            "a": [[sp.Float(x, DIGITS) for x in A0]],
            "kappa": [sp.Float(V_START / R, DIGITS)],
            "phi": [sp.Float(_dot(W0, A0) / R, DIGITS)],
            "alpha": [sp.Float(_norm(A0), DIGITS)],
            "R": [sp.Float(R, DIGITS)],
        }
        at = {"j": 1, "p": d}
        derived = mpf(sp.N(evaluate(rate, tensors, {"D": d, "h": 1}, at), DIGITS))
        numerical = mpmath.diff(lambda s: QUANTITIES[name](*_flow(W0, V_START, s)), 0)
        assert abs(derived - numerical) < mpf("1e-15")


def test_the_balanced_speed_is_a_riccati_equation(neuron):
    speed = direction_form(neuron).speed.xreplace({direction.KAPPA: sp.S.One})
    assert sp.expand(speed - (direction.SPEED**2 - direction.PHI**2)) == 0


def _values(expr, **named):
    symbols = {"t": T, "alpha": ALPHA, "v0": V0, "p0": P0, "psi0": PSI0, "R0": R0, "u0": HALF0}
    symbols |= {"u": HALF, "v": V, "p": P}
    return mpf(sp.N(expr.subs({symbols[k]: sp.Float(x, DIGITS) for k, x in named.items()}), DIGITS))


@pytest.mark.parametrize("t", ["0", "0.37", "2.9"])
def test_closed_forms_of_a_cell_against_the_matrix_exponential(cell, t):
    with mpmath.workdps(DIGITS):
        alpha, s = _norm(A0), mpf(t)
        p0 = _dot(W0, A0) / alpha
        w, v = _flow(W0, V_START, s)
        start = {"t": s, "alpha": alpha, "v0": V_START, "p0": p0}
        assert abs(_values(cell.output_weight, **start) - v) < mpf("1e-25")
        assert abs(_values(cell.projection, **start) - _dot(w, A0) / alpha) < mpf("1e-25")
        path = _values(cell.path, **start)
        assert max(abs(w0 + path * a - x) for w0, a, x in zip(W0, A0, w, strict=True)) < 1e-25
        integral = mpmath.quad(lambda r: _flow(W0, V_START, r)[1], [0, s]) if s else mpf(0)
        assert abs(path - integral) < mpf("1e-20")


def test_the_time_in_a_cell_inverts_the_flow(cell):
    with mpmath.workdps(DIGITS):
        alpha = _norm(A0)
        w, v = _flow(W0, mpf("2.1"), mpf("0.9"))
        elapsed = _values(
            cell.elapsed,
            alpha=alpha,
            v0=mpf("2.1"),
            p0=_dot(W0, A0) / alpha,
            v=v,
            p=_dot(w, A0) / alpha,
        )
        assert abs(elapsed - mpf("0.9")) < mpf("1e-25")


def test_the_invariant_of_a_cell_and_a_quantity_that_is_none(cell):
    assert cell.rate(V**2 - P**2) == 0
    assert cell.rate(V**2 + P**2) == 4 * ALPHA * V * P


@pytest.mark.parametrize("psi0", ["3.1", "2.0", "0.4"])
def test_half_angle_speed_and_norm_against_an_ode_solver(cell, psi0):
    """Integrate the two-dimensional balanced neuron itself, not an equation for its angle."""
    law = AngleLaw(cell)
    with mpmath.workdps(30):
        alpha, start, end = mpf("1.3"), mpf(psi0), mpf("1.7")

        def rhs(_, state):
            x, y, v = state
            return [alpha * v, mpf(0) * y, alpha * x]

        solve = mpmath.odefun(rhs, 0, [mpmath.cos(start), mpmath.sin(start), mpf(1)])
        x, y, v = solve(end)
        angle = mpmath.atan2(y, x)
        half0 = mpmath.tan(start / 2)
        predicted = _values(law.half_angle, t=end, alpha=alpha, u0=half0)
        assert abs(mpmath.tan(angle / 2) - predicted) < mpf("1e-20") * (1 + half0)
        speed = _values(law.speed, t=end, alpha=alpha, psi0=start)
        assert abs(speed - alpha * x / mpmath.hypot(x, y)) < mpf("1e-20")
        norm = _values(law.norm, t=end, alpha=alpha, psi0=start, R0=mpf(1))
        assert abs(norm - mpmath.hypot(x, y)) < mpf("1e-20")
        assert abs(norm - v) < mpf("1e-20")
        elapsed = _values(law.elapsed, alpha=alpha, u0=half0, u=predicted)
        assert abs(elapsed - end) < mpf("1e-20")


def test_the_derived_rates(cell):
    law = AngleLaw(cell)
    assert sp.expand(law.cosine_rate - ALPHA * (1 - COSINE**2)) == 0
    assert sp.expand(law.half_angle_rate + ALPHA * HALF) == 0
    cosine = (1 - law.half_angle**2) / (1 + law.half_angle**2)
    start = sp.atanh((1 - HALF0**2) / (1 + HALF0**2))
    difference = cosine - law.cosine.xreplace({sp.atanh(sp.cos(PSI0)): start})
    value = difference.subs({T: sp.Rational(1, 3), ALPHA: 2, HALF0: sp.Rational(5, 7)})
    assert abs(sp.N(value, 30)) < 1e-25
