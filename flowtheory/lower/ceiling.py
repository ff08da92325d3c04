r"""The largest $\hat h = H/\prod_l|W_l|^{d_l}$, from the potential in terms of data moments.

For one term with coefficient $\kappa$ and the data moment $T$,

$$|H| \le \kappa\,\|T\|\prod_l |W_l|^{d_l},$$

where $\|T\|$ is the top singular value of $T$ as a matrix of its first axis against the others: it
bounds the sums over the axes of $T$ by the norms of rows and columns, and the sums over neurons are
bounded by Hölder's inequality, since every neuron index occurs in two factors at least. It is
attained by a chain (multiplicity 1), and for two layers of multiplicity 2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from sympy import Mul, Pow, S, Sum, Symbol

from flowtheory.lower.scalar import numeric
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.moments import Moment

Seen = Mapping[str, tuple[int, np.ndarray]]
"""Tensor name -> (axis, unit vector): of the tensor, only its component along it is in H."""


@dataclass(frozen=True)
class Ceiling:
    r"""$\hat h_{\max}$ for given data.

    Attributes:
        value: $\hat h_{\max}$, or an upper bound of it.
        seen: what a moment of rank one sees of the tensors that it is contracted with; empty for
            any other moment.
    """

    value: float
    seen: Seen


@dataclass(frozen=True)
class MomentTerm:
    """A sum of products of one data moment and parameters.

    Attributes:
        coefficient: The number in front; it may depend on the number of samples.
        moment: The moment.
        entry: Its entry in the product.
        factors: The parameters, with their multiplicities.
    """

    coefficient: Expr
    moment: Moment
    entry: Indexed
    factors: tuple[tuple[Indexed, int], ...]

    def coefficient_at(self, values: Mapping[str, float]) -> float:
        """The coefficient for these sizes and constants."""
        symbols = sorted(self.coefficient.free_symbols, key=str)
        return float(numeric(self.coefficient, symbols)(*(values[str(s)] for s in symbols)))

    def seen(self, vectors: Iterable[np.ndarray]) -> Seen:
        """The tensors that the moment is contracted with, axis by axis, and its vectors there."""
        found = {}
        for index, vector in zip(self.entry.indices, vectors, strict=False):
            ((factor, _),) = [f for f in self.factors if index in f[0].indices]
            found[str(factor.base)] = (factor.indices.index(index), vector)
        return found


def moment_term(term: Expr, moments: Iterable[Moment]) -> MomentTerm | None:
    """The parts of a term of the potential; None if the bound does not hold for it."""
    coefficient, inner = term.as_independent(Sum, as_Add=False) if term.has(Sum) else (S.One, term)
    while isinstance(inner, Sum):
        inner = inner.function
    known = {moment.entry.base: moment for moment in moments}
    found: list[tuple[Indexed, Moment]] = []
    factors: list[tuple[Indexed, int]] = []
    parts: tuple[Expr, ...] = Mul.make_args(inner)  # type: ignore[arg-type]
    for factor in parts:
        base, power = factor.as_base_exp() if isinstance(factor, Pow) else (factor, S.One)
        if not isinstance(base, Indexed):
            coefficient *= factor
        elif base.base in known:
            found.append((base, known[base.base]))
        else:
            factors.append((base, int(power)))
    if len(found) != 1 or coefficient.has(Indexed, Sum) or not _bounded(found[0][0], factors):
        return None
    return MomentTerm(coefficient, found[0][1], found[0][0], tuple(factors))


def _bounded(entry: Indexed, factors: list[tuple[Indexed, int]]) -> bool:
    """Every axis of the moment meets one factor, and every other index two or more."""
    count: Counter[Symbol] = Counter()
    for factor, power in factors:
        for index in factor.indices:
            count[index] += power
    once = len(set(entry.indices)) == len(entry.indices) > 0
    own = all(count[index] == 1 for index in entry.indices)
    return once and own and all(n > 1 for i, n in count.items() if i not in entry.indices)


def is_chain(term: MomentTerm) -> bool:
    """Whether a term is a trace of a product of matrices, the moment among them."""
    tensors = [set(term.entry.indices), *(set(factor.indices) for factor, _ in term.factors)]
    indices = Counter(index for tensor in tensors for index in tensor)
    plain = all(power == 1 for _, power in term.factors)
    if not plain or max(map(len, tensors)) > 2 or set(indices.values()) != {2}:
        return False
    reached = set(tensors[0])
    for _ in tensors:
        reached = reached.union(*(tensor for tensor in tensors if tensor & reached))
    return reached == set(indices)


def three_layers(term: MomentTerm) -> tuple[str, str, str, bool] | None:
    """The names along a chain of three layers that starts at a vector moment, else None.

    The last entry says whether the middle tensor has its axis towards the first layer first.
    """
    if not is_chain(term) or len(term.entry.indices) != 1 or len(term.factors) != 3:
        return None
    factors = [factor for factor, _ in term.factors]
    (first,) = [f for f in factors if term.entry.indices[0] in f.indices]
    middle = next(f for f in factors if f is not first and set(f.indices) & set(first.indices))
    (last,) = [f for f in factors if f is not first and f is not middle]
    towards = middle.indices[0] in first.indices
    return str(first.base), str(middle.base), str(last.base), towards
