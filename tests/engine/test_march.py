"""Deeper networks with kinks: steps through them, first order, with an error that is measured."""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np
import pytest
from engine.problems import data

import flowtheory as ft
from flowtheory import Outcome
from flowtheory.errors import ParameterError
from flowtheory.flow.march import march_through
from flowtheory.flow.smooth import SmoothFlow
from flowtheory.flow.task import Task
from flowtheory.lower.smooth import smooth_functions

x, y = data()
NETWORK = ft.fully_connected(3, "relu")
FLOW = ft.GradientFlow(NETWORK, loss="half_mse", x=x, y=y)
START = FLOW.init(scale=0.4, seed=1, width=6)
END = 3.0


def euler(steps: int) -> dict[str, np.ndarray]:
    energy = smooth_functions(NETWORK, FLOW.loss, "mean").energy

    def step(_: int, params: Any) -> Any:
        force = jax.grad(energy)(params, FLOW.data)
        return {name: params[name] - END / steps * force[name] for name in params}

    with ft.float64():
        start = {name: jax.numpy.asarray(value) for name, value in START.items()}
        end = jax.jit(lambda params: jax.lax.fori_loop(0, steps, step, params))(start)
        return {name: np.asarray(value) for name, value in end.items()}


def distance(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> float:
    off = sum(float(np.sum((a[name] - b[name]) ** 2)) for name in a)
    return math.sqrt(off / sum(float(np.sum(b[name] ** 2)) for name in b))


def test_a_deep_relu_network_against_euler_within_its_error() -> None:
    run = FLOW.solve(START, END)
    assert run.outcome is Outcome.REACHED_T
    assert run.stages[0].method == "midpoint through kinks"
    rough, fine = euler(20_000), euler(40_000)
    extrapolated = {name: 2 * fine[name] - rough[name] for name in fine}
    assert distance(run.params, extrapolated) < run.error_estimate < 1e-2
    assert run.checks.rises == 0
    assert max(run.checks.drifts.values()) < 1e-3


def test_the_error_falls_with_the_step() -> None:
    smooth = SmoothFlow(smooth_functions(NETWORK, FLOW.loss, "mean"), FLOW.data)
    task = Task(smooth, END)
    runs = [march_through(task, START, c=c, progress=None) for c in (0.4, 0.05)]
    assert runs[1].error_estimate < runs[0].error_estimate / 3
    with pytest.raises(ParameterError, match="c is"):
        march_through(task, START, c=0.0, progress=None)


def test_levels_of_the_loss_end_it() -> None:
    run = FLOW.solve(START, until=ft.plateau_left(0.2))
    assert run.outcome is Outcome.EVENT
    assert run.loss[-1] == pytest.approx(0.8 * FLOW.plateau(START), rel=1e-6)
    assert run.error_estimate < 1e-2 * run.t_end


def test_logarithmic_time_is_another_clock_of_the_same_path() -> None:
    plain, logarithmic = (FLOW.solve(START, END, log_time=b) for b in (False, True))
    assert logarithmic.t_end == END
    off = distance(logarithmic.params, plain.params)
    assert off <= logarithmic.error_estimate + plain.error_estimate < 2e-2
