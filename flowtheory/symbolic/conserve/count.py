r"""The number of independent conservation laws, from both sides.

Below: verified polynomial laws with independent gradients at a random point. Above: $D$ minus the
rank of the generated Lie algebra, of which finitely many values are seen at a random point. Both
bounds are proofs, of laws near a generic point; randomness only decides whether they meet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flowtheory.symbolic.conserve.family import Family
from flowtheory.symbolic.conserve.lie_rank import LieRank, lie_rank
from flowtheory.symbolic.conserve.modular import matrix_kernel
from flowtheory.symbolic.conserve.polynomial import Polynomial, show
from flowtheory.symbolic.conserve.search import independent, polynomial_laws
from flowtheory.symbolic.expression import Expr


@dataclass(frozen=True)
class LawCount:
    r"""How many independent laws there are near a generic point, and those that were found.

    Attributes:
        question: For which flows they hold.
        parameters: $D$.
        lower: At least so many.
        upper: At most so many.
        laws: Found laws, independent and verified over the rationals; `len(laws)` may be below
            `lower` when other laws exist that are not polynomials of the degree searched.
        reason: How the two bounds were got, and why they differ if they do.
    """

    question: str
    parameters: int
    lower: int
    upper: int
    laws: tuple[Expr, ...]
    reason: str

    @property
    def proved(self) -> bool:
        """Whether the count is exact."""
        return self.lower == self.upper


def count_laws(family: Family, degree: int = 2, *, patience: int = 4, seed: int = 0) -> LawCount:
    r"""Find the polynomial laws of `family` up to `degree` and bound the number of all laws.

    If every field is the gradient of a monomial $\theta^{A_a}$, as for ReLU paths, the answer is
    closed and needs no search: $\theta_i \partial_i \theta^{A_a} = A_{ai} \theta^{A_a}$, so that
    the laws are $\sum_i c_i \theta_i^2$ with $A c = 0$, and there are $D - \mathrm{rank} A$.

    >>> from flowtheory.symbolic.conserve.architectures import linear
    >>> count = count_laws(linear([1, 2, 2]))
    >>> count.lower, count.upper, count.proved, count.laws[0]
    (3, 3, True, W1_1_1**2 - W2_1_1**2 - W2_2_1**2)

    Args:
        family: The fields, from `all_data`, `gradients`, `leading_order` or `one_flow`.
        degree: The highest degree searched.
        patience: Orders without growth of the rank after which a gap is reported.
        seed: Of the random points and controls.
    """
    if family.monomials is not None:
        return _count_monomial(family)
    found = polynomial_laws(family, degree, seed=seed)
    known = len(found.independent)
    transported = lie_rank(family, family.dimension - known, patience=patience, seed=seed)
    upper = family.dimension - transported.rank
    lower = max(known, family.dimension - 1) if len(family.fields) == 1 else known
    return _count(
        family, (lower, upper), found.independent, _reason(lower, known, degree, transported)
    )


def _count(
    family: Family, bounds: tuple[int, int], laws: tuple[Polynomial, ...], reason: str
) -> LawCount:
    shown = tuple(show(law, family.parameters) for law in laws)
    return LawCount(family.question, family.dimension, *bounds, shown, reason)


def _count_monomial(family: Family) -> LawCount:
    exponents = np.zeros((len(family.fields), family.dimension), dtype=np.int64)
    for row, potential in zip(exponents, family.monomials or (), strict=True):
        (monomial,) = potential
        for i in monomial:
            row[i] += 1
    kernel, upper = matrix_kernel(exponents)
    laws = [{(i, i): c for i, c in enumerate(vector) if c} for vector in kernel]
    kept = independent(laws, family.dimension)
    rank = family.dimension - upper
    reason = f"every field is the gradient of a monomial; their exponents have rank {rank}"
    return _count(family, (len(kept), upper), kept, reason)


def _reason(lower: int, known: int, degree: int, transported: LieRank) -> str:
    found = f"{known} independent polynomial laws of degree <= {degree}"
    order = len(transported.history) - 1
    if not transported.stalled:
        return f"{found}; the Lie algebra has the complementary rank at order {order}"
    if lower > known:
        return f"{found}; one field has D - 1 local first integrals, not all of them polynomial"
    return (
        f"{found}; the rank of the Lie algebra rests at {transported.rank} up to order {order}: "
        "further laws are of higher degree or no polynomials, or the rank grows at a higher order"
    )
