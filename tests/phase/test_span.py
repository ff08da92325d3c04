"""Few inputs in many dimensions: the same run in the span of the inputs."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from flowtheory.flow.fall import fall
from flowtheory.lower.gradient_flow import two_layer_model
from flowtheory.phase import Point
from flowtheory.phase.span import fall_in_span


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_run_is_that_in_all_dimensions(activation):
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((3, 7)), np.array([0.7, -0.4, 0.9])
    x[2] = x[0] + x[1]  # and the span has fewer dimensions still
    point = Point(1.2, 0.1, 20, activation, 1.0)
    start, seen = point.start(7, rng, paired=True), point.samples(x, y)
    level = 0.1 * 0.5 * float(seen.weight) * float(np.sum(seen.y**2))
    model = two_layer_model(activation, "half_mse")
    whole, found = (
        one(model, seen, start, level, c=0.5, max_steps=10**5) for one in (fall, fall_in_span)
    )
    assert found.steps == whole.steps > 20
    assert found.outcome is whole.outcome
    for a, b in zip(jax.tree.leaves(found.params), jax.tree.leaves(whole.params), strict=True):
        assert a == pytest.approx(b, abs=1e-9)
    assert found.time == pytest.approx(whole.time, rel=1e-9)
    assert tuple(found.farthest) == pytest.approx(tuple(whole.farthest), rel=1e-9)
    # What no input sees stays.
    unseen = np.linalg.svd(x)[2][2:]
    np.testing.assert_allclose(found.params.W @ unseen.T, start.W @ unseen.T, atol=1e-13)
