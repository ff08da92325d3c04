"""Bounds on the blow-up time, and how fast they close, along integrated matrix flows."""

from dataclasses import dataclass

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp

from flowtheory.errors import ParameterError
from flowtheory.lower import numeric
from flowtheory.symbolic.blowup import aligned_layers, aligned_neuron, balanced
from flowtheory.symbolic.brackets import (
    REMAINING,
    VALUE,
    Brackets,
    SelfSimilar,
    bottleneck_time,
    time_to_infinity,
)

R = sp.Rational


@dataclass
class Run:
    """A flow of H = a^T W_{L-1} ... W_1 e_1: time left, H and norms along it."""

    left: np.ndarray
    value: np.ndarray
    norms: np.ndarray  # of a layer, with |W_1 e_1| and |W_1| as the first and the last
    total: float


def chain(shapes, flat):
    matrices, at = [], 0
    for rows, columns in shapes:
        matrices.append(flat[at : at + rows * columns].reshape(rows, columns))
        at += rows * columns
    return matrices


def gradients(matrices):
    """H and its gradient; the moment is e_1 (s = 1)."""
    right = [np.eye(matrices[0].shape[1])[:, :1]]
    for W in matrices:
        right.append(W @ right[-1])
    left, out = np.ones((1, 1)), []
    for W, r in zip(reversed(matrices), reversed(right[:-1]), strict=True):
        out.append(left.T @ r.T)
        left = left @ W
    return right[-1].item(), out[::-1]


def integrate(layers, seed, gain=9.0, m=4, d=3):
    rng = np.random.default_rng(seed)
    shapes = [(m, d), *[(m, m)] * (layers - 2), (1, m)]
    flat = rng.normal(size=sum(a * b for a, b in shapes)) / np.sqrt(m)
    if gradients(chain(shapes, flat))[0] < 0:
        flat[-m:] *= -1

    def rhs(_, state):
        xi, rho = state[:-2] / np.linalg.norm(state[:-2]), state[-2]
        h, g = gradients(chain(shapes, xi))
        slope = np.concatenate([part.ravel() for part in g]) - layers * h * xi
        return np.concatenate([slope, [layers * h, np.exp(-(layers - 2) * rho)]])

    rho0 = np.log(np.linalg.norm(flat))
    done = lambda s, state: state[-2] - rho0 - gain  # noqa: E731
    done.terminal = True
    start = [*(flat / np.exp(rho0)), rho0, 0.0]
    run = solve_ivp(rhs, [0, 1e6], start, method="DOP853", rtol=1e-12, atol=1e-14, events=done)
    scale = np.exp(run.y[-2])
    states = [chain(shapes, x * r) for x, r in zip(run.y[:-2].T, scale, strict=True)]
    values = np.array([gradients(W)[0] for W in states])
    norms = [
        [np.linalg.norm(W[0][:, 0]), *map(np.linalg.norm, W[1:]), np.linalg.norm(W[0])]
        for W in states
    ]
    # Time is counted backwards from the end, where the energy bound is exact to rounding.
    tail = values[-1] ** (-(layers - 2) / layers) / (layers - 2)
    left = tail + np.append(np.cumsum((np.diff(run.y[-1]))[::-1])[::-1], 0.0)
    return Run(left, values, np.array(norms), left[0])


@pytest.fixture(scope="module", params=[(3, 0), (3, 1), (4, 2), (5, 3)], ids=str)
def case(request):
    layers, seed = request.param
    return layers, integrate(layers, seed)


def evaluated(layers, run, name):
    bounds = Brackets(aligned_layers(layers, strength=sp.Integer(1)))
    arguments = (VALUE, *bounds.flow.gains)
    first = run.norms[:, 0] if name.startswith("layers") else run.norms[:, -1]
    return numeric(getattr(bounds, name), arguments)(run.value, first, *run.norms[:, 1:-1].T)


def test_every_bound_holds_along_the_flow(case):
    layers, run = case
    # Later than this the time left is lost in the rounding of the time.
    early = run.left > 1e-5 * run.total
    slack = 1e-9
    for name in ("norm_lower", "layers_lower"):
        assert np.all((evaluated(layers, run, name) / run.left)[early] <= 1 + slack), name
    for name in ("tangent_upper", "layers_upper", "energy_upper"):
        assert np.all((evaluated(layers, run, name) / run.left)[early] >= 1 - slack), name
    # The start is far from aligned, so that the bounds are no equalities.
    assert evaluated(layers, run, "energy_upper")[0] > 1.02 * run.left[0]
    assert evaluated(layers, run, "layers_lower")[0] < 0.98 * run.left[0]


@pytest.mark.parametrize(
    ("name", "low", "high"), [("tangent_upper", 1e-5, 3e-2), ("energy_upper", 1e-2, 2e-1)]
)
def test_how_fast_the_bounds_close(case, name, low, high):
    """Exponents 3, 2, 5/3 of the tangent and 5, 3, 7/3 of the energy bound for 3, 4, 5 layers."""
    layers, run = case
    window = (run.left < high * run.total) & (run.left > low * run.total)
    excess = evaluated(layers, run, name)[window] - run.left[window]
    slope = np.polyfit(np.log(run.left[window]), np.log(excess), 1)[0]
    limit = SelfSimilar(aligned_layers(layers))
    expected = limit.tangent_exponent if name == "tangent_upper" else limit.energy_exponent
    assert slope == pytest.approx(float(expected), abs=0.15)


def test_alignment_and_norms_at_the_end(case):
    layers, run = case
    limit = SelfSimilar(aligned_layers(layers, strength=sp.Integer(1)))
    window = (run.left < 1e-3 * run.total) & (run.left > 1e-6 * run.total)
    left = run.left[window]
    defect = 1 - (run.norms[window, 0] / run.norms[window, -1]) ** 2
    slope = np.polyfit(np.log(left), np.log(defect), 1)[0]
    assert slope == pytest.approx(float(limit.misalignment_exponent), abs=0.01)
    expected = numeric(limit.gains[0], (REMAINING,))(left)
    np.testing.assert_allclose(run.norms[window, 1], expected, rtol=0.02)


@pytest.mark.parametrize(("layers", "p"), [(3, 1), (6, 1), (2, 2), (2, 3), (3, 2)])
def test_all_bounds_meet_on_the_balanced_flow(layers, p):
    bounds = Brackets(aligned_layers(layers, p))
    x = sp.Symbol("x", positive=True)
    at = balanced(bounds.flow, x)
    exact = bounds.flow.blow_up_time.subs(at)
    there = {**at, VALUE: bounds.flow.potential.subs(at)}
    names = ["tangent_upper", "norm_lower", "layers_lower", "layers_upper"]
    for name in names + ["energy_upper"] * (p == 1):
        assert sp.powsimp(sp.powdenest(getattr(bounds, name).subs(there) / exact)) == 1, name
    for gain, balanced_gain in zip(SelfSimilar(bounds.flow).gains, at.values(), strict=True):
        assert sp.powdenest(gain.subs(REMAINING, exact) / balanced_gain, force=True) == 1


def test_formulas_of_three_layers():
    bounds = Brackets(aligned_layers(3))
    s = bounds.flow.strength
    square = sum(x**2 for x in bounds.flow.gains)
    assert bounds.tangent_upper == square / (3 * VALUE)
    assert bounds.energy_upper == s ** R(-2, 3) * VALUE ** R(-1, 3)
    assert bounds.largest_normalized_value == s * 3 ** R(-3, 2)


def test_a_power_law_reaches_infinity():
    x, c, m = sp.symbols("x c m", positive=True)
    assert time_to_infinity(c * x**3, x) == 1 / (2 * c * x**2)
    assert sp.cancel(time_to_infinity(c * x**m, x) * c * (m - 1) * x ** (m - 1)) == 1
    assert time_to_infinity(c * x, x) == sp.oo
    with pytest.raises(ParameterError, match="a power"):
        time_to_infinity(x + x**2, x)
    r = sp.Symbol("r", integer=True, positive=True)
    assert sp.cancel(bottleneck_time(r, x, c) * c * (r - 2) * x ** (r - 2)) == 1


def test_refusals():
    with pytest.raises(ParameterError, match="degree is 2"):
        Brackets(aligned_layers(2))
    neuron = aligned_neuron(2)
    with pytest.raises(ParameterError, match="degree 1 in every layer"):
        _ = Brackets(neuron).energy_upper
    with pytest.raises(ParameterError, match="degree 1 in every layer"):
        _ = SelfSimilar(neuron).tangent_exponent
