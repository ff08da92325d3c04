r"""All polynomial conservation laws up to a degree, by exact linear algebra.

A polynomial $h = \sum_e h_e \theta^e$ is a law iff $\sum_e h_e\, X\theta^e = 0$ for every
combination $X = \sum_j c_j \chi_j$ of the fields. At random $(c, \theta)$ modulo a prime this is
one equation for $h$; as many as unknowns determine the laws. They are lifted to the rationals
and verified there, by differentiating them along every field.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb

import numpy as np

from flowtheory.errors import ParameterError
from flowtheory.symbolic.conserve.family import Family
from flowtheory.symbolic.conserve.modular import PRIME, Echelon, Residues, multiply, rational_kernel
from flowtheory.symbolic.conserve.polynomial import Field, Monomial, Polynomial, along, partial
from flowtheory.symbolic.conserve.table import Table

MAX_UNKNOWNS, MAX_BLOCK = 200_000, 1500
_SPARE_EQUATIONS = 8


@dataclass(frozen=True)
class PolynomialLaws:
    """The polynomial laws of a family up to a degree.

    Attributes:
        degree: The highest degree that was searched.
        span: A basis of all laws up to this degree without the constant, verified over the
            rationals. Products of laws are among them.
        independent: A subset with linearly independent gradients at a random point.
        complete: Whether `span` is proved to hold all of them.
    """

    degree: int
    span: tuple[Polynomial, ...]
    independent: tuple[Polynomial, ...]
    complete: bool


def polynomial_laws(family: Family, degree: int = 2, *, seed: int = 0) -> PolynomialLaws:
    """Find and verify all polynomial laws of `family` up to `degree`.

    Args:
        family: The fields.
        degree: The highest degree of a law, at least 1.
        seed: Of the random points; if `complete`, `span` does not depend on it.
    """
    _check_size(family.dimension, degree)
    span: list[Polynomial] = []
    complete = True
    blocks = _blocks(family, degree)
    largest = max(map(len, blocks))
    if largest > MAX_BLOCK:
        raise ParameterError(
            f"{largest} unknown coefficients that no symmetry separates",
            expected=f"at most {MAX_BLOCK}",
            fix="lower the degree, or take smaller sizes",
        )
    equations = _Equations(family, largest + _SPARE_EQUATIONS, seed)
    for block in _promising(blocks, equations):
        laws, bound = _laws_of_block(family, block, equations)
        span += laws
        complete = complete and len(laws) == bound
    span.sort(key=lambda law: (max(map(len, law)), len(law), sorted(law)))
    return PolynomialLaws(degree, tuple(span), independent(span, family.dimension), complete)


def independent(
    laws: Iterable[Polynomial], dimension: int, seed: int = 0
) -> tuple[Polynomial, ...]:
    """The laws, in order, whose gradient at a random point is not spanned by the ones before."""
    point = np.random.default_rng(seed).integers(1, PRIME, dimension).tolist()
    echelon = Echelon(dimension, PRIME)
    return tuple(law for law in laws if echelon.extend(_gradient_at(law, point)))


def is_law(quantity: Polynomial, fields: Iterable[Field]) -> bool:
    """Whether the derivative of `quantity` along every field is the polynomial 0."""
    return not any(along(quantity, field) for field in fields)


def _gradient_at(law: Polynomial, point: Sequence[int]) -> Residues:
    row = np.zeros((1, len(point)), dtype=np.int64)
    for i in {i for monomial in law for i in monomial}:
        total = 0
        for monomial, c in partial(law, i).items():
            for j in monomial:
                c = c * point[j] % PRIME
            total += c
        row[0, i] = total % PRIME
    return row


def _check_size(dimension: int, degree: int) -> None:
    if degree < 1:
        raise ParameterError(
            f"the degree is {degree}", expected="1 or more", fix="2 finds the usual laws"
        )
    unknowns = comb(dimension + degree, degree) - 1
    if unknowns > MAX_UNKNOWNS:
        raise ParameterError(
            f"{unknowns} monomials of degree {degree} in {dimension} parameters",
            expected=f"at most {MAX_UNKNOWNS}",
            fix="lower the degree, or take smaller sizes",
        )


def _laws_of_block(
    family: Family, block: list[Monomial], equations: _Equations
) -> tuple[list[Polynomial], int]:
    def polynomial(vector: Iterable[int]) -> Polynomial:
        return {m: c for m, c in zip(block, vector, strict=True) if c}

    kernel, bound = rational_kernel(
        lambda p: equations(block, p, len(block) + _SPARE_EQUATIONS),
        lambda vector: is_law(polynomial(vector), family.fields),
    )
    return [polynomial(vector) for vector in kernel], bound


def _promising(blocks: list[list[Monomial]], equations: _Equations) -> Iterator[list[Monomial]]:
    """The blocks that may hold a law: a lone monomial must have the derivative 0 at a point."""
    lone = [block[0] for block in blocks if len(block) == 1]
    derivatives = equations(lone, PRIME, 1)[0] if lone else []
    moving = {monomial for monomial, rate in zip(lone, derivatives, strict=True) if rate}
    yield from (block for block in blocks if block[0] not in moving)


class _Equations:
    """Up to `largest` random equations modulo any prime for the coefficients of a block."""

    def __init__(self, family: Family, largest: int, seed: int) -> None:
        self._family, self._largest, self._seed = family, largest, seed
        self._points: dict[int, tuple[Residues, Residues]] = {}

    def __call__(self, block: list[Monomial], p: int, count: int) -> Residues:
        r"""`count` rows $X\theta^e = \theta^e \sum_i e_i X_i/\theta_i$ at one point each."""
        points, ratios = self._sample(p)
        powers = np.zeros((self._family.dimension, len(block)), dtype=np.int64)
        values = np.ones((count, len(block)), dtype=np.int64)
        for column, monomial in enumerate(block):
            for i in monomial:
                powers[i, column] += 1
                values[:, column] = values[:, column] * points[:count, i] % p
        return values * multiply(ratios[:count], powers, p) % p

    def _sample(self, p: int) -> tuple[Residues, Residues]:
        r"""Random points $\theta$ and the values $X_i/\theta_i$ there."""
        if p not in self._points:
            count = self._largest
            rng = np.random.default_rng(self._seed)
            table = Table(self._family, p, jacobians=False)
            points = rng.integers(1, p, (count, table.dimension))
            controls = rng.integers(0, p, (count, table.fields))
            terms, monomials = table.terms, table.monomials(points)
            weights = terms.coefficient * controls[:, terms.field] % p
            field = np.zeros((table.dimension, count), dtype=np.int64)
            np.add.at(field, terms.row, (weights * monomials[:, terms.monomial] % p).T)
            self._points[p] = points, field.T % p * _inverses(points, p) % p
        return self._points[p]


def _inverses(values: Residues, p: int) -> Residues:
    """$x^{p-2}$, by repeated squaring."""
    out, power, exponent = np.ones_like(values), values, p - 2
    while exponent:
        if exponent & 1:
            out = out * power % p
        power = power * power % p
        exponent >>= 1
    return out


def _blocks(family: Family, degree: int) -> list[list[Monomial]]:
    r"""The monomials of degree 1 to `degree`, in classes that no law needs to mix.

    A grading $g \in F_2^D$ in which every term $\theta^\alpha\partial_i$ of a field has the same
    weight $\langle g, \alpha\rangle + g_i$ splits each law into its even and odd part. Fields
    that are homogeneous split it by degree as well.
    """
    signature = _parities(family)
    homogeneous = all(
        len({len(m) for component in field.values() for m in component}) == 1
        for field in family.fields
    )
    blocks: dict[tuple[int, int], list[Monomial]] = {}
    for d in range(1, degree + 1):
        for monomial in combinations_with_replacement(range(family.dimension), d):
            weight = 0
            for i in monomial:
                weight ^= signature[i]
            blocks.setdefault((d if homogeneous else 0, weight), []).append(monomial)
    return list(blocks.values())


def _parities(family: Family) -> list[int]:
    r"""For each variable, the bits $g_i$ of all gradings $g$ of a basis."""
    basis: dict[int, int] = {}
    for row in {row for field in family.fields for row in _weight_differences(field)}:
        for lead, known in basis.items():
            if row >> lead & 1:
                row ^= known
        if row:
            lead = row.bit_length() - 1
            for other, known in basis.items():
                if known >> lead & 1:
                    basis[other] = known ^ row
            basis[lead] = row
    free = [i for i in range(family.dimension) if i not in basis]
    bits = {f: 1 << k for k, f in enumerate(free)}
    for lead, row in basis.items():
        bits[lead] = sum(1 << k for k, f in enumerate(free) if row >> f & 1)
    return [bits[i] for i in range(family.dimension)]


def _weight_differences(field: Field) -> set[int]:
    """As bit masks, the exponents modulo 2 of each term minus those of the first."""
    masks = set()
    for i, component in field.items():
        for monomial in component:
            mask = 1 << i
            for j in monomial:
                mask ^= 1 << j
            masks.add(mask)
    first = min(masks, default=0)
    return {mask ^ first for mask in masks if mask != first}
