"""Three layers of tanh: a power of the scale without hidden biases, a logarithm with them."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

import flowtheory as ft

LEFT = 0.95  # of the loss of output 0, at which a run ends


def _data() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(3).standard_normal((10, 2))
    return x, np.sin(x[:, 0]) + 0.5 * x[:, 1] + 0.3


def _times(network: ft.Network, decades: tuple[int, ...]) -> np.ndarray:
    """Of the fall to `LEFT` from starts with the scales 10^-decade in one direction."""
    x, y = _data()
    flow = ft.GradientFlow(network, loss="half_mse", x=x, y=y)
    runs = [
        flow.solve(
            flow.init(scale=10.0**-k, seed=0, width=6),
            until=ft.loss_below(LEFT * float(np.mean(y**2)) / 2),
        )
        for k in decades
    ]
    assert all(run.outcome.ok for run in runs)
    return np.array([run.times[-1] for run in runs])


def test_without_biases_the_time_is_one_over_the_scale():
    """Noted: local exponents tend to -1.10 (theory -1). Here -1 to 1e-8 at 1e-12 and 1e-16."""
    network = ft.fully_connected(3, "tanh")
    assert ft.effective_flow(network, "half_mse").time_exponent == 1
    moderate, far = _times(network, (2, 3)), _times(network, (12, 16))
    exponent = -np.log10(far[1] / far[0]) / 4
    assert exponent == pytest.approx(-1, abs=1e-8)
    # Scales that are not small bend the line, as they did there.
    assert -np.log10(moderate[1] / moderate[0]) < -1.02


def test_with_hidden_biases_the_time_is_a_logarithm_at_the_rate_of_the_mean_label():
    """Noted: dT/d ln(1/eps) = 3.1, 3.2, 2.9 for 1/|mean y| = 2.58. Here equal to 9 digits."""
    network = ft.fully_connected(3, "tanh", biases=(True, True, False))
    flow = ft.effective_flow(network, "half_mse")
    assert (flow.degree, flow.time_exponent) == (2, 0)
    mean = float(np.mean(_data()[1]))
    # The rate at the saddle is |sum of c|/n, c = y for half the square.
    rate, _ = flow.linearization.parts[0]
    numbers = {"n": 10, "cbar": 10 * mean}
    known = {entry: sp.Float(numbers[str(entry)]) for entry in rate.free_symbols}
    assert float(rate.xreplace(known)) == pytest.approx(abs(mean))
    times = _times(network, (64, 128, 256))
    slopes = np.diff(times) / np.log(10) / [64, 128]
    assert slopes == pytest.approx(1 / abs(mean), rel=1e-9)
