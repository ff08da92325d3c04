r"""Data moments: every sum over samples in an expression gets a name, and leaves the expression.

The leading part of a smooth network depends on the data through a few moments only, such as
$z_p = \sum_i c_i x_{ip}$ for multiplicity 1 or $T_{pqr} = \sum_i c_i x_{ip}x_{iq}x_{ir}$ for
multiplicity 3, whatever the width, the depth and the number of samples.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from sympy import Add, Mul, Pow, S, Sum, Symbol

from flowtheory.symbolic.contract import contract
from flowtheory.symbolic.expand import leading_power
from flowtheory.symbolic.expression import Expr, Indexed, IndexedBase
from flowtheory.symbolic.index import axes_of, fresh, rebuild, sum_over, tensor, tidy
from flowtheory.symbolic.normal import normal

HIGHEST_ORDER = 6
"""Moments of more inputs are not named: their entries are too many to be of use."""


@dataclass(frozen=True)
class Moment:
    r"""A sum over samples.

    Attributes:
        entry: Its generic entry, for example $z_p$; of rank 0 if it has no index.
        definition: The sum.
        weights: The names of the tensors other than the inputs in it, for example ("c",).
        order: How many inputs it has.
    """

    entry: Indexed
    definition: Expr
    weights: tuple[str, ...]
    order: int


@dataclass(frozen=True)
class MomentForm:
    """An expression in terms of moments.

    Attributes:
        expression: Without data.
        moments: The moments in it, in order of appearance.
    """

    expression: Expr
    moments: tuple[Moment, ...]

    def without(self, vanishing: Iterable[Moment]) -> Expr:
        """The expression with some moments put to zero."""
        gone = {moment.entry.base for moment in vanishing}
        terms = Add.make_args(self.expression)
        return Add(*(t for t in terms if not any(e.base in gone for e in t.atoms(Indexed))))


def name_moments(
    expr: Expr,
    sample: tuple[Symbol, Expr],
    inputs: Iterable[Indexed],
    weights: Iterable[Indexed],
) -> MomentForm | None:
    """`expr` with its sums over `sample` named; None if the data enter in another way.

    That is, if they are not in it as a polynomial, or of a degree above `HIGHEST_ORDER`.

    Args:
        expr: An expression in which the data occur in sums over samples.
        sample: The index of the samples and their number.
        inputs: The generic entries of the inputs; without inputs no moment is named.
        weights: The generic entries of the other tensors with an axis of samples.
    """
    bases = [x.base for x in inputs]
    if not bases or leading_power(expr, dict.fromkeys(bases, 1)) > HIGHEST_ORDER:
        return None
    namer = _Namer(expr, sample[1], bases, [w.base for w in weights])
    terms = [namer.term(term) for term in Add.make_args(normal(expr))]
    if any(term is None for term in terms):
        return None
    return MomentForm(Add(*(tidy(term) for term in terms)), tuple(namer.found.values()))


def fold_moments(
    expr: Expr,
    sample: tuple[Symbol, Expr],
    inputs: Iterable[Indexed],
    weights: Iterable[Indexed],
) -> MomentForm:
    r"""`expr` with those sums over samples named that can be without multiplying anything out.

    A sum over samples is exchanged with the sums inside it, $\sum_i c_i \sum_p w_p x_{ip} =
    \sum_p w_p z_p$; a power of a sum stays as it is, and with it the data.
    """
    bases = [x.base for x in inputs]
    if not bases:
        return MomentForm(expr, ())
    namer = _Namer(expr, sample[1], bases, [w.base for w in weights])
    folded = tidy(contract(namer.fold(contract(expr))))
    used = {e.base for e in folded.atoms(Indexed)}
    return MomentForm(folded, tuple(m for m in namer.found.values() if m.entry.base in used))


class _Namer:
    """Takes the terms of a normal form apart and keeps the moments that it has met."""

    def __init__(
        self, expr: Expr, samples: Expr, inputs: list[IndexedBase], weights: list[IndexedBase]
    ) -> None:
        self.samples, self.inputs, self.weights = samples, inputs, weights
        self.found: dict[tuple, Moment] = {}
        self.taken = {str(entry.base) for entry in expr.atoms(Indexed)}

    def term(self, term: Expr) -> Expr | None:
        product: Expr = S.One
        for factor in Mul.make_args(term):
            part = self._factor(factor)
            if part is None:
                return None
            product = product * part
        return product

    def _factor(self, factor: Expr) -> Expr | None:
        """One group of connected sums (or what is no sum), with its sums over samples named."""
        if isinstance(factor, Pow) and factor.exp.is_Integer and isinstance(factor.base, Sum):
            base = self._factor(factor.base)
            return None if base is None else base**factor.exp
        if not isinstance(factor, Sum):
            return factor if self._free_of_data(factor) else None
        axes, body = axes_of(factor), cast("Expr", factor.function)
        entries = [e for f in Mul.make_args(body) for e in _repeated(f)]
        kept = [axis for axis in axes if axis[1] != self.samples]
        for i, extent in axes:
            if extent != self.samples:
                continue
            mine = [e for e in entries if i in e.free_symbols]
            if not all(isinstance(e, Indexed) and self._is_data(e) for e in mine):
                return None
            entries = [e for e in entries if i not in e.free_symbols] + [self._moment(mine, i)]
        rest = Mul(*entries)
        return sum_over(rest, *kept) if self._free_of_data(rest) else None

    def fold(self, expr: Expr) -> Expr:
        """`expr` with the sums over samples named that allow it."""
        if isinstance(expr, Indexed) or not expr.args:
            return expr
        if isinstance(expr, Sum):
            axes, body = axes_of(expr), cast("Expr", expr.function)
            outer = [axis for axis in axes if axis[1] == self.samples]
            if len(outer) == 1:
                (sample,), others = outer, [axis for axis in axes if axis not in outer]
                moved = self._exchange(body, sample[0])
                if moved is not None:
                    return sum_over(moved, *others)
        return rebuild(expr, map(self.fold, expr.args))

    def _exchange(self, body: Expr, i: Symbol) -> Expr | None:
        """The sum of `body` over the samples $i$, if it ends in a moment."""
        factors = [e for f in Mul.make_args(body) for e in _repeated(f)]
        mine = [e for e in factors if i in e.free_symbols]
        rest = Mul(*(e for e in factors if i not in e.free_symbols))
        inner = [e for e in mine if not isinstance(e, Indexed)]
        if not all(self._is_data(e) for e in mine if e not in inner):
            return None
        if not inner:
            return rest * self._moment(mine, i)
        if len(inner) > 1 or not isinstance(inner[0], Sum):
            return None
        kept = [e for e in mine if e not in inner]
        moved = self._exchange(Mul(*kept, cast("Expr", inner[0].function)), i)
        return None if moved is None else rest * sum_over(moved, *axes_of(inner[0]))

    def _moment(self, entries: list[Indexed], i: Symbol) -> Indexed:
        """The entry of the moment that is the sum of the product of `entries` over $i$."""
        ordered = sorted(entries, key=lambda e: (e.base in self.inputs, str(e.base)))
        names = tuple(str(e.base) for e in ordered)
        if names not in self.found:
            self.found[names] = self._define(ordered, i)
        indices = tuple(k for e in ordered for k in e.indices if k != i)
        return self.found[names].entry.base[indices]

    def _define(self, entries: list[Indexed], i: Symbol) -> Moment:
        shape = tuple(s for e in entries for s in e.shape if s != self.samples)
        taken: list[Symbol] = [i]
        for extent in shape:
            taken.append(fresh(extent, taken))
        letters = iter(taken[1:])
        product = [
            e.base[tuple(i if k == i else next(letters) for k in e.indices)] for e in entries
        ]
        weights = tuple(str(e.base) for e in entries if e.base not in self.inputs)
        order = len(entries) - len(weights)
        name = _moment_name(weights, order, len(shape))
        if len(self.inputs) > 1:
            name = "_".join([name, *(_branch(e) for e in entries if e.base in self.inputs)])
        while name in self.taken:
            name += "'"
        base = tensor(name, *shape)
        return Moment(
            base[tuple(taken[1:])],
            tidy(sum_over(Mul(*product), (i, self.samples))),
            weights,
            order,
        )

    def _is_data(self, entry: Indexed) -> bool:
        return entry.base in self.inputs or entry.base in self.weights

    def _free_of_data(self, expr: Expr) -> bool:
        return not any(self._is_data(entry) for entry in expr.atoms(Indexed))


def _repeated(factor: Expr) -> list[Expr]:
    """A power of an entry as its factors."""
    if isinstance(factor, Pow) and factor.exp.is_Integer and factor.exp > 0:
        return [factor.base] * int(factor.exp)
    return [factor]


def _branch(inputs: Indexed) -> str:
    """A of the inputs x_A."""
    name = str(inputs.base)
    return name.partition("_")[2] or name


def _moment_name(weights: tuple[str, ...], order: int, rank: int) -> str:
    """The field's names for the first ones: z, M, T_3; with curvatures G."""
    if weights == ("c",) and order == 0:
        return "cbar"
    known: dict[tuple[str, ...], str] = {("c",): "T", ("h",): "G"}
    letters = known.get(weights, "S_" + "".join(weights))
    if weights == ("c",) and order == 1:
        return "z" if rank == 1 else "Z"
    if order == 2:
        return "M" if weights == ("c",) else letters
    return f"{letters}_{order}"
