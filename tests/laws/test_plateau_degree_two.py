"""The logarithmic plateau: its formula against closed forms, its overlap against matrices."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scipy.linalg import expm

from flowtheory.engine.gradient_flow import GradientFlow
from flowtheory.laws.plateau_degree_two import NETWORKS, ONE, TIME, WIDE, alpha, growth, m, overlap
from flowtheory.laws.samples import regression
from flowtheory.symbolic.expand import SCALE
from flowtheory.symbolic.plateau import DROP, OVERLAP, RATE, passage_time


def test_the_loss_has_fallen_by_delta_then():
    fallen = RATE / 2 * SCALE**2 * OVERLAP * sp.exp(2 * RATE * TIME)
    assert sp.simplify(fallen - DROP) == 0


def test_the_slopes_in_the_scale_and_in_the_width():
    assert sp.simplify(sp.diff(TIME, SCALE) * SCALE + 1 / RATE) == 0
    assert sp.simplify(sp.diff(WIDE, m) * m - (2 * alpha - 1) / (2 * RATE)) == 0
    # The digest's slopes in ln m at its rate: 1.0487 for alpha = 1, 2.0973 for alpha = 3/2.
    rate = 1 / (2 * 1.0487)
    slope = sp.diff(WIDE, m) * m
    assert float(slope.subs({alpha: sp.Rational(3, 2), RATE: rate})) == pytest.approx(
        2.0973, rel=1e-4
    )


def test_one_linear_mode_has_the_published_time_at_a_small_drop():
    # a = w = eps: P = 2 eps^2 in units of the scale 1; the loss falls from s^2/2 to (s - u)^2/2.
    s, start = 1.3, 1e-9
    published = passage_time(2)
    names = {str(symbol): symbol for symbol in published.symbols}
    for end, within in ((1e-3, 2e-3), (1e-5, 2e-5)):
        drop = s**2 / 2 - (s - end) ** 2 / 2
        ours = TIME.subs({RATE: s, SCALE: start, OVERLAP: 2, DROP: drop})
        exact = published.expression.subs(
            {names["s"]: s, names["u_0"]: start**2, names["u_f"]: end}
        )
        assert float(abs(ours - exact)) * s <= within


@pytest.mark.parametrize("name", [ONE, "tanh, two outputs"])
def test_the_overlap_is_what_grows_in_the_linear_flow(name):
    rng = np.random.default_rng(3)
    x, y = regression(rng, 9, 3)
    if name != ONE:
        y = np.column_stack([y, regression(rng, 9, 3)[1]])
    flow = GradientFlow(NETWORKS[name], "half_mse", x=x, y=y)
    start, at = flow.init(seed=rng, width=4), growth(flow)
    moment = np.atleast_2d(y.T) @ x / len(x)  # (outputs, inputs)
    top = np.linalg.svd(moment, compute_uv=False)
    assert at.rate == pytest.approx(top[0], rel=1e-12)
    size, time = moment.shape[0] + moment.shape[1], 40.0
    block = np.zeros((size, size))
    block[: moment.shape[0], moment.shape[0] :] = moment
    step = expm((block + block.T) * time)
    last = np.atleast_2d(start["v"] if "v" in start else start["V"])
    grown = step @ np.vstack([last, start["W"].T])
    assert np.sum(grown**2) * np.exp(-2 * at.rate * time) == pytest.approx(
        overlap(start, at), rel=1e-3
    )
