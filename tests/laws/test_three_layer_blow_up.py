"""Blow-up of three layers: the start's numbers, the bounds typed by hand, the time by SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp
from scipy.special import elliprf

from flowtheory.laws.starts import Drive, brackets, observed
from flowtheory.laws.three_layer_blow_up.attacks import layers_of
from flowtheory.laws.three_layer_blow_up.law import ENERGY, TANGENT, L, derive
from flowtheory.lower import numeric
from flowtheory.symbolic.brackets import VALUE


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(3)
    drive = Drive.random(3, 1.7, rng)
    return drive, drive.gaussian(0.8, rng)


def test_a_start_is_told_by_its_strength_value_and_norms(case):
    drive, start = case
    assert drive.strength == pytest.approx(1.7, rel=1e-14)
    outputs = drive.x @ start["W1"].T @ start["W2"].T @ start["v"]
    assert drive.value(start) == pytest.approx(np.mean(drive.y * outputs), rel=1e-12)
    at = drive.parameters(start)
    z = np.mean(drive.y[:, None] * drive.x, axis=0)
    assert at["x_1"] == pytest.approx(np.linalg.norm(start["W1"] @ z) / 1.7, rel=1e-12)
    assert at["x_2"] == pytest.approx(np.sqrt((start["W2"] ** 2).sum()), rel=1e-12)


def test_aligned_starts_have_the_product_of_their_gains():
    rng = np.random.default_rng(0)
    for layers in (3, 4, 5):
        drive = Drive.random(layers, 0.6, rng)
        gains = rng.normal(size=layers)
        start = drive.rank_one(gains, rng)
        assert drive.value(start) == pytest.approx(0.6 * np.prod(gains), rel=1e-12)
        assert drive.norms(start) == pytest.approx(np.abs(gains), rel=1e-12)


def test_the_time_against_plain_integration(case):
    """To a norm of 1e4 in plain time; from there 1/|theta| falls at the rate s/sqrt(3)."""
    drive, start = case
    z = drive.moment
    shapes = [value.shape for value in start.values()]
    ends = np.cumsum([value.size for value in start.values()])[:-1]

    def rate(_, flat):
        W1, W2, v = (p.reshape(s) for p, s in zip(np.split(flat, ends), shapes, strict=True))
        c = W1 @ z
        parts = (np.outer(W2.T @ v, z), np.outer(v, c), W2 @ c)
        return np.concatenate([part.ravel() for part in parts])

    def far(_, flat):
        return np.linalg.norm(flat) - 1e4

    setattr(far, "terminal", True)  # noqa: B010  (how solve_ivp takes its options)
    flat = np.concatenate([value.ravel() for value in start.values()])
    run = solve_ivp(rate, (0, 100), flat, "DOP853", events=far, rtol=1e-12, atol=1e-13)
    expected = run.t[-1] + np.sqrt(3) / (1.7 * 1e4)
    found = observed(drive.blow_up(start))
    assert found["measured"] == pytest.approx(expected, rel=1e-9)
    assert found["error"] < 1e-10 * expected


def test_the_bounds_are_the_published_page(case):
    """Each bound of the page, typed by hand for three layers."""
    drive, start = case
    at = drive.parameters({**start, "v": np.sign(drive.value(start)) * start["v"]})
    H, norms = at["H"], np.array([at["x_1"], at["x_2"], at["x_3"]])
    carlson = elliprf(*norms**2)
    expected = {
        "tangent_upper": norms @ norms / (3 * H),
        "norm_lower": np.sqrt(3) / (1.7 * np.linalg.norm(norms)),
        "layers_lower": carlson / 1.7,
        "layers_upper": carlson * np.prod(norms) / H,
        "energy_upper": 1.7 ** (-2 / 3) * H ** (-1 / 3),
    }
    found = brackets(3)
    symbols = (found.flow.strength, VALUE, *found.flow.gains)
    for name, value in expected.items():
        bound = numeric(getattr(found, name), symbols)
        assert bound(*(at[str(one)] for one in symbols)) == pytest.approx(value, rel=1e-12)


def test_exponents_of_three_to_five_layers():
    thirds = [sp.Rational(5, 3), sp.Rational(7, 3)]
    assert [TANGENT.subs(L, n) for n in (3, 4, 5)] == [3, 2, thirds[0]]
    assert [ENERGY.subs(L, n) for n in (3, 4, 5)] == [5, 3, thirds[1]]
    assert len(derive()) == 8


@pytest.mark.parametrize("layers", [3, 4, 5])
def test_the_numbers_of_an_attack_are_the_layers(layers):
    drive = Drive.random(layers, 1.0, np.random.default_rng(0))
    numbers = np.random.default_rng(1).normal(size=4 + 4 * (layers - 2))
    signal = numbers[:2]
    for inner in numbers[2:-2].reshape(-1, 2, 2):
        signal = inner @ signal
    at = drive.parameters(layers_of(drive, numbers))
    assert at["H"] == pytest.approx(drive.strength * float(numbers[-2:] @ signal), rel=1e-12)
    assert at["x_1"] == pytest.approx(float(np.linalg.norm(numbers[:2])), rel=1e-12)
    assert at[f"x_{layers}"] == pytest.approx(float(np.linalg.norm(numbers[-2:])), rel=1e-12)
