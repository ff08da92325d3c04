"""The blow-up of derived flows: closed forms, enclosures that hold, exponents, bounds of H."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import flowtheory as ft
from flowtheory import Outcome
from flowtheory.errors import ParameterError
from flowtheory.flow.blowup import tangent_bracket
from flowtheory.lower import LeadingBlowUp, blow_up, numeric
from flowtheory.symbolic.blowup import aligned_neuron
from flowtheory.symbolic.brackets import SelfSimilar

WIDTHS = (3, 5, 4, 3)


def make(layers, activation, **options):
    network = ft.fully_connected(layers, activation, **options)
    return LeadingBlowUp(ft.effective_flow(network, "half_square"))


@pytest.fixture(scope="module")
def three():
    return make(3, "tanh")


@pytest.fixture(scope="module")
def four():
    return make(4, "tanh")


def data(seed, dimension=3, samples=8):
    rng = np.random.default_rng(seed)
    return {"x": rng.normal(size=(samples, dimension)), "y": rng.normal(size=samples)}


def gaussian(solver, seed, widths=WIDTHS):
    """Gaussian parameters with these widths of the layers before the output."""
    rng = np.random.default_rng(100 + seed)
    names = [str(base) for base in solver.flow.network.bases]
    inner = [(b, a) for a, b in pairwise(widths)][: len(names) - 1]
    shapes = [*inner, (widths[len(names) - 1],)]
    return {name: rng.normal(size=shape) for name, shape in zip(names, shapes, strict=True)}


def unit(n, seed):
    v = np.random.default_rng(seed).normal(size=n)
    return v / np.linalg.norm(v)


def aligned(solver, given, gains):
    """Rank-one layers along the moment, with these signed gains."""
    moment = given["y"] @ given["x"]
    ends = [moment / np.linalg.norm(moment), *(unit(n, 7 + n) for n in WIDTHS[1:])]
    names = [str(base) for base in solver.flow.network.bases]
    inner = zip(gains, ends, ends[1:], strict=False)
    layers = [g * np.outer(b, a) for g, a, b in inner][: len(names) - 1]
    return dict(zip(names, [*layers, gains[-1] * ends[len(names) - 1]], strict=True))


@pytest.mark.parametrize("gains", [(0.4, 0.9, 1.3), (-0.3, 0.7, 0.9), (0.9, -0.2, 1.1)])
def test_aligned_layers_blow_up_at_the_derived_time(three, gains):
    given = data(0)
    run = three(aligned(three, given, gains), given)
    aligned_flow = three.flow.blow_up
    fate = aligned_flow.escape([*gains])
    assert fate.fate.ok
    strength = np.linalg.norm(given["y"] @ given["x"])
    exact = numeric(fate.time, (aligned_flow.strength,))(strength)
    assert run.outcome is Outcome.BLEW_UP
    assert run.blow_up_time.estimate == pytest.approx(exact, rel=1e-11)
    assert run.blow_up_time.low <= exact <= run.blow_up_time.high
    assert run.blow_up_time.high - run.blow_up_time.low < 1e-10 * exact


def test_gaussian_starts_blow_up_and_are_enclosed(three):
    """All of them, those with H < 0 included; the bounds hold for a value known better."""
    negative = 0
    for seed in range(20):
        given, params = data(seed), gaussian(three, seed)
        moment = given["y"] @ given["x"]
        value = params["v"] @ params["W2"] @ params["W1"] @ moment
        negative += value < 0
        coarse = three(params, given, rtol=1e-6, gain=4.0)
        fine = three(params, given, rtol=1e-12, gain=12.0, check=False)
        assert coarse.outcome is fine.outcome is Outcome.BLEW_UP
        assert coarse.end.low <= fine.end.estimate <= coarse.end.high
        assert fine.end.estimate == pytest.approx(three(params, given).end.estimate, rel=2e-11)
        # (iii) of the start, which needs no H > 0, and (iv), which does.
        norms = [np.linalg.norm(params["W1"] @ moment) / np.linalg.norm(moment)]
        norms += [np.linalg.norm(params["W2"]), np.linalg.norm(params["v"])]
        lowers, uppers = three._bounds
        at = (np.linalg.norm(moment), abs(value), *norms)
        assert lowers[1](*at) <= fine.blow_up_time.estimate
        if value > 0:
            assert fine.blow_up_time.estimate <= uppers[2](*at)
    assert 4 <= negative <= 16


def test_any_scale_at_one_cost(three):
    given, params = data(1), gaussian(three, 1)
    runs = [
        three({name: eps * value for name, value in params.items()}, given)
        for eps in (1e-6, 1e-300)
    ]
    assert runs[1].evaluations <= 1.05 * runs[0].evaluations
    assert 1e-294 * runs[1].blow_up_time.estimate == pytest.approx(
        runs[0].blow_up_time.estimate, rel=1e-11
    )


def slopes(solver, given, params, gains, bracket):
    """The exponent of T_up - T* in T* - t from ends of runs that stop at several gains."""
    best = solver(params, given, rtol=1e-13, gain=14.0, check=False).end.estimate
    options = {"rtol": 1e-13, "check": False} | ({"bracket": bracket} if bracket else {})
    runs = [solver(params, given, gain=g, **options) for g in gains]
    left, excess = zip(*((best - r.time, r.end.estimate - best) for r in runs), strict=True)
    return np.polyfit(np.log(left), np.log(excess), 1)[0]


def test_extrapolation_exponents(three, four):
    """1 + 2/(k-2) for the tangent, 1 + 4/(k-2) for the energy bound."""
    for solver, gains in ((three, (2.0, 2.4, 2.8, 3.2)), (four, (1.8, 2.2, 2.6, 3.0))):
        given, params = data(3), gaussian(solver, 3)
        ending = SelfSimilar(solver.flow.blow_up)
        k = solver.flow.degree
        energy = slopes(solver, given, params, gains, None)
        assert energy == pytest.approx(float(ending.energy_exponent), abs=0.2)
        later = [g + 1.5 for g in gains]
        tangent = slopes(solver, given, params, later, tangent_bracket(k))
        assert tangent == pytest.approx(float(ending.tangent_exponent), abs=0.15)


def test_the_end_is_self_similar(four):
    """|theta| and the misalignment, from the formulas of the symbolic layer."""
    given, params = data(5), gaussian(four, 5)
    ending = SelfSimilar(four.flow.blow_up)
    strength = np.linalg.norm(given["y"] @ given["x"])
    best = four(params, given, gain=12.0).end.estimate
    runs = [four(params, given, gain=g, check=False) for g in (3.0, 5.0)]
    misaligned = []
    moment = given["y"] @ given["x"] / strength
    for run in runs:
        left = (best - run.time) * np.exp(run.log_unit)
        symbols = (four.flow.blow_up.strength, *ending.gains[0].free_symbols)
        symbols = sorted(set(symbols), key=lambda s: str(s) != "C")
        layers = [numeric(gain, symbols)(strength, left) for gain in ending.gains]
        norm = np.exp(run.polar.log_norm)
        assert norm == pytest.approx(np.linalg.norm(layers), rel=30 * np.exp(-2 * run.gain))
        W = run.polar.direction["W1"]
        misaligned.append(1 - np.sum((W @ moment) ** 2) / np.sum(W**2))
    decay = np.log(misaligned[0] / misaligned[1]) / np.log(
        (best - runs[0].time) / (best - runs[1].time)
    )
    assert decay == pytest.approx(float(ending.misalignment_exponent), abs=0.05)


def test_neurons_of_multiplicity_two_have_times_of_their_own():
    """One input: H = sum_j h w_j^2 a_j; the smallest T*_j is that of the network."""
    solver = make(2, "z*tanh(z)")
    rng = np.random.default_rng(2)
    given = {"x": rng.normal(size=(6, 1)), "y": np.abs(rng.normal(size=6))}
    strength = float(given["y"] @ given["x"][:, 0] ** 2)
    neuron = aligned_neuron(2)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        params = {"W": rng.normal(size=(4, 1)), "v": rng.normal(size=4)}
        escapes = [
            neuron.escape([w, a]) for w, a in zip(params["W"][:, 0], params["v"], strict=True)
        ]
        times = [
            numeric(e.time, (neuron.strength,))(strength) if e.fate.ok else np.inf for e in escapes
        ]
        run = solver(params, given)
        assert run.blow_up_time.estimate == pytest.approx(min(times), rel=1e-9)
        assert run.blow_up_time.low <= min(times) <= run.blow_up_time.high
    dead = {"W": np.array([[0.3], [0.0], [-0.2], [0.1]]), "v": np.array([-0.6, -1.0, -0.4, -0.9])}
    assert solver(dead, given).outcome is Outcome.NOT_DETECTED


def test_three_layers_of_multiplicity_two():
    """k = 7: one neuron a layer, H = C w_1^4 w_2^2 v."""
    solver = make(3, "z*tanh(z)")
    given = {"x": np.array([[1.0], [-0.7]]), "y": np.array([0.8, 1.1])}
    params = {"W1": np.array([[0.9]]), "W2": np.array([[0.5]]), "v": np.array([0.7])}
    flow = solver.flow.blow_up
    strength = float(given["y"] @ given["x"][:, 0] ** 4)
    exact = numeric(flow.blow_up_time, (flow.strength, *flow.gains))(strength, 0.9, 0.5, 0.7)
    run = solver(params, given)
    assert solver.ceiling(given).value == pytest.approx(strength, rel=1e-12)
    assert run.blow_up_time.estimate == pytest.approx(exact, rel=1e-10)
    assert run.blow_up_time.low <= exact <= run.blow_up_time.high


@pytest.mark.parametrize(
    ("layers", "activation", "options", "attained"),
    [
        (3, "tanh", {}, True),
        (3, "identity", {"output": "vector"}, True),
        (2, "z*tanh(z)", {}, True),
        (2, "z**2*tanh(z)", {}, False),
        (3, "z*tanh(z)", {}, False),
    ],
)
def test_the_ceiling_bounds_the_potential(layers, activation, options, attained):
    """Ascent of |H| on the product of spheres comes up to it from below."""
    solver = make(layers, activation, **options)
    rng = np.random.default_rng(4)
    given = {"x": rng.normal(size=(6, 2)), "y": rng.normal(size=6)}
    if options:
        given["y"] = rng.normal(size=(6, 2))
    ceiling = solver.ceiling(given)
    shapes = {"W": (3, 2), "W1": (3, 2), "W2": (3, 3), "v": (3,), "V": (2, 3)}
    names = [str(base) for base in solver.flow.network.bases]
    degrees = solver.flow.layer_degrees
    best = 0.0
    field = solver._lowered
    with ft.float64():
        prepared = field.prepare(**given)
        for _ in range(6):
            params = {name: rng.normal(size=shapes[name]) for name in names}
            for _ in range(60):
                params = {n: p / np.linalg.norm(p) for n, p in params.items()}
                rates = {n: np.asarray(r) for n, r in field(params, prepared).items()}
                value = np.sum(rates[names[-1]] * params[names[-1]]) / degrees[names[-1]]
                assert abs(value) <= ceiling.value * (1 + 1e-12)
                best = max(best, abs(value))
                sign = np.sign(value)
                params = {n: params[n] + sign * rates[n] / ceiling.value for n in names}
    assert best > (0.999 if attained else 0.3) * ceiling.value


def test_the_function_keeps_what_it_derived(three):
    given, params = data(2), gaussian(three, 2)
    run = blow_up(three.flow, params, data=given)
    assert run.end.estimate == three(params, given).end.estimate


def test_flows_without_blow_up_are_refused():
    for layers, activation in ((2, "tanh"), (3, "relu")):
        eff = ft.effective_flow(ft.fully_connected(layers, activation), "half_square")
        with pytest.raises(ParameterError, match="degree"):
            blow_up(eff, {}, data={})
    with pytest.raises(ParameterError, match="W1, W2, v is missing"):
        make(3, "tanh")({}, data(0))


def test_wide_layers_run_as_narrow_ones(three, monkeypatch):
    """The same times, directions and growth as in full width, at any scale."""
    given = data(9)
    rng = np.random.default_rng(9)
    shapes = {"W1": (60, 3), "W2": (50, 60), "v": (50,)}
    params = {name: rng.normal(size=shape) / 8 for name, shape in shapes.items()}
    narrow = three(params, given)
    tiny = three({name: 1e-300 * value for name, value in params.items()}, given)
    level = np.log(1e6)
    with monkeypatch.context() as patch:
        patch.setattr("flowtheory.lower.blowup._WIDE", 10**9)
        full = three(params, given)
        peer = three(
            params,
            three.prepare(given),
            gain=narrow.polar.log_norm - full.polar.log_norm + full.gain,
        )
    assert narrow.moving_share < 0.9
    assert full.moving_share == 1.0
    for found, unit in ((narrow, 1.0), (tiny, 1e-300)):
        time = unit * found.blow_up_time.estimate
        assert time == pytest.approx(full.blow_up_time.estimate, rel=2e-11)
    growth, expected = narrow.time_of_growth(level), full.time_of_growth(level)
    scale = np.exp(narrow.log_unit - full.log_unit)
    assert scale * growth.estimate == pytest.approx(expected.estimate, rel=2e-11)
    # Both follow one curve of parameters: the later point, taken back by its misalignment.
    for name, value in narrow.polar.direction.items():
        np.testing.assert_allclose(value, peer.polar.direction[name], atol=1e-3)
    at_start = three(params, given, gain=1.0, horizon=1.0, check=False)
    assert at_start.outcome is Outcome.NOT_DETECTED


def test_parameters_that_do_not_move_leave_the_bounds_as_they_are():
    """Biases are not in the leading part of tanh: the same time, with bounds as tight."""
    given = data(11)
    biased = make(3, "tanh", biases=True)
    assert set(map(str, biased.flow.network.bases)) - set(biased.moving)
    rng = np.random.default_rng(11)
    widths = {"W1": (5, 3), "W2": (4, 5), "v": (4,), "b1": (5,), "b2": (4,), "b": ()}
    names = {str(base): len(base.shape or ()) for base in biased.flow.network.bases}
    params = {name: rng.normal(size=widths.get(name, (1,) * rank)) for name, rank in names.items()}
    run = biased(params, given)
    residual = given["y"] - given["y"].mean()
    plain = make(3, "tanh")
    moving = {name: params[name] for name in plain.moving}
    same = plain(moving, {"x": given["x"], "y": residual})
    assert run.blow_up_time.estimate == pytest.approx(same.blow_up_time.estimate, rel=1e-11)
    assert run.end.high - run.end.low < 1e-10 * run.end.estimate


def test_multiplicity_two_in_three_layers_against_plain_time():
    """H = sum_i y_i v.(W2 (W1 x_i)^2)^2 by SciPy until .9 T*: the same end from there."""
    solver = make(3, "z*tanh(z)")
    given, params = data(6), gaussian(solver, 6)
    shapes = [params[name].shape for name in ("W1", "W2", "v")]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]

    def split(flat):
        return [part.reshape(s) for part, s in zip(np.split(flat, ends), shapes, strict=True)]

    def rate(_, flat):
        W1, W2, v = split(flat)
        first = given["x"] @ W1.T
        second = first**2 @ W2.T
        back = 2 * given["y"][:, None] * v * second
        below = 2 * (back @ W2) * first
        parts = (below.T @ given["x"], back.T @ first**2, given["y"] @ second**2)
        return np.concatenate([part.ravel() for part in parts])

    run = solver(params, given)
    assert run.outcome is Outcome.BLEW_UP
    flat = np.concatenate([params[name].ravel() for name in ("W1", "W2", "v")])
    later = 0.9 * run.blow_up_time.estimate
    plain = solve_ivp(rate, (0.0, later), flat, "DOP853", rtol=1e-12, atol=1e-13)
    there = dict(zip(("W1", "W2", "v"), split(plain.y[:, -1]), strict=True))
    rest = solver(there, given).blow_up_time
    assert later + rest.estimate == pytest.approx(run.blow_up_time.estimate, rel=1e-9)
    value = plain.y[:, -1] @ rate(0.0, plain.y[:, -1]) / 7
    assert rest.estimate <= np.sum(plain.y[:, -1] ** 2) / (35 * value) * (1 + 1e-12)
