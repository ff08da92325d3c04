"""Log-norm and direction of each neuron: relative accuracy of all of them, at any scale."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from engine.problems import data, start, tanh_flow

import flowtheory as ft
from flowtheory import Outcome
from flowtheory.errors import ParameterError
from flowtheory.flow.polar import SPAN, homogeneous
from flowtheory.flow.settings import Settings
from flowtheory.judge.fit import fit_slope

NEURONS = Settings(coordinates="neurons")
PLAIN = Settings(coordinates="plain")
SAID = "in log-norm and direction, neuron by neuron"


def uneven(small: float) -> tuple[ft.GradientFlow, dict[str, np.ndarray]]:
    """One neuron of order 1, two of the order of `small` (and its square root), one at zero."""
    x, y = np.array([[1.0, 0.2], [-0.4, 0.9], [0.3, -1.1]]), np.array([1.0, -0.5, 0.3])
    flow = ft.GradientFlow(ft.fully_connected(2, "tanh"), loss="half_mse", x=x, y=y)
    sizes = np.array([1.0, small, np.sqrt(small), 0.0])
    W = np.array([[0.7, -0.4], [0.5, 0.8], [-0.3, 0.6], [1.0, 1.0]])
    v = np.array([0.6, -0.9, 0.4, 1.0])
    return flow, {"W": W * sizes[:, None], "v": v * sizes}


def by_mpmath(flow: ft.GradientFlow, first: dict[str, np.ndarray], end: float) -> Any:
    """All neurons in units of their own start, by Taylor series."""
    x, y = flow.data["x"], flow.data["y"]
    largest = np.maximum(np.abs(first["W"]).max(axis=1), np.abs(first["v"]))
    sizes = [mpmath.mpf(float(size)) for size in largest]
    live = [k for k, size in enumerate(sizes) if size > 0]

    def force(_: Any, state: list[Any]) -> list[Any]:
        theta = [[a * sizes[k] for a in state[3 * i : 3 * i + 3]] for i, k in enumerate(live)]
        tanh = [[mpmath.tanh(a * p + b * q) for p, q in x.tolist()] for a, b, _ in theta]
        outputs = [sum(t[2] * s[i] for t, s in zip(theta, tanh, strict=True)) for i in range(3)]
        left = [(mpmath.mpf(float(a)) - f) / 3 for a, f in zip(y, outputs, strict=True)]
        found: list[Any] = []
        for k, t, s in zip(live, theta, tanh, strict=True):
            slope = [left[i] * t[2] * (1 - s[i] ** 2) for i in range(3)]
            rates = [sum(slope[i] * float(x[i, a]) for i in range(3)) for a in range(2)]
            found += [r / sizes[k] for r in (*rates, sum(left[i] * s[i] for i in range(3)))]
        return found

    begin: list[Any] = []
    for k in live:
        begin += [mpmath.mpf(float(a)) / sizes[k] for a in (*first["W"][k], first["v"][k])]
    state = mpmath.odefun(force, 0, begin, tol=mpmath.mpf(10) ** -14)(end)
    return live, [[a * sizes[k] for a in state[3 * i : 3 * i + 3]] for i, k in enumerate(live)]


def test_neurons_of_1e_minus_250_beside_one_of_order_one_against_mpmath() -> None:
    flow, first = uneven(1e-250)
    run = flow.solve(first, 2.0, rtol=1e-11)
    assert [stage.method for stage in run.stages] == [f"dopri8 {SAID}"]
    assert "1 of them zero for ever" in run.stages[0].why
    with mpmath.workdps(25):
        live, exact = by_mpmath(flow, first, 2.0)
        assert live == [0, 1, 2]
        for k, theta in zip(live, exact, strict=True):
            found = (*run.params["W"][k], run.params["v"][k])
            size = mpmath.sqrt(mpmath.fsum(a**2 for a in theta))
            off = max(abs(mpmath.mpf(float(a)) - b) for a, b in zip(found, theta, strict=True))
            assert off < 1e-9 * size
    assert not np.any(run.params["W"][3])
    assert run.params["v"][3] == 0.0
    assert run.checks.energy < 1e-9
    assert run.checks.rises == 0


def test_a_plateau_from_1e_minus_300_costs_what_one_from_1e_minus_6_does() -> None:
    """By default within a factor 3; in these coordinates alone, whose directions are stiff, 6."""
    until, flow = ft.plateau_left(0.2), tanh_flow()
    for seed in range(3):
        found = {}
        for eps in (1e-6, 1e-300):
            first = flow.init(scale=eps, seed=seed, width=12)
            options: dict[str, Any] = {"settings": NEURONS, "estimate": False, "skip": False}
            alone, default = (flow.solve(first, until=until, **given) for given in (options, {}))
            assert alone.outcome is Outcome.EVENT
            assert alone.checks.energy < 1e-6
            assert alone.t_end == pytest.approx(default.t_end, rel=1e-9)
            found[eps] = [run.statistics.evaluations for run in (alone, default)]
        assert found[1e-300][0] < 6 * found[1e-6][0]
        assert found[1e-300][1] < 3 * min(found[1e-6])


def test_the_order_of_the_steps_is_not_lower() -> None:
    # Loose tolerances, so that the save times alone cut the steps.
    end, counts = 6.0, np.arange(6, 15)
    exact = tanh_flow().solve(start(0.5), end, rtol=1e-13, estimate=False, save="norms")
    slopes = {}
    for settings in (PLAIN, NEURONS):
        off = []
        for n in counts:
            times = np.linspace(0, end, int(n) + 1)[1:]
            options: dict[str, Any] = {"rtol": 1e-2, "estimate": False, "save": "norms"}
            run = tanh_flow().solve(start(0.5), end, times=times, settings=settings, **options)
            off.append(max(np.abs(run.params[k] - exact.params[k]).max() for k in exact.params))
        logs = np.log(end / counts), np.log(np.array(off))
        slopes[settings] = fit_slope(*logs, name="order", predicted=8, remainder=0.1).value
    assert slopes[NEURONS] > 7
    assert slopes[NEURONS] > slopes[PLAIN] - 1


def linear(params: Any, x: Any) -> Any:
    return x @ params["a"]


def test_where_they_are_used() -> None:
    flow = tanh_flow()
    axes = homogeneous(flow._smooth, start(1.0))
    assert axes == (("W", 0, "h"), ("v", 0, "h"))
    # The first layer of three can pass through zero; output weights cannot leave it.
    x, y = data()
    three = ft.GradientFlow(ft.fully_connected(3, "tanh"), loss="half_mse", x=x, y=y)
    found = homogeneous(three._smooth, three.init(scale=1e-9, width=3))
    assert {name for name, _, _ in found} == {"W2", "v"}
    pairs = ft.GradientFlow(ft.network("matrix-factorization", 2), "half_square", y=x[:4])
    assert homogeneous(pairs._smooth, pairs.init(width=3)) == (("W", 0, "h"), ("V", 1, "h"))
    own = ft.GradientFlow(linear, "half_mse", x=x, y=y)
    with pytest.raises(ParameterError, match="homogeneous"):
        own.solve({"a": np.ones(3)}, 1.0, settings=NEURONS)
    with pytest.raises(ParameterError, match="coordinates"):
        Settings(coordinates="polar")  # type: ignore[arg-type]
    for share, used in ((1.0, False), (SPAN / 10, True)):
        params = start(0.1)
        for tensor in params.values():
            tensor[0] = share * tensor[0]
        run = flow.solve(params, 0.5, skip=False, estimate=False, save="norms")
        assert (SAID in run.stages[0].method) is used
