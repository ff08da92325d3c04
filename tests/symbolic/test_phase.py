"""Escape time and slope table of the phase diagram."""

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy.integrate import quad

from flowtheory.errors import ParameterError
from flowtheory.lower import numeric
from flowtheory.symbolic.phase import (
    ALPHA,
    COEFFICIENT,
    CURVATURE,
    EPSILON,
    FRACTION,
    GAMMA,
    GAMMA_PRIME,
    MOMENT,
    NU,
    WIDTH,
    escape_time,
    leader_slopes,
    regime_at,
    slope_table,
)

D = sp.Rational

# (gamma, gamma') -> the theory that measured slopes of ReLU networks were compared with.
S_W = {
    (".6", "0"): "-.4", (".4", "0"): "-.6", ("1", "0"): "0", ("1.4", "0"): ".2",
    ("1.75", "0"): ".375", ("1.4", ".2"): ".1", ("1.4", "-.2"): ".3", ("2", ".5"): ".25",
    ("2", "-.5"): ".75", (".8", ".6"): "-1.4", (".7", ".4"): "-1.1", ("1.3", ".8"): "-1",
    ("1.5", "1"): "-1", ("1.3", "-1"): ".3", ("1.3", "-1.4"): ".3", ("1.2", ".4"): "-.4",
}  # fmt: skip
S_A = {
    ("1.4", ".2"): ".3", ("1.3", "-1"): "-1.4", ("1.3", "-1.4"): "-2.2", ("2", ".5"): ".75",
    (".8", ".6"): "-.2",
}  # fmt: skip
LEADERS = {
    ("2", "0"): D(1, 6), ("2.5", "0"): D(1, 3), ("3", "0"): D(1, 2), ("2.2", ".4"): D("0.1"),
    ("2.2", "-.4"): D("1.1") / 3,
}  # fmt: skip


def value(formula, gamma, gamma_prime):
    return formula.expression.subs({GAMMA: gamma, GAMMA_PRIME: gamma_prime})


def test_published_slopes():
    table = slope_table()
    for point, slope in S_W.items():
        g, gp = map(D, point)
        assert value(regime_at(table, g, gp).hidden, g, gp) == D(slope), point
    for point, slope in S_A.items():
        g, gp = map(D, point)
        assert value(regime_at(table, g, gp).output, g, gp) == D(slope), point
    for point, slope in LEADERS.items():
        g, gp = map(D, point)
        assert value(regime_at(leader_slopes(2), g, gp).hidden, g, gp) == slope, point


@pytest.mark.parametrize("p", [1, 2, 3])
def test_the_table_covers_the_plane_and_is_continuous(p):
    table = slope_table(p)
    for g in [D(n, 3) for n in range(1, 11)]:
        for gp in [D(n, 3) for n in range(-10, 11)]:
            at = {GAMMA: g, GAMMA_PRIME: gp}
            covering = [regime for regime in table if regime.hidden.holds(at)]
            assert covering
            for kind in ("hidden", "output"):
                assert len({value(getattr(r, kind), g, gp) for r in covering}) == 1, (kind, g, gp)


def test_layers_change_roles_for_multiplicity_one():
    table = slope_table()
    for g, gp in [(D(3, 5), D(1, 3)), (D(7, 5), D(-1, 5)), (2, D(3, 2)), (2, D(-5, 2))]:
        mirrored = value(regime_at(table, g, -gp).hidden, g, -gp)
        assert value(regime_at(table, g, gp).output, g, gp) == mirrored


def test_the_leader_law_is_continuous_and_refuses():
    for p in (2, 3):
        edge = {GAMMA_PRIME: -GAMMA / p}
        for kind in ("hidden", "output"):
            balanced, frozen = (getattr(regime, kind) for regime in leader_slopes(p))
            difference = balanced.expression.subs(edge) - frozen.expression.subs(edge)
            assert sp.expand(difference) == 0
    with pytest.raises(ParameterError, match="none of the regimes"):
        regime_at(leader_slopes(2), D(1, 2), 0)
    with pytest.raises(ParameterError, match="multiplicity is 1"):
        leader_slopes(1)


@pytest.mark.parametrize("p", [2, 3])
@pytest.mark.parametrize(
    ("gamma", "ratio"), [("2", "0"), ("3", "0.5"), ("2.2", "-0.4"), ("2", "-2")]
)
def test_one_neuron_that_carries_the_fit_alone(p, gamma, ratio):
    """a and w from kappa a w^p = 1 and the conserved w^2 - p kappa'^2 a^2, at two widths."""
    regime = regime_at(leader_slopes(p), D(gamma), D(ratio))
    changes = []
    with mpmath.workdps(400):
        for m in (mpmath.mpf(10) ** 60, mpmath.mpf(10) ** 90):
            kappa, kappa_prime = m ** -mpmath.mpf(gamma), m ** -mpmath.mpf(ratio)

            def fit(log_w, kappa=kappa, kappa_prime=kappa_prime):
                w = mpmath.exp(log_w)
                a = mpmath.sqrt(1 + (w**2 - 1) / (p * kappa_prime**2))
                return mpmath.log(kappa * a) + p * log_w

            high = -mpmath.log(kappa)  # a = 1 needs w = kappa^(-1/p), a growing one needs less
            log_w = mpmath.findroot(fit, (mpmath.mpf(1e-9), high), solver="anderson", tol=1e-80)
            w = mpmath.exp(log_w)
            excess = (w**2 - 1) / (p * kappa_prime**2)
            a_change = excess / (mpmath.sqrt(1 + excess) + 1)
            changes.append([mpmath.log(x / mpmath.sqrt(m)) for x in (w - 1, a_change)])
        slopes = [(b - a) / mpmath.log(mpmath.mpf(10) ** 30) for a, b in zip(*changes, strict=True)]
    found = [float(slope) for slope in slopes]
    expected = [float(value(f, D(gamma), D(ratio))) for f in (regime.hidden, regime.output)]
    assert found == pytest.approx(expected, abs=1e-6)


def closure_time(end, rate, feedback):
    """The time to phi = `end` of d phi/dt = rate - feedback sinh(2 phi)."""
    run = quad(
        lambda u: 1 / (rate - feedback * np.sinh(2 * u)), 0, end, epsabs=0, epsrel=1e-12, limit=400
    )
    return run[0]


def test_escape_time_of_the_closure():
    """d phi/dt = lambda - c S K sinh(2 phi), exact for infinite width and isotropic inputs."""
    law = escape_time()
    time = numeric(law.expression, law.arguments)
    for alpha, nu, eps, c, norm, S, q in [
        (1.0, 1e-3, 1e-3, 1.0, 0.79, 1.3, 0.293),
        (3.0, 1e-4, 2e-3, 0.5, 1.7, 0.4, 0.5),
    ]:
        errors = []
        for m in (10.0, 100.0):
            K = m * c / (2 * alpha) * (nu**2 + eps**2)
            end = 0.5 * np.arcsinh(q * norm / (S * K))
            exact = closure_time(end, c * norm / alpha, c * S * K / alpha)
            errors.append(abs(time(alpha, nu, eps, m, c, norm, S, q) - exact) / exact)
        # The feedback is logistic up to terms of relative order S K/|z|.
        assert max(errors) < 1e-3
        assert errors[1] / errors[0] == pytest.approx(10, rel=0.3)


def test_derivatives_of_the_escape_time():
    """dT/d ln m = -1/(2 lambda), and dT/d ln(1/scale) = 1/lambda, for a small start."""
    T = escape_time().expression
    at = {ALPHA: 2, NU: D(1, 10**5), EPSILON: D(1, 10**5), WIDTH: 50, COEFFICIENT: D(1, 2),
          MOMENT: D(4, 5), CURVATURE: 1, FRACTION: D(1, 2)}  # fmt: skip
    rate = D(1, 2) * D(4, 5) / 2
    per_width = (WIDTH * T.diff(WIDTH)).subs(at).evalf(20)
    assert abs(per_width + 1 / (2 * rate)) < 1e-12
    per_scale = sum((s * T.diff(s)).subs(at).evalf(20) for s in (NU, EPSILON))
    assert abs(per_scale + 1 / rate) < 1e-12
