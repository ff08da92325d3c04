"""Critical directions: identities, counts, stability against integrated dynamics, guarantees."""

from itertools import product
from math import comb, sqrt

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from symbolic.forms import contracted, dense, random_data

from flowtheory.errors import DataError
from flowtheory.symbolic import (
    Guarantee,
    Stability,
    critical_directions,
    data_moment,
)
from flowtheory.symbolic.directions.search import search

TETRAHEDRON = [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
ONES = [1, 1, 1, 1]


def lines_of(U):
    """Unit rows as a canonical sorted array, one row a line."""
    U = np.array([u * np.sign(u[np.abs(u).argmax()]) for u in U])
    return U[np.lexsort(np.round(U, 6).T)]


small = st.integers(-3, 3)


@st.composite
def integer_data(draw, dimension, points=5):
    X = draw(
        st.lists(
            st.lists(small, min_size=dimension, max_size=dimension),
            min_size=points,
            max_size=points,
        )
    )
    return X, draw(st.lists(small, min_size=points, max_size=points))


# ---- the identities of a critical direction -----------------------------------------------------

CASES = [
    (1, 4),
    (2, 2),
    (2, 5),
    (3, 2),
    (4, 2),
    (5, 2),
    (7, 2),
    (3, 3),
    (4, 3),
    (5, 3),
    (3, 4),
    (4, 4),
]


@pytest.mark.parametrize(("p", "D"), CASES)
def test_z_eigenpairs(p, D):
    X, c = random_data(p, D, 1)
    T = dense(X, c, p)
    found = critical_directions(X, c, p)
    assert len(found) > 0
    for line in found:
        u = line.direction
        assert np.linalg.norm(u) == pytest.approx(1, abs=1e-14)
        H, gradient = contracted(T, u, p), p * contracted(T, u, p - 1)
        assert line.value == pytest.approx(H, abs=1e-12)
        np.testing.assert_allclose(gradient, p * H * u, atol=1e-11 * np.abs(T).max())


@pytest.mark.parametrize("p", [3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_elimination_is_accurate_to_the_last_bits(p, seed):
    X, c = random_data(p, 3, seed)
    moment = data_moment(X, c, p)
    for line in critical_directions(moment):
        u = sp.Matrix([sp.Rational(float(v)) for v in line.direction])
        point = dict(zip(moment.polynomial.gens, u, strict=True))
        g = sp.Matrix([moment.polynomial.diff(v).as_expr().subs(point) for v in point])
        # The cross product in rational arithmetic, divided by what a rounding of u can do to it.
        off = max(abs(entry) for entry in g.cross(u))
        assert float(off) < 40 * p * p * 2.3e-16 * moment.magnitude()


@pytest.mark.parametrize(("p", "D"), [(3, 2), (4, 2), (3, 3), (4, 3), (2, 4), (1, 3)])
def test_curvatures_are_second_derivatives_along_great_circles(p, D):
    X, c = random_data(p, D, 2)
    T = dense(X, c, p)
    for line in critical_directions(X, c, p):
        u = line.direction
        complement = np.linalg.svd(u[None])[2][1:]
        h = 1e-3
        second = np.array(
            [
                [
                    sum(
                        s * t * contracted(T, (w := u + h * (s * a + t * b)) / np.linalg.norm(w), p)
                        for s in (1, -1)
                        for t in (1, -1)
                    )
                    / (4 * h * h)
                    for a in complement
                ]
                for b in complement
            ]
        )
        np.testing.assert_allclose(
            np.linalg.eigvalsh(second), line.curvatures, atol=3e-3 * np.abs(T).max()
        )


# ---- completeness -------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [3, 4, 5, 6, 8])
@pytest.mark.parametrize("seed", range(4))
def test_in_the_plane_a_fine_grid_sees_the_same(p, seed):
    X, c = random_data(p, 2, seed)
    found = critical_directions(X, c, p)
    assert found.guarantee is Guarantee.EXACT
    angle = (np.arange(20_001) + 0.5) * np.pi / 20_001
    u = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    v = np.stack([-np.sin(angle), np.cos(angle)], axis=1)
    slope = np.einsum("bd,bd->b", data_moment(X, c, p).gradient(u), v)
    closed = np.append(slope, (-1) ** p * slope[0])  # H(-u) = (-1)^p H(u), so is its slope
    crossings = np.flatnonzero(np.sign(closed[1:]) != np.sign(closed[:-1]))
    assert len(found) == len(crossings)
    seen = np.sort([np.arctan2(u[1], u[0]) % np.pi for u in (line.direction for line in found)])
    np.testing.assert_allclose(seen, (crossings + 1) * np.pi / 20_001, atol=2e-4)


@pytest.mark.parametrize("p", [3, 4, 5])
@pytest.mark.parametrize("seed", range(2))
def test_elimination_and_random_starts_agree(p, seed):
    X, c = random_data(p, 3, seed)
    found = critical_directions(X, c, p)
    assert found.guarantee is Guarantee.EXACT
    started = search(data_moment(X, c, p), most=100, seed=0)
    np.testing.assert_allclose(
        lines_of([line.direction for line in found]), lines_of(started), atol=1e-9
    )


@given(integer_data(3), st.sampled_from([3, 4]))
@settings(max_examples=25, deadline=None)
def test_exact_lists_satisfy_morse(data, p):
    X, c = data
    if data_moment(X, c, p).vanishes():
        with pytest.raises(DataError, match="vanishes"):
            critical_directions(X, c, p)
        return
    found = critical_directions(X, c, p)
    # Without a guarantee the list may be short, and a defect other than 0 says so.
    if found.guarantee is Guarantee.EXACT:
        assert found.morse_defect in (0, None)
        assert 1 <= len(found) <= found.complex_count == p * p - p + 1
        assert len(found.growing_lines) <= (p * p - p + 2) // 2


@pytest.mark.parametrize(("p", "D"), [(3, 3), (4, 3), (3, 4), (4, 4), (3, 5), (4, 5)])
def test_orthonormal_data_have_every_complex_direction_real(p, D):
    """Critical directions of sum u_j^p: u_j in {0, r} for p = 3, {0, +-r} for p = 4."""
    found = critical_directions(np.eye(D, dtype=int), np.ones(D, dtype=int), p)
    values = (0, 1) if p == 3 else (0, 1, -1)
    expected = [u / np.linalg.norm(u) for u in map(np.array, product(values, repeat=D)) if u.any()]
    if p == 4:
        expected = [u for u in expected if u[np.flatnonzero(u)[0]] > 0]
    assert len(found) == len(expected) == found.complex_count
    cosines = np.abs(np.array([line.direction for line in found]) @ np.array(expected).T)
    np.testing.assert_allclose(cosines.max(axis=0), 1, atol=1e-12)
    assert found.guarantee is (Guarantee.EXACT if D == 3 else Guarantee.COUNT)
    assert found.guarantee.complete
    assert found.morse_defect == 0
    # D growing lines, the data themselves.
    grown = np.array([line.direction for line in found.growing_lines])
    np.testing.assert_allclose(np.abs(grown) @ np.ones(D), 1, atol=1e-12)
    assert len(found.growing_lines) == D
    assert found.count == 2 * D
    assert D <= 4 or found.count > 2 * p


def test_without_a_guarantee_it_says_so():
    found = critical_directions(*random_data(3, 5, 0), 3)
    assert len(found) < found.complex_count
    assert found.guarantee is Guarantee.NONE
    assert not found.guarantee.complete
    assert "may be missing" in str(found)


# ---- how many directions ------------------------------------------------------------------------


def test_tetrahedron_has_eight_growing_orientations():
    found = critical_directions(TETRAHEDRON, ONES, 3)
    assert found.guarantee is Guarantee.EXACT
    assert len(found) == found.complex_count == 7
    assert len(found.growing_lines) == 4
    assert found.count == 8 > 2 * 3
    np.testing.assert_allclose(
        lines_of([line.direction for line in found.growing_lines]),
        lines_of(np.array(TETRAHEDRON) / sqrt(3)),
        atol=1e-15,
    )
    # H = 6 u1 u2 u3 with the mean over 4 points, so that H = 6/3^1.5 at the vertices.
    for line in found.growing_lines:
        assert line.value == pytest.approx(6 / 3**1.5, rel=1e-14)
    rotated = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turned = critical_directions(np.array(TETRAHEDRON) @ rotated, ONES, 3)
    assert (len(turned), turned.count, turned.guarantee) == (7, 8, Guarantee.EXACT)


@given(st.integers(1, 2), st.integers(1, 5).flatmap(lambda D: integer_data(D)))
@settings(max_examples=40, deadline=None)
def test_at_most_2p_orientations_for_p_up_to_2(p, data):
    X, c = data
    if data_moment(X, c, p).vanishes():
        return
    found = critical_directions(X, c, p)
    if all(line.isolated for line in found.growing_lines):
        assert 2 <= found.count <= 2 * p
    assert sum(line.basis.shape[1] for line in found) == (1 if p == 1 else len(X[0]))


@given(st.integers(3, 7), integer_data(2))
@settings(max_examples=60, deadline=None)
def test_at_most_2p_orientations_in_the_plane(p, data):
    X, c = data
    if data_moment(X, c, p).vanishes():
        return
    found = critical_directions(X, c, p)
    assert found.count <= 2 * p
    if found.guarantee is Guarantee.EXACT:
        degrees = sum(line.multiplicity for line in found)
        assert degrees <= p
        assert (p - degrees) % 2 == 0  # complex roots come in pairs


@pytest.mark.parametrize("p", [3, 4, 5, 6])
def test_regular_polygon_attains_2p(p):
    """H = cos(p theta) as a tensor: real part of (u1 + i u2)^p."""
    T = np.zeros((2,) * p, dtype=int)
    for at in product((0, 1), repeat=p):
        T[at] = int(((1j) ** sum(at)).real)
    found = critical_directions(T)
    assert found.count == 2 * p
    angles = np.sort([np.arctan2(u[1], u[0]) % np.pi for u in (x.direction for x in found)])
    np.testing.assert_allclose(angles % (np.pi - 1e-9), np.arange(p) * np.pi / p, atol=1e-14)
    assert all(abs(line.value) == pytest.approx(1, abs=1e-14) for line in found)


def test_lines_and_orientations():
    for p in (3, 4):
        found = critical_directions(*random_data(p, 3, 3), p)
        for line in found.growing_lines:
            one, two = (o for o in line.orientations if o.growing)
            np.testing.assert_array_equal(one.direction, -two.direction)
            assert one.sign * two.sign == (-1 if p == 3 else 1)
            assert one.stability is two.stability is Stability.STABLE
        assert len(found.growing_orientations) == 2 * len(found.growing_lines)


def test_stable_directions_in_which_neurons_shrink_do_not_count():
    """Orthonormal data, p = 4: sum u_j^4 has minima with H > 0, stable for a < 0 but shrinking."""
    found = critical_directions(np.eye(3, dtype=int), [1, 1, 1], 4)
    stable = [line for line in found if Stability.STABLE in map(line.stability, (1, -1))]
    assert len(stable) == 7
    assert len(found.growing_lines) == 3


# ---- the dynamics -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "D", "seed"),
    [(1, 3, 0), (2, 4, 0), (3, 2, 1), (4, 2, 0), (3, 3, 0), (4, 3, 2), (3, 4, 2)],
)
def test_the_direction_flow_ends_at_exactly_the_stable_orientations(p, D, seed):
    X, c = random_data(p, D, seed)
    T = dense(X, c, p)
    T /= np.abs(T).max()
    found = critical_directions(T)
    random = np.random.default_rng(seed)
    starts = random.normal(size=(16 * D, D))
    starts /= np.linalg.norm(starts, axis=1, keepdims=True)
    letters = "abcdefg"[:p]
    spec = f"{letters},{','.join('n' + q for q in letters[1:])}->n{letters[0]}"

    def field(_, flat, sign):
        U = flat.reshape(-1, D)
        U = U / np.linalg.norm(U, axis=1, keepdims=True)
        g = p * np.einsum(spec, T, *[U] * (p - 1)) if p > 1 else np.tile(T, (len(U), 1))
        return (sign * (g - np.einsum("nd,nd->n", g, U)[:, None] * U)).ravel()

    for sign in (1, -1):
        run = solve_ivp(field, (0, 300), starts.ravel(), args=(sign,), method="DOP853", rtol=1e-8)
        end = run.y[:, -1].reshape(-1, D)
        end /= np.linalg.norm(end, axis=1, keepdims=True)
        stable = np.array(
            [
                o.direction
                for line in found
                for o in line.orientations
                if o.sign == sign and o.stability is Stability.STABLE
            ]
        )
        cosines = end @ stable.T
        np.testing.assert_allclose(cosines.max(axis=1), 1, atol=1e-8)
        assert set(cosines.argmax(axis=1)) == set(range(len(stable)))


def test_generic_count_of_the_literature():
    found = critical_directions(*random_data(3, 4, 0), 3)
    assert found.complex_count == sum(comb(4, k) for k in range(1, 5)) == 15
