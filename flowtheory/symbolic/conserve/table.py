r"""A family of fields compiled to arrays modulo a prime: all its monomials at once.

Every monomial is the product of its prefix and one variable, so that all of them are evaluated
degree by degree, on numbers or on truncated power series in $t$.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from flowtheory.symbolic.conserve.family import Family
from flowtheory.symbolic.conserve.modular import Residues
from flowtheory.symbolic.conserve.polynomial import Monomial, partial, variables


@dataclass(frozen=True)
class Terms:
    """Terms of fields or of their Jacobians: one entry of each array for each term.

    Attributes:
        field: The number of the field.
        row: Its component.
        column: The variable of the derivative; 0 for the terms of the fields themselves.
        coefficient: The coefficient modulo the prime.
        monomial: The number of the monomial.
    """

    field: Residues
    row: Residues
    column: Residues
    coefficient: Residues
    monomial: Residues


class Table:
    """The fields of a family, and their Jacobians if asked for, modulo `p`."""

    def __init__(self, family: Family, p: int, jacobians: bool) -> None:
        self.p = p
        self.dimension = family.dimension
        self.fields = len(family.fields)
        entries = list(_field_terms(family))
        second = list(_jacobian_terms(family)) if jacobians else []
        self._number, self._levels = _prefix_tree(m for *_, m in entries + second)
        self.terms = self._pack(entries)
        self.jacobian = self._pack(second)

    @property
    def size(self) -> int:
        """The number of monomials."""
        return len(self._number)

    def monomials(self, points: Residues) -> Residues:
        """All monomials (columns) at points (rows)."""
        values = np.ones((len(points), self.size), dtype=np.int64)
        for own, parent, variable in self._levels:
            values[:, own] = values[:, parent] * points[:, variable] % self.p
        return values

    def extend_series(self, values: Residues, theta: Residues, k: int) -> None:
        r"""Fill in the coefficients of $t^k$ of all monomials, given those of lower order.

        Row $k$ of `values` and of `theta` holds the coefficients of $t^k$.
        """
        values[k, 0] = k == 0
        for own, parent, variable in self._levels:
            products = values[: k + 1, parent] * theta[k::-1, variable] % self.p
            values[k, own] = products.sum(axis=0) % self.p

    def _pack(self, entries: list[tuple[int, int, int, int, Monomial]]) -> Terms:
        columns = [
            (field, row, column, c % self.p, self._number[m])
            for field, row, column, c, m in entries
        ]
        return Terms(*np.array(columns, dtype=np.int64).reshape(-1, 5).T)


def _field_terms(family: Family) -> Iterable[tuple[int, int, int, int, Monomial]]:
    for j, field in enumerate(family.fields):
        for i, component in field.items():
            for m, c in component.items():
                yield j, i, 0, c, m


def _jacobian_terms(family: Family) -> Iterable[tuple[int, int, int, int, Monomial]]:
    for j, field in enumerate(family.fields):
        for i, component in field.items():
            for k in variables(component):
                for m, c in partial(component, k).items():
                    yield j, i, k, c, m


def _prefix_tree(
    monomials: Iterable[Monomial],
) -> tuple[dict[Monomial, int], list[tuple[Residues, Residues, Residues]]]:
    """Numbers for all prefixes, and by degree: own number, number of the prefix, last variable."""
    closed: set[Monomial] = {()}
    closed |= {m[:d] for m in set(monomials) for d in range(len(m) + 1)}
    ordered = sorted(closed, key=len)
    number = {m: k for k, m in enumerate(ordered)}
    levels = []
    for degree in range(1, max(map(len, ordered)) + 1):
        rows = [(number[m], number[m[:-1]], m[-1]) for m in ordered if len(m) == degree]
        own, parent, variable = np.array(rows, dtype=np.int64).T
        levels.append((own, parent, variable))
    return number, levels
