"""Where initializations lie: at one width, and in the limit."""

from __future__ import annotations

import math

import pytest

from flowtheory.errors import ParameterError, UnknownNameError
from flowtheory.phase import limits, place_of, samples
from flowtheory.phase.asymptotic import regime_of


def test_a_small_start_of_a_published_experiment():
    """Zhou et al. 2021: standard deviation .005, 50 neurons."""
    place = place_of(50, 0.005, 0.005)
    assert place.gamma == pytest.approx(-math.log(2.5e-5) / math.log(50))
    assert place.gamma_prime == 0.0
    assert place.regime.name == "condensed, balanced"
    assert place.hidden == pytest.approx((place.gamma - 1) / 2)
    assert place.capability == pytest.approx(50 * 2.5e-5)


@pytest.mark.parametrize(("alpha", "gamma"), [(math.sqrt(1000), 0.5), (1000, 1.0)])
def test_the_ntk_and_the_mean_field_scaling(alpha, gamma):
    place = place_of(1000, 1.0, 1.0, alpha=alpha)
    assert (place.gamma, place.gamma_prime) == (gamma, 0.0)


def test_the_multiplicity_counts():
    assert place_of(100, 0.1, 0.1, activation="z*tanh(z)").gamma == pytest.approx(1.5)


def test_limits_of_named_initializations():
    """Luo et al. 2021, table 1; PyTorch's default has the exponents of LeCun's."""
    found = limits()
    assert found["ntk"] == (0.5, 0.0)
    assert found["mean-field"] == (1.0, 0.0)
    assert found["xavier"] == (1.0, 0.0)
    assert found["lecun"] == found["he"] == found["pytorch"] == (0.5, 0.5)
    assert "e-ma-wu" not in found


def test_every_point_of_the_plane_has_a_regime():
    for activation in ("relu", "z*tanh(z)"):
        for k in range(-20, 21):
            assert regime_of(1 + k / 10, k / 7, activation).name


def test_bad_scales_and_names_are_refused():
    with pytest.raises(ParameterError, match="width = 1"):
        place_of(1, 1.0, 1.0)
    for wrong in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ParameterError, match="std_w"):
            place_of(10, 1.0, wrong)
    with pytest.raises(UnknownNameError, match="did you mean 'three-points'"):
        samples("three-point")
