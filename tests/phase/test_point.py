"""Normalized units against the flow in the original variables."""

from __future__ import annotations

import numpy as np
import pytest

import flowtheory as ft
from flowtheory.errors import ParameterError
from flowtheory.flow.fall import fall
from flowtheory.lower.gradient_flow import two_layer_model
from flowtheory.phase import Point, samples
from flowtheory.precision import float64

DATA = samples("three-points")


@pytest.mark.parametrize(("activation", "eps"), [("relu", 1.0), ("tanh", 0.3), ("z*tanh(z)", 0.5)])
def test_the_end_is_that_of_the_flow_in_the_original_variables(activation, eps):
    """alpha = 1: beta_2 = eps and beta_1 = kappa' eps make it the flow of ft.GradientFlow."""
    p = 2 if "*" in activation else 1
    width, other = 30, 0.2
    beta1 = width**-other * eps
    gamma = -np.log(beta1 * eps**p) / np.log(width)
    point = Point(gamma, other, width, activation, eps)
    rng = np.random.default_rng(3)
    start, seen = point.start(2, rng, paired=True), point.samples(*DATA)
    whole = 0.5 * float(seen.weight) * np.sum(seen.y**2)
    end = fall(two_layer_model(activation, "half_mse"), seen, start, 0.3 * whole, c=0.01)

    flow = ft.GradientFlow(ft.fully_connected(2, activation), loss="half_mse", x=DATA.x, y=DATA.y)
    first = {"W": eps * start.W, "v": beta1 * start.v / point.kappa_prime}
    until = ft.loss_below(0.3 * np.mean(DATA.y**2) / 2)
    run = flow.solve(first, until=until, rtol=1e-9)
    assert run.outcome.ok
    moved = np.linalg.norm(run.params["W"] - first["W"]) / np.linalg.norm(first["W"])
    found = np.linalg.norm(end.params.W - start.W) / np.linalg.norm(start.W)
    assert found == pytest.approx(moved, rel=2e-3)
    # s = kappa tbar, and t = beta_1 beta_2 tbar.
    assert end.time == pytest.approx(run.t_end * point.kappa / (beta1 * eps), rel=2e-3)


def test_pairs_have_the_output_zero():
    point = Point(0.4, -0.3, 10)
    start = point.start(2, np.random.default_rng(0), paired=True)
    with float64():
        outputs = np.asarray(two_layer_model("relu", "half_mse").outputs(start, DATA.x))
    assert np.abs(outputs).max() < 1e-12


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_scales_come_out_of_the_coordinates(activation):
    point = Point(1.4, -0.2, 1000.0, activation)
    assert -np.log(point.kappa) / np.log(1000) == pytest.approx(1.4)
    assert -np.log(point.kappa_prime) / np.log(1000) == pytest.approx(-0.2)


def test_an_odd_width_has_no_pairs():
    point = Point(0.4, -0.3, 11)
    with pytest.raises(ParameterError, match="11 neurons do not come in pairs"):
        point.start(2, np.random.default_rng(0), paired=True)
    assert len(point.start(2, np.random.default_rng(0), paired=False).v) == 11
