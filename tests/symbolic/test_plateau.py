"""Plateau and passage times against quadrature and integrated flows."""

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from flowtheory.errors import ParameterError
from flowtheory.lower import numeric
from flowtheory.symbolic.asymptotic import Formula
from flowtheory.symbolic.expand import SCALE
from flowtheory.symbolic.plateau import (
    BLOW_UP,
    CORRECTION,
    DROP,
    END,
    LEADING,
    OVERLAP,
    RATE,
    SINGULAR,
    START,
    exponential_plateau,
    passage_time,
    power_plateau,
)

R = sp.Rational
L = sp.Symbol("L", integer=True, positive=True)
POINT = {SINGULAR: R(13, 10), START: R(1, 100), END: R(117, 100)}


def by_quadrature(depth, s, start, end):
    """The integral of du/(L u^(2-2/L)(s - u)) in ln u, over which the integrand is smooth."""
    power = 1 - mpmath.mpf(2) / depth
    return mpmath.quad(
        lambda v: mpmath.exp(-power * v) / (depth * (s - mpmath.exp(v))),
        mpmath.linspace(mpmath.log(start), mpmath.log(end), 12),
    )


@pytest.mark.parametrize("depth", [2, 3, 4, 5, 6, 11])
def test_passage_times_of_every_depth(depth):
    formula = passage_time(depth)
    assert formula.is_exact
    assert formula.holds(POINT)
    with mpmath.workdps(30):
        values = [mpmath.mpf(v.p) / v.q for v in POINT.values()]
        exact = by_quadrature(depth, *values)
        got = numeric(formula.expression, formula.arguments, "mpmath")(*values)
        assert abs(got / exact - 1) < 1e-20
        if depth > 2:
            general = passage_time(L).expression.subs(L, depth)
            same = numeric(general, formula.arguments, "mpmath")(*values)
            assert abs(same / exact - 1) < 1e-20
    fast = numeric(formula.expression, formula.arguments)
    assert fast(*map(float, POINT.values())) == pytest.approx(float(exact), rel=1e-13)


@pytest.mark.parametrize(("depth", "digits"), [(3, 76.8999917), (4, 3846.411656)])
def test_published_digits(depth, digits):
    formula = passage_time(depth)
    value = numeric(formula.expression, formula.arguments)(1.3, 0.01**depth, 0.9 * 1.3)
    assert value == pytest.approx(digits, rel=1e-9)


def test_limits_of_the_depth():
    general = passage_time(L)
    at_depth = numeric(general.expression, general.arguments, "mpmath")
    two, infinite = (
        numeric(passage_time(depth).expression, general.arguments[:3], "mpmath")
        for depth in (2, sp.oo)
    )
    with mpmath.workdps(30):
        point = [mpmath.mpf(v.p) / v.q for v in POINT.values()]
        deep = mpmath.mpf(10) ** 7
        assert abs(at_depth(*point, deep) * deep / infinite(*point) - 1) < 1e-5
        assert abs(at_depth(*point, 2 + mpmath.mpf(10) ** -8) / two(*point) - 1) < 1e-7
    assert not passage_time(L).holds(POINT | {L: 2})
    assert not passage_time(3).holds(POINT | {END: 2})
    with pytest.raises(ParameterError, match="undecided"):
        passage_time(3).holds({START: 1})
    for wrong in (1, 2.5, R(5, 2)):
        with pytest.raises(ParameterError, match="depth is"):
            passage_time(wrong)


def test_exponential_plateau_against_the_exact_mode():
    """A mode u' = 2u(s - u) from u_0 = eps^2: lambda = 2s/2, the loss is (s - u)^2/2."""
    s = R(13, 10)
    law = exponential_plateau()
    assert law.remainder == DROP
    errors = []
    for delta in (R(1, 100), R(1, 1000)):
        # The loss has fallen by delta at u = s - sqrt(s^2 - 2 delta); the product of gains
        # is u_0 = eps^2, of squared length P = 2 in the growing direction.
        end = s - sp.sqrt(s**2 - 2 * delta)
        at = {SCALE: R(1, 10**6), RATE: s, OVERLAP: 2, DROP: delta}
        exact = passage_time(2).expression.subs({SINGULAR: s, START: R(1, 10**12), END: end})
        errors.append(float(law.expression.subs(at).evalf(20) - exact.evalf(20)))
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.02)


# sigma of a chain x sigma(y sigma(w)) or longer, layers, gap, and the published coefficient.
z = sp.Symbol("z")
CHAINS = [
    (z + z**2 / 2, 3, 1, R(-2, 3)),
    (z - R(3, 10) * z**2, 3, 1, R(2, 5)),
    (z - z**3 / 3, 4, 2, R(1, 2)),
]


@pytest.mark.parametrize("chain", CHAINS, ids=str)
def test_the_coefficient_of_the_logarithm(chain):
    sigma, layers, gap, expected = chain
    gains = sp.symbols(f"g_1:{layers + 1}")
    output = gains[0]
    for gain in gains[1:]:
        output = gain * sigma.subs(z, output)
    r = sp.Symbol("r")
    even = sp.Poly(output.subs(dict.fromkeys(gains, r / sp.sqrt(layers))), r)
    loss = sp.Poly(even - even**2 / 2, r)
    law = power_plateau(layers, gap)
    values = {LEADING: loss.coeff_monomial(r**layers)}
    values[CORRECTION] = loss.coeff_monomial(r ** (layers + gap))
    coefficient = law.expression.coeff(sp.log(1 / SCALE)).subs(values)
    assert sp.nsimplify(coefficient) == expected
    assert law.remainder == 1


def plateau_by_flow(eps):
    """When a sigma(b sigma(c)) with sigma = z + z^2/2 has moved to order 1, from gains eps."""

    def rhs(_, state):
        a, b, c, _t = state
        inner = c + c * c / 2
        hidden = b * inner
        out = hidden + hidden**2 / 2
        push = 1 - a * out
        below = push * a * (1 + hidden)
        rates = np.array([push * out, below * inner, below * b * (1 + c)])
        return np.append(rates, 1.0) / max(state[:3])

    done = lambda _, y: y[0] * y[1] * (y[2] + y[2] ** 2 / 2) - 0.3  # noqa: E731
    done.terminal = True
    run = solve_ivp(
        rhs, [0, 1e9], [eps, eps, eps, 0.0], method="DOP853", rtol=1e-12, atol=1e-16, events=done
    )
    return run.y[-1, -1]


def test_the_logarithm_in_the_flow():
    """B = -2/3, read off the flow at three scales; the power law alone would give 0."""
    scales = np.array([1e-2, 1e-3, 1e-4])
    rest = np.array([plateau_by_flow(eps) - 1 / eps for eps in scales])
    slopes = np.diff(rest) / np.diff(np.log(1 / scales))
    assert slopes[-1] == pytest.approx(-2 / 3, abs=2e-3)


def test_regimes_of_the_gap():
    assert power_plateau(3, 2).expression == BLOW_UP / SCALE
    assert power_plateau(3, 2).remainder == 1
    assert power_plateau(5, 2).remainder == 1 / SCALE
    assert power_plateau(4, 2).expression.has(sp.log)
    assert "O" in power_plateau(4, 2).latex
    for wrong in ((2, 1), (3, 0)):
        with pytest.raises(ParameterError, match="expected"):
            power_plateau(*wrong)
    with pytest.raises(ParameterError, match="without a meaning"):
        Formula("x", SCALE, {}, (), sp.S.Zero, "derived here")
