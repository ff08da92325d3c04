"""The direction field of a neuron of the plane, against differences of H and extrema of H."""

from __future__ import annotations

import numpy as np
import pytest

from flowtheory.errors import DataError, ParameterError
from flowtheory.phase import field_panels, plane_field, samples
from flowtheory.symbolic import Stability

X, Y = samples("three-points")
ANGLES = np.linspace(-np.pi, np.pi, 200_001)[:-1]
FORMS = {
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.maximum(z, 0) + 0.01 * np.minimum(z, 0),
    "tanh": lambda z: z,
    "z*tanh(z)": lambda z: z**2,
    "-z*tanh(z)": lambda z: -(z**2),
    "z**2*tanh(z)": lambda z: z**3,
}


def potential(name, w):
    return FORMS[name](w @ X.T) @ Y / len(Y)


def unit(angles):
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


@pytest.mark.parametrize("name", FORMS)
def test_the_field_is_the_gradient_of_the_leading_form(name):
    w = np.random.default_rng(0).standard_normal((200, 2))
    h = 1e-6
    steps = [(potential(name, w + h * e) - potential(name, w - h * e)) / (2 * h) for e in np.eye(2)]
    found = plane_field(X, Y, name).rate(w)
    np.testing.assert_allclose(found, np.stack(steps, axis=1), atol=1e-8)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("sign", [1, -1])
def test_directions_at_rest_are_the_extrema_on_the_circle(name, sign):
    values = sign * potential(name, unit(ANGLES))
    before, after = values - np.roll(values, 1), np.roll(values, -1) - values
    flat = 1e-13
    extrema = {
        Stability.STABLE: ANGLES[(before > flat) & (after < -flat)],
        Stability.UNSTABLE: ANGLES[(before < -flat) & (after > flat)],
    }
    own = [one for one in plane_field(X, Y, name).orientations if one.sign == sign]
    assert len(own) == sum(map(len, extrema.values())) > 0
    for stability, angles in extrema.items():
        found = [one for one in own if one.stability is stability]
        assert len(found) == len(angles)
        for one in found:
            assert np.max(unit(angles) @ one.direction) > 1 - 1e-8
            assert one.value == pytest.approx(float(potential(name, one.direction)), abs=1e-12)


def test_negative_output_weights_slide_along_kinks_and_shrink():
    """Data A: with s = -1 the direction rests on the kinks of the two positive labels."""
    stable = [
        one
        for one in plane_field(X, Y).orientations
        if one.sign < 0 and one.stability is Stability.STABLE
    ]
    found = sorted(np.arctan2(one.direction[1], one.direction[0]) for one in stable)
    np.testing.assert_allclose(found, [np.pi / 4, 3 * np.pi / 4], atol=1e-12)
    assert not any(one.growing for one in stable)


def test_panels_have_both_signs():
    first, second = field_panels(X, Y)
    np.testing.assert_array_equal(first.rate, -second.rate)
    assert "a > 0" in first.title
    assert [sum(one.stable and one.growing for one in p.resting) for p in (first, second)] == [3, 0]


def test_other_inputs_and_other_kinks_have_no_picture():
    with pytest.raises(DataError, match="two columns"):
        plane_field(*samples("cloud"))
    with pytest.raises(ParameterError, match="multiplicity 2"):
        plane_field(X, Y, "z*abs(z)")
