r"""Linear algebra modulo primes just below $2^{31}$, and its lift to the rationals.

Entries are `int64` in $[0, p)$, so that the product of two of them is exact. Matrix products
run in float64: one factor is split into limbs of 11 bits, and $2^{31} \cdot 2^{11} \cdot 2^{11}$,
the largest sum over 2048 terms, does not exceed $2^{53}$.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import gcd, isqrt, lcm

import numpy as np
from numpy.typing import NDArray
from sympy import prevprime

Residues = NDArray[np.int64]
Vector = tuple[int, ...]

PRIME = 2**31 - 1
_LIMB, _INNER = 11, 2048


def primes() -> Iterator[int]:
    """`PRIME` and the primes below it, in decreasing order."""
    p = PRIME
    while True:
        yield p
        p = int(prevprime(p))


def multiply(a: Residues, b: Residues, p: int) -> Residues:
    r"""$a\,b \bmod p$."""
    out = np.zeros((a.shape[0], b.shape[1]), dtype=np.int64)
    for start in range(0, a.shape[1], _INNER):
        left = a[:, start : start + _INNER].astype(np.float64)
        right = b[start : start + _INNER]
        for shift in (2 * _LIMB, _LIMB, 0):
            limb = ((right >> shift) & ((1 << _LIMB) - 1)).astype(np.float64)
            out = (out + (((left @ limb).astype(np.int64) % p) << shift)) % p
    return out


class Echelon:
    """A subspace of $F_p^n$, grown row by row, as its reduced row echelon basis."""

    def __init__(self, columns: int, p: int) -> None:
        self.p = p
        self.basis: Residues = np.zeros((0, columns), dtype=np.int64)
        self.pivots: list[int] = []

    @property
    def rank(self) -> int:
        """The dimension of the subspace."""
        return len(self.pivots)

    def extend(self, rows: Residues) -> int:
        """Add the span of `rows`; how much the dimension grew."""
        known = multiply(rows[:, self.pivots], self.basis, self.p)
        new, pivots = self._reduce((rows - known) % self.p)
        cleared = self.basis - multiply(self.basis[:, pivots], new, self.p)
        self.basis = np.vstack([cleared % self.p, new])
        self.pivots += pivots
        return len(pivots)

    def _reduce(self, rows: Residues) -> tuple[Residues, list[int]]:
        """Gauss-Jordan elimination of `rows` among themselves."""
        pivots: list[int] = []
        done = 0
        for column in range(rows.shape[1]):
            below = np.flatnonzero(rows[done:, column])
            if below.size == 0:
                continue
            swap = done + int(below[0])
            rows[[done, swap]] = rows[[swap, done]]
            rows[done] = rows[done] * pow(int(rows[done, column]), -1, self.p) % self.p
            others = np.flatnonzero(rows[:, column])
            others = others[others != done]
            rows[others] = (rows[others] - rows[others, column, None] * rows[done]) % self.p
            pivots.append(column)
            done += 1
            if done == rows.shape[0]:
                break
        return rows[:done], pivots

    def kernel(self) -> tuple[list[int], Residues]:
        """The free columns, and the vector orthogonal to the subspace that is 1 at each of them."""
        free = sorted(set(range(self.basis.shape[1])) - set(self.pivots))
        out = np.zeros((len(free), self.basis.shape[1]), dtype=np.int64)
        out[np.arange(len(free)), free] = 1
        out[:, self.pivots] = (-self.basis[:, free].T) % self.p
        return free, out


def rational_kernel(
    rows: Callable[[int], Residues],
    verify: Callable[[Vector], bool],
    attempts: int = 8,
) -> tuple[tuple[Vector, ...], int]:
    """Integer vectors that satisfy linear equations known modulo any prime.

    Args:
        rows: The equations modulo a given prime.
        verify: Whether an integer vector truly satisfies the equations over the rationals.
        attempts: How many primes are combined (Chinese remainders) before giving up.

    Returns:
        The verified vectors, which are linearly independent, and the dimension of the kernel modulo
        a prime, which bounds the true dimension from above. If as many were verified, they are a
        basis of all rational solutions.
    """
    free: list[int] | None = None
    combined: list[list[int]] = []
    modulus, best = 1, ()
    for _, p in zip(range(attempts), primes(), strict=False):
        equations = rows(p)
        echelon = Echelon(equations.shape[1], p)
        echelon.extend(equations)
        columns, kernel = echelon.kernel()
        if free is None or len(columns) < len(free):
            free, modulus, combined = columns, p, kernel.tolist()
        elif columns == free:
            combined = [
                [_chinese(x, modulus, y, p) for x, y in zip(old, new, strict=True)]
                for old, new in zip(combined, kernel.tolist(), strict=True)
            ]
            modulus *= p
        lifted = (_lift(vector, modulus) for vector in combined)
        best = tuple(vector for vector in lifted if vector is not None and verify(vector))
        if len(best) == len(free):
            break
    return best, len(free or ())


def _chinese(x: int, m: int, y: int, p: int) -> int:
    """The residue modulo `m p` that is `x` modulo `m` and `y` modulo `p`."""
    return x + m * ((y - x) * pow(m, -1, p) % p)


def _lift(vector: list[int], modulus: int) -> Vector | None:
    """The primitive integer vector along `vector`, first entry positive, if ratios are small."""
    fractions = {x: _fraction(x, modulus) for x in set(vector)}
    if None in fractions.values():
        return None
    known = {x: f for x, f in fractions.items() if f is not None}
    scale = lcm(*(den for _, den in known.values()))
    numbers = [known[x][0] * (scale // known[x][1]) for x in vector]
    divisor = gcd(*numbers) * (1 if next(filter(None, numbers)) > 0 else -1)
    return tuple(number // divisor for number in numbers)


def _fraction(x: int, modulus: int) -> tuple[int, int] | None:
    r"""The $a/b \equiv x$ with $|a|, b \le \sqrt{m/2}$, which is unique (Wang)."""
    bound = isqrt(modulus // 2)
    (a, b), (u, v) = (modulus, x), (0, 1)
    while b > bound:
        quotient = a // b
        (a, b), (u, v) = (b, a - quotient * b), (v, u - quotient * v)
    if abs(v) > bound or gcd(b, v) != 1:
        return None
    return (b, v) if v > 0 else (-b, -v)


def matrix_kernel(matrix: NDArray[np.int64]) -> tuple[tuple[Vector, ...], int]:
    """A basis of the integer kernel of an integer matrix, and an upper bound of its dimension."""
    exact = matrix.astype(object)
    return rational_kernel(
        lambda p: matrix % p, lambda vector: not (exact @ np.array(vector, dtype=object)).any()
    )
