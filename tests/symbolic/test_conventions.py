"""Conventions of papers, and conversions between them against flows in the papers' own times."""

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from flowtheory.errors import ParameterError, UnknownNameError
from flowtheory.symbolic.conventions import CHEN, CONVENTIONS, LUO, convert
from flowtheory.symbolic.phase import ALPHA, EPSILON, NU

VALUES = {"alpha": 2.5, "beta_1": 0.7, "beta_2": 1.4, "nu": 0.6, "epsilon": 0.9}


def number(formula):
    return float(formula.expression.subs({s: VALUES[s.name] for s in formula.arguments}))


def final(alpha, b1, b2, time, p):
    """Normalized weights of f = sum a (w x)^p / alpha after a time of the gradient flow."""
    rng = np.random.default_rng(3)
    m, d, n = 3, 2, 4
    a, w = rng.normal(size=m), rng.normal(size=(m, d))
    x, y = rng.normal(size=(n, d)), rng.normal(size=n)

    def field(_, flat):
        a, w = flat[:m], flat[m:].reshape(m, d)
        h = w @ x.T
        left = (y - a @ h**p / alpha) / (n * alpha)
        return np.concatenate([h**p @ left, ((p * a[:, None] * h ** (p - 1) * left) @ x).ravel()])

    start = np.concatenate([b1 * a, b2 * w.ravel()])
    end = solve_ivp(field, (0, time), start, rtol=1e-11, atol=1e-13).y[:, -1]
    return np.concatenate([end[:m] / b1, end[m:] / b2])


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize(("given", "target"), [(LUO, CHEN), (CHEN, LUO)])
def test_converted_scales_follow_the_same_trajectory(given, target, p):
    one, other = CONVENTIONS[given], CONVENTIONS[target]
    conversion = convert(given, target, p)
    values = {sp.Symbol(k, positive=True): v for k, v in VALUES.items()}
    scales = [float(sp.sympify(s).subs(values)) for s in _triple(one)]
    converted = values | {s: number(f) for s, f in conversion.scales.items()}
    others = [float(sp.sympify(s).subs(converted)) for s in _triple(other)]
    assert not np.allclose(scales, others)
    time = 0.8  # on the paper's clock
    flow_time = time * float(sp.sympify(one.time_unit).subs(values))
    other_time = time * number(conversion.time)
    other_flow = other_time * float(sp.sympify(other.time_unit).subs(converted))
    np.testing.assert_allclose(
        final(*scales, flow_time, p), final(*others, other_flow, p), rtol=1e-7
    )


def _triple(convention):
    return (convention.scales.alpha, convention.scales.beta1, convention.scales.beta2)


def test_there_and_back_is_where_it_began():
    for p in (1, 2, 5):
        there, back = convert(LUO, CHEN, p), convert(CHEN, LUO, p)
        inverse = {s: f.expression for s, f in back.scales.items()}
        for symbol in (NU, EPSILON):
            assert sp.powsimp(there.scales[symbol].expression.subs(inverse), force=True) == symbol
        assert sp.simplify(there.time.expression.subs(inverse) * back.time.expression) == 1


def test_one_without_a_divisor_is_the_same_in_both():
    there = convert(LUO, CHEN)
    names = {s.name: f.expression.subs(ALPHA, 1) for s, f in there.scales.items()}
    assert {k: str(v) for k, v in names.items()} == {"nu": "beta_1", "epsilon": "beta_2"}


def test_coordinates_and_what_is_not_verified():
    kappa, ratio = CONVENTIONS[CHEN].coordinates()
    assert (kappa.expression, ratio.expression) == (NU * EPSILON, NU / EPSILON)
    assert "not verified" in kappa.source
    assert CONVENTIONS[LUO].coordinates(3)[0].expression.has(ALPHA)
    with pytest.raises(UnknownNameError):
        convert("xu", LUO)
    with pytest.raises(ParameterError, match="both conventions"):
        convert(LUO, LUO)
    with pytest.raises(ParameterError, match="multiplicity is 0"):
        convert(LUO, CHEN, 0)
