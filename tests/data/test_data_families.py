"""Synthetic families: the prescribed mu is there, and the closed forms are reproduced from arrays.

`propagate` is an independent oracle: one neuron of the effective flow w' = |w| a(w) (balanced,
positive output weight), moved from switch to switch in closed form.
"""

import math

import numpy as np
import pytest

from flowtheory.data import FAMILIES, Case, LabelledData, family
from flowtheory.data.families import (
    equicorrelated,
    fan,
    four_points,
    four_points_copied,
    gaussian_starts,
    random_cone,
    repeller_starts,
    sparse_cone,
    two_points,
    two_points_copied,
)
from flowtheory.errors import DataError, ParameterError, UnknownNameError

SWEEP = [1e-1, 1e-2, 1e-4, 1e-6, 1e-8]


def propagate(case, neuron=0):
    """Time of the last switch, final pattern, number of switches."""
    z, y = case.data.signed, case.data.y
    w = case.w0[neuron] / np.linalg.norm(case.w0[neuron])
    active, q, t, switches = case.active[neuron].copy(), case.data.x @ w, 0.0, 0
    while active.any():
        a = z[active].sum(axis=0)
        alpha = np.linalg.norm(a)
        p = w @ a / alpha
        rho2 = np.sum((w - p * a / alpha) ** 2)
        c = y * (z @ a)
        path = np.full(len(y), np.inf)
        candidate = (active & (c < 0)) | (~active & (c > 0))
        path[candidate] = np.maximum(-q[candidate] / c[candidate], 0.0)
        i = path.argmin()
        if not np.isfinite(path[i]):
            break

        def log_sum(p, v, rho2=rho2):  # ln(v + p) without cancellation
            return math.log(v + p) if p >= 0 else math.log(rho2) - math.log(v - p)

        p_next = p + alpha * path[i]
        t += (log_sum(p_next, math.sqrt(rho2 + p_next**2)) - log_sum(p, 1.0)) / alpha
        w, q = w + path[i] * a, q + path[i] * c
        q[i], active[i], switches = 0.0, not active[i], switches + 1
        r = np.linalg.norm(w)
        w, q = w / r, q / r
    return t, active, switches


@pytest.mark.parametrize("mu", [1.0, 0.7, 0.1, 1e-2, 1e-5])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_the_prescribed_mu(name, mu):
    case = family(name)(mu=mu)
    assert abs(case.data.mu - mu) < 1e-12
    assert case.family == name
    assert f"mu={mu:g}" in case.data.provenance


@pytest.mark.parametrize("name", FAMILIES)
def test_patterns_agree_with_signs_off_the_hyperplanes(name):
    case = family(name)()
    product = case.w0 @ case.data.x.T
    size = np.linalg.norm(case.w0, axis=1)[:, None] * case.data.norms
    off = np.abs(product) > 1e-12 * size
    np.testing.assert_array_equal(case.active[off], product[off] > 0)
    assert np.count_nonzero(~off) <= case.data.n / 2  # a start is on few hyperplanes, if any


@pytest.mark.parametrize(
    ("case", "active"),
    [
        (two_points(), [1, 0]),
        (four_points(), [0, 0, 1, 0]),
        (two_points_copied(copies=3), [1, 0, 0, 0]),
        (four_points_copied(copies=2), [0, 0, 0, 1, 0, 0]),
        (fan(n=4), [1, 0, 0, 0]),
        (fan(n=4, labels="alternating"), [1, 1, 0, 1]),
    ],
    ids=lambda value: value.family if isinstance(value, Case) else "",
)
def test_start_patterns_on_hyperplanes(case, active):
    np.testing.assert_array_equal(case.active, np.array([active], dtype=bool))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_neuron_ends_in_the_positive_cone_or_dead(name):
    case = family(name)()
    for neuron in range(case.h):
        _, final, switches = propagate(case, neuron)
        assert not final.any() or np.array_equal(final, case.data.y > 0)
        assert switches <= case.data.n


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("mu", [0.0, -0.1, 1.0000001, math.nan])
def test_mu_outside_its_range_is_rejected(name, mu):
    with pytest.raises(ParameterError, match="mu = "):
        family(name)(mu=mu)


@pytest.mark.parametrize("mu", SWEEP)
@pytest.mark.parametrize("norm", [1.0, 0.3])
def test_two_points_attain_arccosh(mu, norm):
    case = two_points(mu=mu, norm=norm)
    t, final, switches = propagate(case)
    exact = math.log((1 + math.sqrt((1 - mu) * (1 + mu))) / mu) / norm  # arccosh(1/mu)/X
    assert abs(t / exact - 1) < 1e-12
    assert switches == 1
    assert final.all()


@pytest.mark.parametrize("mu", SWEEP)
def test_four_points_attain_two_arsinh(mu):
    case = four_points(mu=mu)
    t, final, _ = propagate(case)
    assert abs(t / (2 * math.asinh(math.sqrt((1 - mu) / 2) / mu)) - 1) < 1e-12
    np.testing.assert_array_equal(final, case.data.y > 0)


@pytest.mark.parametrize("mu", [0.5, 0.1, 1e-3])
def test_four_points_gram_matrix(mu):
    z = four_points(mu=mu).data.signed
    gram = z @ z.T
    np.testing.assert_allclose(np.diag(gram), 1.0, atol=4e-16)
    outer = gram[[0, 0, 1], [1, 3, 3]]
    np.testing.assert_allclose(outer, mu, rtol=0, atol=4e-16)
    assert gram[0, 2] == 1.0


@pytest.mark.parametrize("mu", SWEEP)
def test_four_points_start_lies_on_the_hyperplane_of_the_fourth(mu):
    case = four_points(mu=mu)
    product = case.data.x @ case.w0[0]
    assert abs(product[3]) < 4e-16
    assert product[0] == -product[2] < 0
    assert product[1] < 0


@pytest.mark.parametrize("copies", [1, 10, 100])
def test_copies_leave_mu_and_the_time_unchanged(copies):
    two, four = (
        two_points_copied(mu=0.01, copies=copies),
        four_points_copied(mu=0.01, copies=copies),
    )
    assert (two.data.n, four.data.n) == (1 + copies, 2 + 2 * copies)
    assert two.data.mu == two_points(mu=0.01).data.mu
    assert abs(four.data.mu - four_points(mu=0.01).data.mu) < 1e-16
    t, final, _ = propagate(two)
    assert abs(t - math.acosh(100)) < 1e-12 * t
    assert final.all()
    t, final, _ = propagate(four)
    assert abs(t - 9.893538219) < 1e-9
    np.testing.assert_array_equal(final, four.data.y > 0)


def test_fan_times_fall_with_n():
    times = [propagate(fan(n=n, mu=0.1))[0] for n in (2, 4, 16, 64, 256)]
    np.testing.assert_allclose(times, [2.99, 1.05, 0.35, 0.115, 0.0365], rtol=0.02)


@pytest.mark.parametrize("n", [2, 3, 17])
def test_fan_angles_are_equal(n):
    data = fan(n=n, mu=0.3, norm=2.0).data
    phi = np.arctan2(data.x[:, 1], data.x[:, 0])
    np.testing.assert_allclose(np.diff(phi), math.acos(0.3) / (n - 1), rtol=1e-13)
    np.testing.assert_allclose(data.norms, 2.0, rtol=1e-15)


def test_fan_with_a_negative_first_datum_starts_without_it():
    case = fan(n=2, mu=0.5, labels=[-1, -1])
    np.testing.assert_array_equal(case.active, [[False, True]])
    np.testing.assert_array_equal(case.data.signed, fan(n=2, mu=0.5).data.x)


@pytest.mark.parametrize("labels", ["positive", "alternating", [1, -1, -1, -1, 1]])
@pytest.mark.parametrize("mu", [0.6, 0.05, 1e-4])
def test_equicorrelated_gram_matrix_and_start(labels, mu):
    case = equicorrelated(n=5, mu=mu, labels=labels, theta0=1.1)
    z = case.data.signed
    np.testing.assert_allclose(z @ z.T, (1 - mu) * np.eye(5) + mu, rtol=0, atol=3e-16)
    np.testing.assert_array_equal(case.active[0], case.data.y > 0)
    np.testing.assert_array_equal(case.data.x @ case.w0[0] > 0, case.data.y > 0)
    k = case.data.n_plus
    length = np.linalg.norm(case.data.x_plus)
    assert abs(length - math.sqrt(k * (1 + mu * (k - 1)))) < 1e-14
    cosine = case.w0[0] @ case.data.x_plus / (length * np.linalg.norm(case.w0[0]))
    assert abs(math.acos(cosine) - 1.1) < 1e-14
    t, _, switches = propagate(case)
    assert t == switches == 0


def test_random_cones_are_reproducible_and_vary():
    one, same, other = random_cone(seed=3), random_cone(seed=3), random_cone(seed=4)
    np.testing.assert_array_equal(one.data.x, same.data.x)
    np.testing.assert_array_equal(one.w0, same.w0)
    assert np.abs(one.data.x - other.data.x).max() > 0.1
    assert "seed=3" in one.data.provenance


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("build", [random_cone, sparse_cone])
def test_random_cones_have_exactly_mu_at_every_seed(build, seed):
    rng = np.random.default_rng(seed)
    n, dimension = int(rng.integers(2, 30)), int(rng.integers(3, 12))
    data = build(n=n, dimension=dimension, mu=0.03, seed=seed).data
    assert abs(data.mu - 0.03) < 1e-14
    assert min(data.n_plus, data.n_minus) >= 1
    assert (data.n, data.dimension) == (n, dimension)


def test_sparse_cone_has_the_stated_support_and_many_pairs_at_mu():
    data = sparse_cone(n=40, dimension=20, mu=0.1, support=2, seed=1).data
    assert np.count_nonzero(data.x[:, 1:], axis=1).max() == 2
    unit = data.signed / data.norms[:, None]
    cosine = (unit @ unit.T)[np.triu_indices(40, 1)]
    assert np.mean(np.abs(cosine - 0.1) < 1e-12) > 0.5


def test_norms_are_log_normal():
    norms = random_cone(n=4000, norm_spread=0.7, seed=0).data.norms
    logs = np.log(norms)
    assert abs(logs.mean()) < 5 * 0.7 / math.sqrt(4000)
    assert abs(logs.std() / 0.7 - 1) < 5 / math.sqrt(2 * 4000)
    np.testing.assert_allclose(random_cone(norm_spread=0.0).data.norms, 1.0, rtol=1e-15)


@pytest.mark.parametrize("theta0", [1.0, 1e-3, 1e-6])
def test_repeller_starts_have_the_stated_angle(theta0):
    data = random_cone(n=12, dimension=6, mu=0.2, seed=5).data
    case = repeller_starts(data, theta0=theta0, h=7, seed=2)
    unit = case.w0 / np.linalg.norm(case.w0, axis=1, keepdims=True)
    axis = data.x_minus / np.linalg.norm(data.x_minus)
    across = np.linalg.norm(unit - np.outer(unit @ axis, axis), axis=1)  # sin(theta0)
    np.testing.assert_allclose(np.arctan2(across, unit @ axis), theta0, rtol=0, atol=1e-15)
    if theta0 <= 1e-3:
        np.testing.assert_array_equal(case.active, np.tile(data.y < 0, (7, 1)))  # S_-


def test_repeller_starts_escape_within_the_half_angle_bound():
    data = equicorrelated(n=6, mu=0.1, labels="alternating").data
    for theta0 in (1e-2, 1e-4):
        case = repeller_starts(data, theta0=theta0, h=4, seed=0)
        escape = math.log(1 / math.tan(theta0 / 2)) / np.linalg.norm(data.x_minus)
        bound = escape + 2 * math.acosh(math.sqrt((1 + 0.1) / 2) / 0.1)  # X_min = 1
        for neuron in range(4):
            t, _, switches = propagate(case, neuron)
            assert 0 < t <= bound
            assert switches >= 3


def test_gaussian_starts_are_independent_of_the_data_stream():
    data = random_cone(n=8, dimension=5, seed=0).data
    case = gaussian_starts(data, h=400, seed=0)
    assert case.w0.shape == (400, 5)
    assert case.family == data.name
    assert abs(case.w0.mean()) < 5 / math.sqrt(2000)
    assert abs(case.w0.std() - 1) < 5 / math.sqrt(4000)
    stream = np.random.default_rng(0).standard_normal(2000)
    assert abs(np.corrcoef(case.w0.ravel(), stream)[0, 1]) < 0.1


BAD = {
    "norm": (lambda: two_points(norm=0.0), "norm = 0.0"),
    "fan n": (lambda: fan(n=1), "n = 1"),
    "n float": (lambda: fan(n=3.0), r"n = 3\.0"),
    "random without seed": (lambda: fan(labels="random"), "labels = 'random'"),
    "labels name": (lambda: random_cone(labels="mixed"), "labels = 'mixed'"),
    "labels shape": (lambda: random_cone(n=4, labels=[1, -1]), r"labels have shape \(2,\)"),
    "copies": (lambda: two_points_copied(copies=0), "copies = 0"),
    "copies of four": (lambda: four_points_copied(copies=-1), "copies = -1"),
    "no positive": (lambda: equicorrelated(n=2, labels=[-1, -1]), "no label is"),
    "theta0 zero": (lambda: equicorrelated(theta0=0.0), "theta0 = 0.0"),
    "theta0 right": (lambda: equicorrelated(theta0=math.pi / 2), "theta0 = 1.57"),
    "equicorrelated n": (lambda: equicorrelated(n=1), "n = 1"),
    "dimension": (lambda: random_cone(dimension=2), "dimension = 2"),
    "support": (lambda: sparse_cone(support=0), "support = 0"),
    "spread": (lambda: random_cone(norm_spread=-1.0), r"norm_spread = -1\.0"),
    "h": (lambda: random_cone(h=0), "h = 0"),
    "seed": (lambda: random_cone(seed=-1), "seed = -1"),
    "start seed": (lambda: gaussian_starts(fan().data, seed=0.5), r"seed = 0\.5"),
    "repeller angle": (lambda: repeller_starts(fan().data, theta0=4.0), r"theta0 = 4\.0"),
}


@pytest.mark.parametrize(("build", "wrong"), BAD.values(), ids=BAD)
def test_parameters_outside_their_domain_are_rejected(build, wrong):
    with pytest.raises(ParameterError, match=wrong):
        build()


def test_labels_other_than_signs_are_rejected_by_the_data():
    with pytest.raises(DataError, match="labels are"):
        random_cone(n=2, labels=[0, 1])


def test_no_repeller_without_negative_data():
    with pytest.raises(DataError, match="no direction next to x_-"):
        repeller_starts(fan().data)


def test_unknown_families_get_the_nearest_names():
    with pytest.raises(UnknownNameError, match="did you mean 'two-points'"):
        family("two-point")


def test_cases_reject_starts_that_do_not_fit():
    data = LabelledData(np.eye(2), np.ones(2), "t", "")
    with pytest.raises(DataError, match=r"w0 has shape \(2,\)"):
        Case(data, np.ones(2), np.ones((1, 2), bool), "t", "")
    with pytest.raises(DataError, match=r"active \(1, 3\)"):
        Case(data, np.ones((1, 2)), np.ones((1, 3), bool), "t", "")
    with pytest.raises(DataError, match=r"w0\[1\] is the zero vector"):
        Case(data, np.array([[1.0, 0], [0, 0]]), np.ones((2, 2), bool), "t", "")
    case = Case(data, np.ones((1, 2)), np.ones((1, 2), bool), "t", "")
    with pytest.raises(ValueError, match="read-only"):
        case.active[0, 0] = False
