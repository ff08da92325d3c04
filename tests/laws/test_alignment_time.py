"""The formulas of the alignment law against independent evaluations, and its numbers."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest

from flowtheory.data import Case, digits, family, gaussian_starts, repeller_starts, separable_subset
from flowtheory.laws.alignment_time import formulas
from flowtheory.laws.alignment_time.comparison import a_posteriori, compare
from flowtheory.laws.alignment_time.real import real_data
from flowtheory.laws.record import Effort, Settings


@pytest.mark.parametrize("mu", [0.9, 0.1, 1e-3, 1e-8])
def test_the_bound_is_evaluated_to_rounding(mu):
    with mp.workdps(40):
        m = mp.mpf(mu)
        exact = 2 * mp.acosh(mp.sqrt((1 + m) / 2) / m)
    assert float(formulas.bound(mu)) == pytest.approx(float(exact), rel=1e-14)


def test_the_absolute_constant_is_the_maximum_rounded_up():
    where, value = formulas.largest_scaled_bound()
    assert where == pytest.approx(0.2303, abs=1e-4)
    assert 1.82 < value < float(formulas.ABSOLUTE_CONSTANT) < value * (1 + 1e-4)
    mu = np.linspace(1e-6, 1, 20001)
    assert np.all(formulas.bound(mu) <= formulas.absolute_bound(mu))


def test_xi_equals_mu_squared():
    # sup of cos(K, outside of the cones) is sqrt(1 - mu^2): the worst pair attains it, and no
    # random pair exceeds it.
    rng = np.random.default_rng(0)
    data = family("random-cone")(n=6, dimension=4, mu=0.3, seed=1).data
    z = data.signed / data.norms[:, None]
    limit = np.sqrt(1 - data.mu**2)
    cosines = z @ z.T
    i, j = np.unravel_index(np.argmin(cosines), cosines.shape)
    foot = z[i] - (z[i] @ z[j]) * z[j]  # on the hyperplane of z_j, next to z_i
    assert z[i] @ foot / np.linalg.norm(foot) == pytest.approx(limit, rel=1e-12)
    for _ in range(2000):
        k = rng.exponential(size=6) @ z
        outside = rng.standard_normal(4)
        m = rng.integers(6)
        outside -= (outside @ z[m]) * z[m]
        assert k @ outside / np.linalg.norm(k) / np.linalg.norm(outside) <= limit * (1 + 1e-12)


@pytest.mark.parametrize("mu", [0.3, 1e-2, 1e-6])
def test_each_start_is_compared_with_its_own_part(mu):
    case = family("four-points")(mu=mu)
    found = compare(case)
    assert found.part.tolist() == ["a"]
    assert found.measured[0] <= found.predicted[0]
    assert compare(family("two-points")(mu=mu)).part.tolist() == ["b"]
    near = repeller_starts(case.data, theta0=0.01 * mu, h=4, seed=0)
    parts = compare(near)
    assert set(parts.part) == {"c"}
    assert np.all(parts.measured <= parts.predicted)


def test_a_start_that_is_dead_has_no_time():
    data = family("random-cone")(n=4, dimension=3, mu=0.2, labels="positive", seed=0).data
    w0 = -data.x_plus[None, :]
    found = compare(Case(data, w0, np.zeros((1, 4), dtype=bool), "dead", "opposite"))
    assert np.isnan(found.measured).all()
    assert found.row("random") is None


def test_the_a_posteriori_bound_lies_between_the_time_and_the_bound():
    data = separable_subset(digits(), 0.05)
    found = compare(gaussian_starts(data, h=20, seed=0))
    informed = a_posteriori(found)
    assert np.all(informed <= found.predicted)
    assert np.all(found.measured <= informed)
    assert np.median(informed / found.predicted) < 0.1  # it has teeth


def test_real_images_report_what_violates_the_assumption():
    result = real_data(Settings(effort=Effort.QUICK, data=digits()))
    whole = result.summary["whole"]
    assert whole["n"] == 360
    assert whole["violating_fraction"] == pytest.approx(0.0669, abs=1e-4)
    levels = {row["mu"] for row in result.rows}
    assert len(levels) >= 6
    assert min(levels) >= 0.02


def test_without_real_data_nothing_is_claimed_about_it():
    result = real_data(Settings(effort=Effort.QUICK))
    assert result.rows == ()
    assert "skipped" in result.summary


def test_typical_times_are_within_a_factor_two_of_their_scaling():
    # F4 one class: c in 0.65..1.05 for mu n >> ln n.
    ratios = []
    for n, mu in [(64, 0.1), (256, 0.1), (256, 0.4), (512, 0.4)]:
        data = family("equicorrelated")(n=n, mu=mu, labels="positive").data
        found = compare(gaussian_starts(data, h=60, seed=n))
        median = found.times.quantiles()["median"]
        ratios.append(median / float(formulas.typical_time(n, mu, data.dimension)))
    assert 0.6 < min(ratios) <= max(ratios) < 1.1
