"""Modular linear algebra against Python integers and SymPy."""

import numpy as np
import pytest
import sympy as sp

from flowtheory.symbolic.conserve.modular import (
    PRIME,
    Echelon,
    matrix_kernel,
    multiply,
    primes,
    rational_kernel,
)


@pytest.mark.parametrize("inner", [1, 7, 2048, 5000])
def test_products_are_exact_at_the_largest_entries(inner):
    a = np.full((2, inner), PRIME - 1, dtype=np.int64)
    b = np.random.default_rng(inner).integers(0, PRIME, (inner, 3))
    expected = [[-sum(map(int, column)) % PRIME for column in b.T]] * 2
    assert multiply(a, b, PRIME).tolist() == expected
    top = np.full((inner, 1), PRIME - 1, dtype=np.int64)
    assert multiply(a[:1], top, PRIME).tolist() == [[inner % PRIME]]


def test_primes_are_primes_below_the_bound():
    stream = primes()
    first = [next(stream) for _ in range(8)]
    assert first == sorted(first, reverse=True)
    assert first[0] == 2**31 - 1
    assert all(sp.isprime(p) for p in first)


def test_rank_and_kernel_grow_block_by_block():
    rng = np.random.default_rng(0)
    for rank in range(5):
        left, right = rng.integers(-3, 4, (9, rank)), rng.integers(-3, 4, (rank, 6))
        matrix = left @ right
        echelon = Echelon(6, PRIME)
        for block in np.split(matrix % PRIME, 3):
            echelon.extend(block)
        assert echelon.rank == sp.Matrix(matrix).rank()
        free, kernel = echelon.kernel()
        assert len(free) == 6 - echelon.rank
        assert not multiply(matrix % PRIME, kernel.T, PRIME).any()
        identity = echelon.basis[:, echelon.pivots]
        assert identity.tolist() == np.eye(echelon.rank, dtype=int).tolist()


def test_the_kernel_of_an_integer_matrix_is_that_of_sympy():
    matrix = np.random.default_rng(3).integers(-9, 10, (3, 6))
    kernel, bound = matrix_kernel(matrix)
    exact = sp.Matrix(matrix)
    assert len(kernel) == bound == len(exact.nullspace())
    assert all((exact * sp.Matrix(vector)).is_zero_matrix for vector in kernel)
    assert sp.Matrix(kernel).rank() == bound


def test_large_rationals_take_several_primes():
    # The kernel of (a, -b) is spanned by (b, a); 31 bits of one prime cannot hold 60 of a / b.
    a, b = 3**37, 5**25
    asked = []

    def rows(p):
        asked.append(p)
        return np.array([[a % p, -b % p]], dtype=np.int64)

    kernel, bound = rational_kernel(rows, lambda v: a * v[0] == b * v[1])
    assert kernel == ((b, a),)
    assert bound == 1
    assert len(asked) > 3


def test_what_holds_only_modulo_a_prime_is_not_returned():
    # Modulo 2^31 - 1 the row vanishes, so two vectors solve it; over the rationals one does.
    kernel, bound = matrix_kernel(np.array([[PRIME, 2 * PRIME]], dtype=np.int64))
    assert (kernel, bound) == (((2, -1),), 1)
