"""The closure of multiplicity 1 against networks of finite width, and the solvable diagram."""

import jax
import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from flowtheory.errors import ParameterError
from flowtheory.lower import lower, lower_field, numeric
from flowtheory.precision import float64
from flowtheory.symbolic.closure import FORCE, PHI_WW, G, Z, psi_closure
from flowtheory.symbolic.leading import leading_flow
from flowtheory.symbolic.networks.fully_connected import fully_connected, two_layer
from flowtheory.symbolic.phase import KAPPA, KAPPA_PRIME, MOMENT, WIDTH
from flowtheory.symbolic.solvable import solvable_diagram

RANDOM = np.random.default_rng(8)
SIZE = sp.Symbol("D", integer=True, positive=True)
NAMES = ("Phi_aa", "Phi_aw", "Phi_wa", "Phi_ww")
DATA = (Z.base, G.base, WIDTH, KAPPA, KAPPA_PRIME)


@pytest.fixture(scope="module")
def closure():
    return psi_closure(leading_flow(two_layer("identity"), "half_mse"))


@pytest.fixture(scope="module")
def solver(closure):
    """Phi at the end of the clock or of the flow, from the lowered closure."""
    with float64():
        rates = jax.jit(lower_field(closure.field, DATA))
        force = jax.jit(lower(closure.force, (*bases(closure), *DATA), outputs=(Z.indices[0],)))
        # Compiled here: a jitted function keeps the precision of its first call.

    def solve(z, gram, m, kappa, ratio, horizon, tolerance=None, **options):
        data = tuple(np.asarray(v, dtype=np.float64) for v in (z, gram, m, kappa, ratio))

        def field(_, flat):
            with float64():
                found = rates(unpack(flat, len(z)), *data)
                return np.concatenate([np.ravel(found[name]) for name in NAMES])

        def left(_, flat):
            with float64():
                g = force(*unpack(flat, len(z)).values(), *data)
                return float(np.linalg.norm(g)) - tolerance * np.linalg.norm(z)

        left.terminal = True
        events = None if tolerance is None else left
        start = np.zeros((len(z) + 1) ** 2)
        run = solve_ivp(field, (0, horizon), start, events=events, **options)
        assert run.success
        return unpack(run.y[:, -1], len(z))

    return solve


def bases(closure):
    return [entry.base for entry, _ in closure.field.components]


def unpack(flat, d):
    cuts = np.split(flat, [1, 1 + d, 1 + 2 * d])
    shapes = ((), (d,), (d,), (d, d))
    return {n: c.reshape(s) for n, c, s in zip(NAMES, cuts, shapes, strict=True)}


def changes(closure, phi, ratio):
    """RD of w and of a."""
    with float64():
        return [
            float(lower(square, (*bases(closure), KAPPA_PRIME))(*phi.values(), np.float64(ratio)))
            ** 0.5
            for square in (closure.input_change, closure.output_change)
        ]


def whitened(m, d):
    """Neurons (a, w) with empirical second moments exactly 1 and no cross terms."""
    drawn = RANDOM.normal(size=(m, d + 1))
    values, vectors = np.linalg.eigh(drawn.T @ drawn / m)
    return drawn @ vectors / np.sqrt(values)


@pytest.mark.parametrize(("kappa", "ratio", "horizon"), [(0.05, 0.7, 3.0), (0.4, 2.0, 12.0)])
def test_with_a_whitened_start_it_is_exact_at_finite_width(closure, solver, kappa, ratio, horizon):
    """a and w of every neuron of a linear network of width 7, its loss the mean square over 2."""
    m, d, n = 7, 3, 9
    x, y = RANDOM.normal(size=(n, d)) * [1.5, 1.0, 0.5], RANDOM.normal(size=n)
    start = whitened(m, d)

    def network(_, flat):
        a, w = flat[:m], flat[m:].reshape(m, d)
        g = (y - kappa * x @ (a @ w)) @ x / n
        return np.concatenate([kappa / ratio * w @ g, (kappa * ratio * np.outer(a, g)).ravel()])

    tight = {"method": "DOP853", "rtol": 1e-12, "atol": 1e-14}
    flat = np.concatenate([start[:, 0], start[:, 1:].ravel()])
    # The clock of the closure is kappa times that of the normalized flow.
    end = solve_ivp(network, (0, horizon / kappa), flat, **tight).y[:, -1]
    a, w = end[:m], end[m:].reshape(m, d)
    phi = solver(x.T @ y / n, x.T @ x / n, m, kappa, ratio, horizon, **tight)
    alpha0, w0 = ratio * start[:, 0], start[:, 1:]
    grown = alpha0 * (1 + phi["Phi_aa"]) + w0 @ phi["Phi_aw"]
    turned = w0 + np.outer(alpha0, phi["Phi_wa"]) + w0 @ phi["Phi_ww"].T
    np.testing.assert_allclose(grown / ratio, a, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(turned, w, rtol=1e-9, atol=1e-9)
    found = changes(closure, phi, ratio)
    expected = [
        np.linalg.norm(w - w0) / np.linalg.norm(w0),
        np.linalg.norm(a - start[:, 0]) / np.linalg.norm(start[:, 0]),
    ]
    assert found == pytest.approx(expected, rel=1e-9)
    assert min(expected) > 0.02
    output = lower(closure.output, (*bases(closure), *DATA[2:]), outputs=(Z.indices[0],))
    with float64():
        v = output(*phi.values(), *(np.float64(s) for s in (m, kappa, ratio)))
    np.testing.assert_allclose(v, kappa * a @ w, rtol=1e-9, atol=1e-9)


def test_moments_are_those_of_the_features_with_the_loss():
    """tanh, then 3 z: z gains a factor 3 and G a factor 9; exact for the linear one only."""
    plain = psi_closure(leading_flow(two_layer("tanh"), "half_mse"))
    scaled = psi_closure(leading_flow(two_layer("3*z"), "half_mse"))
    for (_, one), (_, other), factor in zip(plain.moments, scaled.moments, (3, 9), strict=True):
        assert sp.simplify(other / one) == factor
    assert (plain.exact, scaled.exact) == (False, True)
    assert not psi_closure(leading_flow(two_layer("identity"), "logistic")).exact


# The digest's data: |z| = 1.118, D = 3, m = 20000; coordinates and RD to the digits given.
FORMULA = {
    (0.7, 0): 0.0165,
    (1.0, 0): 0.2966,
    (1.5, 0): 6.86,
    (1.5, 0.2): 2.156,
    (1.5, -0.2): 19.25,
    (1.4, -0.8): 33.90,
}


@pytest.mark.parametrize(("point", "expected"), FORMULA.items())
def test_the_solvable_diagram(closure, solver, point, expected):
    diagram = solvable_diagram(closure)
    m, zeta, d = 20000.0, 1.118, 3
    kappa, ratio = (m**-g for g in point)
    values = {WIDTH: m, KAPPA: kappa, KAPPA_PRIME: ratio, MOMENT: zeta, SIZE: d}

    def value(formula):
        names = formula.arguments
        return numeric(formula.expression, names)(*(values[s] for s in names))

    stage = value(diagram.stage)
    assert stage == pytest.approx(0.5 * np.arcsinh(2 * zeta / (m * kappa * (ratio + 1 / ratio))))
    rd = np.sqrt(((np.cosh(stage) - 1) ** 2 + ratio**2 * np.sinh(stage) ** 2) / d)
    assert value(diagram.input_change) == pytest.approx(rd, rel=1e-10)
    assert value(diagram.input_change) == pytest.approx(expected, rel=5e-3)
    swap = np.sqrt((np.cosh(stage) - 1) ** 2 + np.sinh(stage) ** 2 / ratio**2)
    assert value(diagram.output_change) == pytest.approx(swap, rel=1e-10)
    z = zeta * np.array([0.6, 0.0, 0.8])
    phi = solver(
        z, np.eye(d), m, kappa, ratio, 1e6, tolerance=1e-8, method="LSODA", rtol=1e-11, atol=1e-13
    )
    assert changes(closure, phi, ratio) == pytest.approx(
        [value(diagram.input_change), value(diagram.output_change)], rel=1e-6
    )


# Coordinates (gamma, gamma') and local slopes of RD.
SLOPES = {
    (0.8, 0.3): -0.8,
    (1.2, 0.4): -0.4,
    (1.2, 0.8): -1.2,
    (1.4, 0.0): 0.2,
    (1.4, 0.2): 0.102,
    (1.4, -0.2): 0.3,
    (1.3, -0.6): 0.3,
}


@pytest.mark.parametrize(("point", "slope"), SLOPES.items())
def test_slopes_between_widths_of_ten_to_the_16_and_18(closure, solver, point, slope):
    """Anisotropic G: local slopes of RD in the width, lazy and condensed."""
    gamma, ratio = point
    z, gram = np.array([0.7, -0.4]), np.array([[1.5, 0.3], [0.3, 0.6]])

    def log_rd(m):
        phi = solver(
            z,
            gram,
            m,
            m**-gamma,
            m**-ratio,
            1e12,
            tolerance=1e-4,
            method="LSODA",
            rtol=1e-9,
            atol=1e-20,
        )
        return np.log10(changes(closure, phi, m**-ratio)[0])

    assert (log_rd(1e18) - log_rd(1e16)) / 2 == pytest.approx(slope, abs=0.004)


def test_other_networks_are_refused():
    for network in (two_layer("relu"), two_layer("z*tanh(z)"), fully_connected(3, "tanh")):
        with pytest.raises(ParameterError, match="to second order in W and v"):
            psi_closure(leading_flow(network, "half_mse"))
    assert (str(FORCE.base), str(PHI_WW.base)) == ("g", "Phi_ww")
