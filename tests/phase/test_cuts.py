"""Cuts go through every part of the boundary that a diagram contains."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from flowtheory.phase import asymptotic_slopes, cuts, diagram, samples

WIDTHS = np.array([64.0, 128.0, 256.0])


def exact(gamma, other, activation="relu"):
    """A diagram whose slopes are those of the table."""
    slopes = asymptotic_slopes(gamma, other, activation).hidden
    rd = (WIDTHS[:, None, None] ** slopes)[..., None]
    axes = ("width", "gamma_prime", "gamma", "seed")
    columns = dict.fromkeys(("rd_w", "rd_a", "displacement", "carriers"), (axes, rd))
    columns |= {f"{name}_error": (axes, 0 * rd) for name in ("rd_w", "rd_a")}
    places = {"width": WIDTHS, "gamma_prime": other, "gamma": gamma, "seed": [0]}
    runs = xr.Dataset(columns, places, {"activation": activation})
    return diagram(runs, samples("three-points"))


def test_three_cuts_cross_the_two_parts_of_the_boundary():
    found = exact(np.linspace(0.6, 1.4, 9), np.linspace(-0.4, 0.4, 9))
    first, second, third = cuts(found)
    assert [cut.axis for cut in (first, second, third)] == [r"\gamma", r"\gamma", r"\gamma'"]
    assert first.at == r"\gamma' = -0.2"
    assert first.boundary == pytest.approx(1.0)
    assert second.at == r"\gamma' = 0.2"
    assert second.boundary == pytest.approx(1.2)
    assert third.at == r"\gamma = 1.2"
    assert third.boundary == pytest.approx(0.2)
    for cut in (first, second, third):
        np.testing.assert_allclose(np.interp(cut.place, cut.fine, cut.theory), cut.slope, atol=5e-3)
        k = int(np.abs(cut.place - cut.boundary).argmin())
        np.testing.assert_allclose(cut.rd[:, k], 1.0, rtol=1e-9)  # no width is apart from another
        np.testing.assert_array_equal(cut.rd[0] > cut.rd[-1] * (1 + 1e-9), cut.slope < -1e-9)
    np.testing.assert_array_equal(third.slope, found.slopes.hidden[:, 6])


def test_leaders_have_their_boundary_elsewhere():
    found = exact(np.linspace(0.6, 2.2, 9), np.linspace(-0.4, 0.4, 5), "z*tanh(z)")
    assert [round(cut.boundary, 9) for cut in cuts(found)] == [1.3, 1.7, -0.1]


def test_a_diagram_beside_the_boundary_has_no_cut():
    assert cuts(exact(np.linspace(0.2, 0.8, 4), np.linspace(-0.4, 0.4, 5))) == ()
