"""Critical directions that are not isolated or not simple; text; refused input."""

from math import inf, sqrt

import numpy as np
import pytest
import sympy as sp
from symbolic.forms import symmetric

from flowtheory.errors import DataError, ParameterError
from flowtheory.symbolic import Guarantee, Stability, critical_directions
from flowtheory.symbolic.directions.space import _AXES, _rotation

TETRAHEDRON = [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
ONES = [1, 1, 1, 1]


def test_multiple_eigenvalues_are_spheres_of_directions():
    # Eigenvalues 6, 6, 3, with eigenvectors that are not on the axes.
    M = [[5, 1, 1], [1, 5, -1], [1, -1, 5]]
    for given_as, guarantee in ((M, Guarantee.EXACT), (np.array(M, float), Guarantee.EIGEN)):
        found = critical_directions(given_as)
        assert found.guarantee is guarantee
        assert [line.basis.shape[1] for line in found] == [2, 1]
        assert [line.value for line in found] == pytest.approx([6, 3])
        np.testing.assert_allclose(np.array(M) @ found.lines[0].basis, 6 * found.lines[0].basis)
        assert found.count == inf
        assert found.morse_defect is None
    split = np.array(M, float)
    split[0, 0] += 1e-6
    assert [line.basis.shape[1] for line in critical_directions(split)] == [1, 1, 1]


def test_rational_eigenvalues_closer_than_rounding_are_told_apart():
    tiny = sp.Rational(1, 10**20)
    found = critical_directions([[1, 0], [0, 1 + tiny]])
    assert [line.basis.shape[1] for line in found] == [1, 1]
    same = critical_directions([[1, 0], [0, 1]])
    assert [line.basis.shape[1] for line in same] == [2]


U1, U2, U3 = sp.symbols("u1:4")
NORM = U1**2 + U2**2 + U3**2


def test_directions_at_infinity_of_the_first_chart_are_not_lost():
    Q = _rotation(_AXES[0])
    X = (Q * sp.Matrix([[1, 2, 0], [2, -1, 0], [0, 0, 1]])).T.tolist()
    found = critical_directions(X, [1, 1, 1], 3)
    assert found.guarantee is Guarantee.EXACT
    assert (len(found), found.morse_defect) == (7, 0)


def test_a_definite_factor_has_no_real_directions():
    found = critical_directions(symmetric(NORM * (2 * U1 - U2 + 3 * U3), (U1, U2, U3)))
    assert found.guarantee is Guarantee.EXACT
    (line,) = found
    np.testing.assert_allclose(line.direction, np.array([2, -1, 3]) / sqrt(14), atol=1e-15)
    assert line.growing
    squared = critical_directions(symmetric((U1**2 + 2 * U2**2 + 3 * U3**2) ** 2, (U1, U2, U3)))
    assert squared.guarantee is Guarantee.EXACT
    assert [line.value for line in squared] == pytest.approx([9, 4, 1], abs=1e-14)
    assert squared.morse_defect == 0


def test_curves_of_critical_points_are_named():
    circle = critical_directions(symmetric((U1**2 + U2**2) ** 2, (U1, U2)))
    assert circle.guarantee is Guarantee.CURVE
    assert len(circle) == 0
    ring = critical_directions(symmetric(U1**4 + (U2**2 + U3**2) ** 2, (U1, U2, U3)))
    assert ring.guarantee is Guarantee.CURVE
    assert not ring.guarantee.complete
    assert any(np.allclose(np.abs(line.direction), [1, 0, 0]) for line in ring)
    assert ring.morse_defect is None


def test_degenerate_directions_are_marginal():
    # In the plane: slope t^2 (3 - 4t - t^2) on (1, t), so that (1, 0) is a double root.
    found = critical_directions(symmetric(U1**4 + 2 * U1**2 * U2**2 + U1 * U2**3, (U1, U2)))
    assert sorted(line.multiplicity for line in found) == [1, 1, 2]
    (double,) = (line for line in found if line.multiplicity == 2)
    np.testing.assert_array_equal(double.direction, [1, 0])
    assert double.stability(1) is double.stability(-1) is Stability.MARGINAL
    assert not double.growing
    # A monkey saddle at the pole: no rotation separates it, and nothing is promised.
    monkey = NORM**2 + U3 * (U1**3 - 3 * U1 * U2**2)
    fat = critical_directions(symmetric(monkey, (U1, U2, U3)))
    assert fat.guarantee is Guarantee.NONE
    (pole,) = (x for x in fat if np.allclose(x.direction, [0, 0, 1], atol=1e-4))
    assert pole.degenerate
    assert pole.stability(1) is pole.stability(-1) is Stability.MARGINAL
    assert fat.morse_defect is None


def test_rounded_symmetry_is_reported_as_degenerate():
    angle = 2 * np.pi * np.arange(5) / 5
    pentagon = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    # H is constant for p = 4, up to rounding; zero for p = 3.
    assert all(line.degenerate for line in critical_directions(pentagon, np.ones(5), 4))
    with pytest.raises(DataError, match="T_3 vanishes"):
        critical_directions(pentagon, np.ones(5), 3)


def test_text():
    found = critical_directions(TETRAHEDRON, ONES, 3)
    assert repr(found) == (
        "Directions(p=3, D=3: 7 critical lines, 4 growing, 8 orientations; guarantee: exact)"
    )
    text = str(found)
    assert "4 stable growing lines, 8 orientations (2p = 6)" in text
    assert text.count("1.1547") == 4
    assert "(0.5774, 0.5774, 0.5774)" in text
    assert found._repr_latex_().count(r"\text{yes}") == 4


@pytest.mark.parametrize("member", Guarantee)
def test_every_guarantee_has_a_reason(member):
    assert len(member.reason) > 20


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (([[1, 2], [3, 4]],), DataError, "not symmetric"),
        (([[1, 2, 3], [2, 1, 3]],), DataError, r"shape \(2, 3\)"),
        (([[1, 2]], [1, 2], 3), DataError, r"residuals have shape \(2,\)"),
        (([[1, 2]], [1], 0), ParameterError, "order of a moment is 0"),
        (([[1, 2]], [1]), ParameterError, "missing"),
        (([[np.nan, 2.0]], [1], 2), DataError, "X contains nan"),
        (([[sp.Symbol("s"), 2]], [1], 2), DataError, "X contains s"),
        (([["one", 2]], [1], 2), DataError, "X contains one"),
        (([[sp.I, 2]], [1], 2), DataError, "X contains I"),
        (([[1, 2], [1, 2]], [1, -1], 3), DataError, "T_3 vanishes"),
    ],
)
def test_bad_input(arguments, error, words):
    with pytest.raises(error, match=words):
        critical_directions(*arguments)
