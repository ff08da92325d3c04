"""Modes that grow unseen beside modes that rest: step limit, rate of growth, rounding.

The reference is the solution of the matrix Riccati equation of $BA \\to S$ in many digits: with
$Q = (A^T; B)$ and $F = (0, S^T; S, 0)$,
$QQ^T(t) = e^{Ft}Q_0(1 + Q_0^T(e^{Ft}F^{-1}e^{Ft} - F^{-1})Q_0/2)^{-1}Q_0^Te^{Ft}$.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from flowtheory import Outcome, float64
from flowtheory.flow import Settings
from flowtheory.flow import drive as drive_module
from flowtheory.flow.descend import descend
from flowtheory.flow.dormant import GROWTH, Limits, dormant, fastest, moves, reach
from flowtheory.flow.groups import neuron_sizes
from flowtheory.flow.rock4 import DEGREES
from flowtheory.flow.settings import METHODS, PAIRS, STABILISED, Fixed, Method
from flowtheory.flow.smooth import Functions, SmoothFlow
from flowtheory.flow.stages import SCHEMES
from flowtheory.flow.stepper import stepper
from flowtheory.flow.until import loss_below

RANK = 3


def energy(params: Any, data: Any) -> Any:
    return jnp.sum((params["B"] @ params["A"] - data["S"]) ** 2) / 2


def outputs(params: Any, data: Any) -> Any:
    return params["B"] @ params["A"]


# A mode shares its neurons with the others: its own row of B would have a tolerance of its own.
FUNCTIONS = Functions(energy, outputs, neuron_sizes((("A", 0, "h"), ("B", 1, "h"))))


def start(scale: float, turn: np.ndarray | None = None) -> dict[str, np.ndarray]:
    unit = np.random.default_rng(3).standard_normal((RANK, 2))
    return {"A": scale * unit @ (np.eye(2) if turn is None else turn.T), "B": np.zeros((2, RANK))}


def passage(S: Sequence[float], scale: float, level: float, near: float) -> float:
    """The time at which the loss is `level`, from the start in the frame of the coordinates."""
    n, A = len(S), start(scale)["A"]
    with mp.workdps(60 + int(4 * S[0] * near / np.log(10))):
        first = mp.matrix(np.vstack([A.T, np.zeros((n, RANK))]).tolist())

        def excess(t: Any) -> Any:
            E, G = mp.matrix(2 * n, 2 * n), mp.matrix(2 * n, 2 * n)
            for i, s in enumerate(map(mp.mpf, S)):
                j = n + i
                E[i, i] = E[j, j] = mp.cosh(s * t)
                E[i, j] = E[j, i] = mp.sinh(s * t)
                G[i, i] = G[j, j] = mp.sinh(2 * s * t) / s / 2
                G[i, j] = G[j, i] = (mp.cosh(2 * s * t) - 1) / s / 2
            moved = E * first
            Z = moved * mp.inverse(mp.eye(RANK) + first.T * G * first) * moved.T
            off = [Z[n + i, j] - (S[i] if i == j else 0) for i in range(n) for j in range(n)]
            return mp.fsum(d**2 for d in off) / 2 - mp.mpf(level)

        around = (mp.mpf(near) * mp.mpf("0.98"), mp.mpf(near) * mp.mpf("1.01"))
        return float(mp.findroot(excess, around, solver="anderson", tol=mp.mpf(10) ** -30))


def solved(S: Sequence[float], scale: float, method: Method, turn: np.ndarray | None = None) -> Any:
    """Time at which half of the second mode is learned, and its error estimate."""
    target = np.diag(S) if turn is None else turn @ np.diag(S) @ turn.T
    flow = SmoothFlow(FUNCTIONS, {"S": target})
    settings = Settings(rtol=1e-8, method=method)
    run = descend(flow, start(scale, turn), until=loss_below(S[1] ** 2 / 8), settings=settings)
    assert run.outcome is Outcome.EVENT
    return run


@pytest.mark.parametrize("method", [m for m in METHODS if m != "rkc2"])
def test_the_second_mode_is_in_time(method: Method) -> None:
    """It rests at 1e-20 or 1e-60 in neurons that the first one has filled.

    Not with RKC2: of order 2, it takes thousands of steps an e-fold.
    """
    for S, scale in (((2.0, 1.0), 1e-20), ((2.0, 0.1), 1e-20), ((2.0, 1.0), 1e-60)):
        run = solved(S, scale, method)
        error = abs(run.t_end - passage(S, scale, S[1] ** 2 / 8, run.t_end))
        assert error < 2e-8 * run.t_end
        assert error < 3 * run.error_estimate + 1e-9 * run.t_end


def test_without_the_limit_it_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: stability alone limits the step, and no error estimate sees it."""
    monkeypatch.setattr(drive_module, "reach", lambda method, rtol: np.inf)
    run = solved((2.0, 0.5), 1e-20, "rock4")
    error = abs(run.t_end - passage((2.0, 0.5), 1e-20, 0.125 / 4, run.t_end))
    assert error > 1e-4 * run.t_end


def test_rounding_is_in_the_error_estimate() -> None:
    """In a turned frame 1e-20 beside 1 in one number is lost; the time is then uncertain."""
    c, s = np.cos(0.7), np.sin(0.7)
    turn, S = np.array([[c, -s], [s, c]]), (2.0, 0.4)
    errors = []
    for scale in (1e-6, 1e-14, 1e-16, 1e-18):
        run = solved(S, scale, "dopri8", turn)
        errors.append(abs(run.t_end - passage(S, scale, S[1] ** 2 / 8, run.t_end)))
        assert errors[-1] < 3 * run.error_estimate
    assert errors[0] < 1e-8
    assert errors[-1] > 1e-3  # with a rounding error of 1e-16 beside 1e-14, none from the steps
    # Below that the mode is nothing but rounding errors, and the time is anybody's guess.
    assert solved(S, 1e-24, "dopri8", turn).error_estimate == np.inf


@pytest.mark.parametrize("method", list(GROWTH))
def test_rates_of_growth(method: Fixed) -> None:
    """$|ln R(z) - z| <= C z^(p+1)$ for every member, and no smaller C would do by far."""
    order, constant = GROWTH[method]
    sharp = 0.0
    with float64():
        for z in (0.3, 0.5, 0.7, 1.0):
            if method in PAIRS:
                steps = stepper(method, lambda s, y: y, lambda y: y)
                one = jnp.ones(1)
                carried = steps.first(jnp.asarray(0.0), jnp.asarray(z), one, None)
                ends = [steps.step(jnp.asarray(0.0), jnp.asarray(z), one, carried, None)[0]]  # type: ignore[arg-type]
            else:
                assert method in STABILISED
                scheme, one = SCHEMES[method], jnp.ones(1)
                members = DEGREES if method == "rock4" else (2, 3, 10, 100)
                ends = [
                    scheme.step(lambda y: y, one, one, jnp.asarray(z), jnp.asarray(m)).y
                    for m in members
                ]
            off = [abs(float(np.log(end[0])) - z) / z ** (order + 1) for end in ends]
            sharp = max(sharp, *off)
    assert 0.5 * constant < sharp <= constant


def test_reach() -> None:
    for method in GROWTH:
        spans = [reach(method, rtol) for rtol in (1e-12, 1e-10, 1e-8, 1e-2)]
        assert spans == sorted(spans)
        assert spans[-1] <= 1
        # A mode that grows alone, as far in a step as it may, is not taken for rest.
        assert all(moves(method, rtol) < reach(method, rtol) for rtol in (1e-12, 1e-8, 1e-2))
    assert reach("rock4", 1e-8) < reach("tsit5", 1e-8) < reach("dopri8", 1e-8)


@pytest.mark.parametrize(
    "spectrum",
    [
        np.array([0.3]),
        np.array([-4.0, 0.1]),
        np.concatenate([-np.geomspace(1e-6, 10, 60), [0.05]]),
        np.concatenate([-np.geomspace(1e-6, 10, 60), [0.5, 0.49, 0.2]]),
    ],
)
def test_fastest(spectrum: np.ndarray) -> None:
    rng = np.random.default_rng(7)
    frame = np.linalg.qr(rng.standard_normal((len(spectrum),) * 2))[0]
    J = frame * spectrum @ frame.T
    with float64():
        limits = Limits(0.01, 1e-3, 80)
        value, vector, products = fastest(lambda v: jnp.asarray(J) @ v, jnp.zeros(len(J)), limits)
    assert float(value) == pytest.approx(spectrum.max(), rel=0.05)
    assert np.linalg.norm(vector) == pytest.approx(1)
    vector = np.asarray(vector)
    assert vector @ J @ vector == pytest.approx(float(value))
    assert int(products) <= 80


def test_dormant_at_a_saddle() -> None:
    """Half of the first mode's strength in each of A and B: what grows is the second, at its s."""
    S = np.diag([2.0, 0.7])
    A, B = np.zeros((RANK, 2)), np.zeros((2, RANK))
    A[0, 0] = B[0, 0] = np.sqrt(2.0)
    A[1, 1] = 1e-30
    found = dormant(FUNCTIONS, {"A": A, "B": B}, {"S": S})
    assert found.rate == pytest.approx(0.7, rel=0.01)
    assert found.along == pytest.approx(0.7e-30 / np.sqrt(2), rel=0.05)
    assert found.lost < 1e-12  # exact zeros beside it: nothing is lost
    A[1, 1] = B[1, 1] = np.sqrt(0.7)
    done = dormant(FUNCTIONS, {"A": A, "B": B}, {"S": S})
    assert done.rate == 0
    assert done.lost == 0
