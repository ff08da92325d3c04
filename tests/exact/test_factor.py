"""The factor that gains and loses members against fresh ones, and the box problem against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from exact.reference import box_reference

CAPACITY = 24


def gram(rng, size, dim):
    vectors = rng.standard_normal((size, dim)) * np.exp(rng.standard_normal((size, 1)))
    return vectors @ vectors.T


@pytest.mark.parametrize("seed", range(6))
def test_an_updated_factor_is_the_fresh_one(seed):
    from flowtheory.box.factor import append, empty_factor, newton_step, remove

    rng = np.random.default_rng(seed)
    h, factor = gram(rng, 40, 30), empty_factor(CAPACITY)
    members, count, worst = [], 0, 0.0
    for _ in range(3000):
        outside = [i for i in range(40) if i not in members]
        if count < CAPACITY and (count == 0 or rng.random() < 0.52):
            new = int(rng.choice(outside))
            assert append(factor, count, h, new)
            members.append(new)
            count += 1
        else:
            position = int(rng.integers(count))
            count = remove(factor, count, position)
            del members[position]
        assert factor.members[:count].tolist() == members
        block = h[np.ix_(members, members)]
        upper = np.triu(factor.upper[:count, :count])
        # Backward error: what the factor is the exact factor of, scaled by the diagonal.
        unit = np.sqrt(np.outer(np.diag(block), np.diag(block)))
        worst = max(worst, float(np.max(np.abs(upper.T @ upper - block) / unit, initial=0)))
        if count:
            fresh = np.linalg.cholesky(block).T
            loss = np.linalg.cond(block)
            np.testing.assert_allclose(
                upper, fresh, rtol=0, atol=1e-14 * loss * np.abs(fresh).max()
            )
            np.testing.assert_array_equal(factor.inverse[:count], 1 / np.diag(upper))
            b, step = rng.standard_normal(40), np.empty(CAPACITY)
            newton_step(factor, count, b, step)
            exact = np.linalg.solve(block, -b[members])
            np.testing.assert_allclose(
                step[:count], exact, rtol=0, atol=1e-13 * loss * np.abs(exact).max()
            )
    assert worst < 1e-13  # after 3000 updates without a fresh one


def test_a_dependent_datum_and_a_full_factor_are_refused():
    from flowtheory.box.factor import append, empty_factor

    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((6, 4))
    vectors[3] = vectors[0] - 2 * vectors[1]
    h, factor = vectors @ vectors.T, empty_factor(4)
    assert [append(factor, count, h, count) for count in range(3)] == [True] * 3
    assert not append(factor, 3, h, 3)
    assert append(factor, 3, h, 4)
    assert not append(factor, 4, h, 5)
    assert factor.members.tolist() == [0, 1, 2, 4]


@pytest.mark.parametrize("seed", range(4))
def test_the_box_problem_from_any_start(seed):
    from flowtheory.box.solve import box_least_squares

    rng = np.random.default_rng(seed)
    for _ in range(60):
        size = int(rng.integers(1, 9))
        vectors, base = rng.standard_normal((size, 10)), 2 * rng.standard_normal(10)
        lam = np.clip(rng.uniform(-0.5, 1.5, size), 0, 1)
        b = vectors @ (base + lam @ vectors)
        assert box_least_squares(vectors @ vectors.T, b, lam, np.full(size, 1e-14))
        np.testing.assert_allclose(lam, box_reference(vectors, base), atol=1e-11)
