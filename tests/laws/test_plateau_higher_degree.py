"""The rest of a power plateau: its coefficient against the engine, quadrature and integration."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp

from flowtheory.laws.plateau_higher_degree import (
    CASES,
    COEFFICIENT,
    FOUR,
    LOGARITHM,
    NET,
    POWER,
    QUADRATIC,
    TURNED,
    k,
    q,
    r_0,
)
from flowtheory.symbolic.expand import SCALE
from flowtheory.symbolic.plateau import BLOW_UP, CORRECTION, LEADING, power_plateau

CHAINS = {  # the digest's numbers of the chains, and two by hand
    QUADRATIC: -2 / 3,
    TURNED: 2 / 3,
    "z - 0.3 z^2, three layers": 0.4,
    FOUR: 0.5,
}


@pytest.mark.parametrize(("degree", "gap"), [(3, 1), (4, 2), (5, 3), (6, 4)])
def test_the_logarithm_is_that_of_the_engine(degree, gap):
    engine = power_plateau(degree, gap).expression - BLOW_UP * SCALE ** (2 - degree)
    ours = LOGARITHM.subs({k: degree, q: gap})
    assert sp.simplify(sp.expand_log(engine - ours, force=True)) == 0


@pytest.mark.parametrize(("degree", "gap"), [(5, 2), (4, 1), (7, 3)])
def test_the_power_is_the_first_order_of_the_integral(degree, gap):
    r, size = sp.symbols("r b", positive=True)
    change = COEFFICIENT.subs({k: degree, q: gap}) * r ** (gap - degree + 1)
    integral = sp.integrate(change, (r, SCALE * r_0, size))
    ours = POWER.subs({k: degree, q: gap})
    left = sp.simplify(integral - ours)
    assert SCALE not in left.free_symbols


@pytest.mark.parametrize("family", list(CHAINS))
def test_the_coefficients_of_chains(family):
    case = CASES[family]
    flow, unit = case.problem(0)
    known = case.constants(flow, unit)
    values = {k: known["k"], q: known["q"], LEADING: known["h_k"], CORRECTION: known["h_kq"]}
    assert float(COEFFICIENT.subs(values)) == pytest.approx(CHAINS[family], rel=1e-12)
    assert known["T_*"] == pytest.approx(1 / (case.layers - 2), rel=1e-12)


def test_one_radius_by_quadrature_has_the_slope():
    # r' = 4 h r^3 + 6 g r^5, integrated from two starts in 30 digits.
    level, following = mpmath.mpf(1) / 16, -mpmath.mpf(1) / 48
    values = {k: 4, q: 2, LEADING: sp.Rational(1, 16), CORRECTION: -sp.Rational(1, 48)}

    def rest(decade: int) -> mpmath.mpf:
        start = mpmath.mpf(10) ** -decade
        ends = [start * 10 ** (mpmath.mpf(j) / 2) for j in range(2 * decade)]
        integral = mpmath.quad(lambda r: 1 / (4 * level * r**3 + 6 * following * r**5), ends)
        return integral - start**-2 / (8 * level)

    with mpmath.workdps(30):
        slope = (rest(6) - rest(4)) / mpmath.log(100)
    assert float(slope) == pytest.approx(float(COEFFICIENT.subs(values)), rel=1e-6)


def test_the_levels_are_those_of_the_loss():
    case = CASES[NET]
    flow, unit = case.problem(3)
    known = case.constants(flow, unit)
    assert (known["k"], known["q"]) == (3, 2)
    # Along the ray of a rank-one direction the loss is L_0 - h_3 r^3 - h_5 r^5 - O(r^6).
    z = flow.data["y"] @ flow.data["x"] / len(flow.data["y"])
    ones = np.ones(6) / np.sqrt(6)
    ray = {"W1": np.outer(ones, z / np.linalg.norm(z)), "W2": np.outer(ones, ones), "v": ones}
    ray = {name: value / np.sqrt(3) for name, value in ray.items()}
    plateau = flow.plateau(unit)
    r = np.array([0.02, 0.04])
    fallen = [plateau - flow.energy({n: s * v for n, v in ray.items()}) for s in r]
    leading, following = (case._level(power, flow, ray) for power in (3, 5))
    for size, seen in zip(r, fallen, strict=True):
        assert seen == pytest.approx(leading * size**3 + following * size**5, abs=2 * size**6)
    assert leading == pytest.approx(np.linalg.norm(z) * 3**-1.5, rel=1e-12)
    assert known["h_k"] == pytest.approx(leading, rel=1e-6)
