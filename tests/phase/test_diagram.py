"""Diagrams of made-up results: slopes, crossings, intervals, verdicts, and wrong theories."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from flowtheory.errors import DataError, ParameterError
from flowtheory.judge.verdict import Verdict
from flowtheory.phase import (
    asymptotic_slopes,
    diagram,
    judged,
    psi_changes,
    samples,
    solvable_changes,
    zero_crossings,
)
from flowtheory.phase.diagram import CONDENSED, CRITICAL, LAZY, UNKNOWN

GAMMA, OTHER = np.linspace(0.6, 1.4, 9), np.linspace(-0.4, 0.4, 5)
DATA = samples("three-points")
WIDTHS = 2.0 ** np.arange(8, 15)


def table(changes, seeds=1, noise=0.0, widths=WIDTHS, gamma=GAMMA, about=None):
    rng = np.random.default_rng(0)
    shape = (len(widths), len(OTHER), len(gamma), seeds)
    rd = changes[..., None] * np.exp(noise * rng.standard_normal((2, *shape)))
    axes = ("width", "gamma_prime", "gamma", "seed")
    names = {"rd_w": rd[0], "rd_a": rd[1], "rd_w_error": 1e-3 * rd[0], "rd_a_error": 0 * rd[1]}
    names |= {"displacement": rd[0], "carriers": rd[1]}
    columns = {name: (axes, values) for name, values in names.items()}
    places = {"width": widths, "gamma_prime": OTHER, "gamma": gamma, "seed": np.arange(seeds)}
    return xr.Dataset(columns, places, about or {"activation": "relu"})


def solvable(zeta=4.0):
    return solvable_changes(GAMMA, OTHER, WIDTHS, zeta, 2)


def powers(slopes):
    return np.stack([WIDTHS[:, None, None] ** slopes[None]] * 2)


def test_theory_itself_agrees_and_its_slopes_come_back():
    found = diagram(table(solvable()), DATA)
    assert found.prediction.zeta == pytest.approx(4.0, rel=1e-2)
    assert found.integration == pytest.approx(1e-3)
    assert np.isnan(found.error).all()
    assert found.local.shape == (6, 5, 9)
    assert [one.verdict for one in judged(found)][1] is Verdict.AGREES
    exact = diagram(table(powers(asymptotic_slopes(GAMMA, OTHER).hidden)), DATA)
    np.testing.assert_allclose(exact.left, 0.0, atol=1e-12)
    boundary, _ = judged(exact)
    assert boundary.verdict is Verdict.AGREES
    assert boundary.other > 5 * boundary.tolerance


def test_a_boundary_that_ignores_gamma_prime_is_rejected():
    slopes = np.broadcast_to(GAMMA - 1.0, (len(OTHER), len(GAMMA)))
    boundary, rest = judged(diagram(table(powers(slopes)), DATA))
    assert boundary.verdict is Verdict.DISAGREES
    assert rest.verdict is Verdict.DISAGREES


def test_published_bounds_taken_as_slopes_are_rejected():
    g, o = GAMMA[None, :], OTHER[:, None]
    lazy = np.where(g < 1, g - 1, g - 1 - o)
    theory = asymptotic_slopes(GAMMA, OTHER).hidden
    slopes = np.where((g < 1) | (o > g - 1), lazy, theory)
    _, rest = judged(diagram(table(powers(slopes)), DATA))
    assert rest.other < 1e-9
    assert rest.verdict is Verdict.DISAGREES


FAR = np.linspace(1.0, 3.0, 9)


@pytest.mark.parametrize(
    ("shared", "verdict"), [(False, Verdict.AGREES), (True, Verdict.DISAGREES)]
)
def test_leaders_are_told_from_a_fit_that_all_neurons_share(shared, verdict):
    activation = "z*tanh(z)"
    slopes = asymptotic_slopes(FAR, OTHER, activation, shared=shared).hidden
    found = diagram(table(powers(slopes), gamma=FAR, about={"activation": activation}), DATA)
    (one,) = judged(found)
    assert one.verdict is verdict
    assert (one.left < 1e-12) is not shared
    assert one.scope == f"{int((FAR[None, :] - OTHER[:, None] > 2 - 1e-9).sum())} points"


def test_smooth_networks_are_held_against_the_closure_without_a_constant():
    white, about = samples("whitened"), {"activation": "tanh", "loss": 1e-2}
    changes = psi_changes(GAMMA[::4], OTHER, WIDTHS[::3], *white, loss=1e-2)
    runs = table(changes, gamma=GAMMA[::4], widths=WIDTHS[::3], about=about)
    found = diagram(runs, white)
    _, one = judged(found)
    assert one.verdict is Verdict.AGREES
    assert one.left < 1e-9
    assert np.isnan(found.prediction.zeta)
    _, one = judged(diagram(runs.assign_attrs(activation="sigmoid"), white))
    assert one.verdict is Verdict.INCONCLUSIVE
    assert "the activation is not 0 at 0" in one.name
    _, one = judged(diagram(runs, samples("cloud")))
    assert one.verdict is Verdict.INCONCLUSIVE
    assert "the best linear function leaves 0.06 of the loss" in one.name


def test_the_interval_over_seeds_covers_the_slope():
    found = diagram(table(solvable(), seeds=8, noise=0.05), DATA)
    exact = diagram(table(solvable()), DATA).slopes.hidden
    inside = np.abs(found.slopes.hidden - exact) <= found.error
    assert 0.85 < inside.mean() <= 1.0
    assert found.error.max() < 0.05


def test_kinds_and_points_that_were_not_reached():
    changes = solvable()
    changes[:, 2, 0, 0] = np.nan
    found = diagram(table(changes), DATA)
    assert found.kinds[0, 0] == UNKNOWN
    assert found.kinds[2, 0] == LAZY
    assert found.kinds[2, -1] == CONDENSED
    assert CRITICAL in found.kinds[2]
    assert np.isfinite(found.rms)


def test_zero_crossings_are_linear_interpolations():
    slopes = np.array([[-1.0, 0.0, 1.0], [-1.0, -1.0, 3.0], [1.0, 2.0, 3.0]])
    found = zero_crossings(np.array([0.5, 1.0, 2.0]), slopes)
    np.testing.assert_allclose(found, [1.0, 1.25, np.nan])
    with pytest.raises(ParameterError, match="does not increase"):
        zero_crossings(np.array([1.0, 0.5, 2.0]), slopes)


def test_too_few_widths_are_refused():
    few = table(solvable()[:, :2], widths=WIDTHS[:2])
    with pytest.raises(DataError, match="width has 2 values"):
        diagram(few, DATA)
