"""Regimes as polygons: they fill the rectangle, and every point lies in its own."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.path import Path

from flowtheory.errors import ParameterError
from flowtheory.phase import families, limits, named_places, regions
from flowtheory.phase.asymptotic import regime_of


@pytest.mark.parametrize("activation", ["relu", "z*tanh(z)", "z**2*tanh(z)"])
@pytest.mark.parametrize("box", [((0.0, 2.0), (-1.0, 1.0)), ((0.6, 1.4), (-0.4, 0.4))])
def test_polygons_are_the_regimes(activation, box):
    found = regions(*box, activation)
    names = [region.name for region in found]
    assert len(set(names)) == len(names)
    rng = np.random.default_rng(1)
    places = np.stack([rng.uniform(*ends, 400) for ends in box], axis=1)
    inside = np.stack([Path(region.corners).contains_points(places) for region in found])
    np.testing.assert_array_equal(inside.sum(axis=0), 1)
    for place, k in zip(places, inside.argmax(axis=0), strict=True):
        assert names[k] == regime_of(float(place[0]), float(place[1]), activation).name


def test_condensed_regimes_are_told_from_lazy_ones():
    kinds = {region.name: region.condensed for region in regions((0.0, 2.0), (-1.0, 1.0))}
    assert len(kinds) == 5
    assert all(condensed == name.startswith("condensed") for name, condensed in kinds.items())


def test_a_rectangle_has_two_sides():
    with pytest.raises(ParameterError, match="ends that increase"):
        regions((1.0, 1.0), (-1.0, 1.0))


def test_named_initializations_share_points_and_lines():
    assert named_places() == {
        "LeCun, He, PyTorch": (0.5, 0.5),
        "Xavier, mean-field": (1.0, 0.0),
        "NTK": (0.5, 0.0),
    }
    assert set(named_places().values()) == set(limits().values())
    assert dict(families()) == {"E-Ma-Wu": (1.0, 1.0), "equal deviations": (2.0, 0.0)}
    assert dict(families("z*tanh(z)"))["equal deviations"] == (3.0, 0.0)
