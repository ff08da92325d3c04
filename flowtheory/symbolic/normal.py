r"""A normal form for sums of products, which decides equality of index-notation expressions.

Everything is multiplied out to sums of products, deltas are eliminated, and bound indices get
canonical names: of all assignments of names to the bound indices of equal size, the
one whose product sorts first. Functions and non-integer powers are atoms with arguments in normal
form. Expressions with equal normal forms are equal; the converse holds for polynomials in the
atoms, except that equal multiple sums over equal sizes *inside* an atom may be missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product

from sympy import Add, Dummy, Function, KroneckerDelta, Mul, Pow, Sum, Symbol

from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.index import axes_of, rebuild, substitute, sum_over

Axes = tuple[tuple[Symbol, Expr], ...]


@dataclass(frozen=True)
class _Term:
    """The product of `factors`, summed over `axes`, whose indices are unique dummies."""

    factors: tuple[Expr, ...]
    axes: Axes = ()

    def times(self, other: _Term) -> _Term:
        return _Term(self.factors + other.factors, self.axes + other.axes)


def normal(expr: Expr) -> Expr:
    """The normal form of `expr`."""
    return Add(*(_canonical(term) for term in _terms(expr)))


def is_zero(expr: Expr) -> bool:
    """Whether the normal form of `expr` is 0 (a proof of zero; False proves nothing)."""
    return normal(expr) == 0


def fold(expr: Expr, names: Mapping[Expr, Expr]) -> Expr:
    """Replace every `Sum` in `expr` that equals a key of `names` by its value."""
    table = {normal(key): value for key, value in names.items()}
    heads = {_heads(key) for key in names}

    def visit(node: Expr) -> Expr:
        # The normal form is worth its price only where it can match.
        if isinstance(node, Sum) and _heads(node) in heads:
            name = table.get(normal(node))
            if name is not None:
                return name
        if isinstance(node, Indexed) or not node.args:
            return node
        return rebuild(node, map(visit, node.args))

    return visit(expr)


def _heads(expr: Expr) -> frozenset[Expr]:
    """The tensors and functions in an expression, which its normal form keeps."""
    functions = {node.func for node in expr.atoms(Function)}
    return frozenset({entry.base for entry in expr.atoms(Indexed)} | functions)


def _terms(expr: Expr) -> Iterator[_Term]:
    if isinstance(expr, Add):
        for arg in expr.args:
            yield from _terms(arg)
    elif isinstance(expr, Mul):
        yield from _multiply(expr.args)
    elif isinstance(expr, Pow) and expr.exp.is_Integer and expr.exp > 1 and _splits(expr.base):
        yield from _multiply([expr.base] * int(expr.exp))
    elif isinstance(expr, Sum):
        axes = tuple((Dummy(str(i), integer=True, positive=True), s) for i, s in axes_of(expr))
        fresh = {i: dummy for (i, _), (dummy, _) in zip(axes_of(expr), axes, strict=True)}
        for term in _terms(substitute(expr.function, fresh)):
            yield term.times(_Term((), axes))
    elif isinstance(expr, Indexed | KroneckerDelta) or not expr.args:
        yield _Term((expr,))
    else:
        yield _Term((rebuild(expr, map(normal, expr.args)),))


def _splits(base: Expr) -> bool:
    return isinstance(base, Add | Sum) or (isinstance(base, Mul) and any(map(_splits, base.args)))


def _multiply(factors: Sequence[Expr]) -> Iterator[_Term]:
    # Each factor is expanded by its own call, so equal factors get distinct dummies.
    for combination in product(*(tuple(_terms(factor)) for factor in factors)):
        term = _Term(())
        for part in combination:
            term = term.times(part)
        yield term


def _canonical(term: _Term) -> Expr:
    body, axes = _eliminate_deltas(Mul(*term.factors), list(term.axes))
    used = body.free_symbols
    multiplicity = Mul(*(extent for i, extent in axes if i not in used))
    bound = [(i, extent) for i, extent in axes if i in used]
    groups = _connected(list(Mul.make_args(body)), bound)
    return multiplicity * Mul(*(_name_bound(Mul(*part), own) for part, own in groups))


def _connected(
    factors: list[Expr], axes: list[tuple[Symbol, Expr]]
) -> list[tuple[list[Expr], list[tuple[Symbol, Expr]]]]:
    """Groups of factors that share bound indices: a sum of a product is the product of the groups.

    Names are then permuted within a group only, which keeps powers of sums cheap.
    """
    groups: list[tuple[list[Expr], list[tuple[Symbol, Expr]]]] = []
    for factor in factors:
        part, own = [factor], [axis for axis in axes if axis[0] in factor.free_symbols]
        apart = []
        for group in groups:
            if set(group[1]) & set(own):
                part, own = group[0] + part, list(dict.fromkeys(group[1] + own))
            else:
                apart.append(group)
        groups = [*apart, (part, own)]
    return groups


def _eliminate_deltas(
    body: Expr, axes: list[tuple[Symbol, Expr]]
) -> tuple[Expr, list[tuple[Symbol, Expr]]]:
    bound = {i for i, _ in axes}
    for delta in body.atoms(KroneckerDelta):
        a, b = delta.args
        if a not in bound:
            a, b = b, a
        if a in bound and delta in Mul.make_args(body):
            rest = Mul(*(f for f in Mul.make_args(body) if f != delta))
            return _eliminate_deltas(
                substitute(rest, {a: b}), [axis for axis in axes if axis[0] != a]
            )
    return body, axes


def _name_bound(body: Expr, axes: list[tuple[Symbol, Expr]]) -> Expr:
    """The sum over `axes` with canonical index names.

    Names carry the nesting height, so that those of a nested sum never clash with the outer ones.
    """
    if not axes:
        return body
    height = 1 + max((_height(node) for node in body.atoms(Sum)), default=0)
    sizes = sorted({extent for _, extent in axes}, key=str)
    groups = [[i for i, extent in axes if extent == s] for s in sizes]
    candidates = []
    for order in product(*(permutations(group) for group in groups)):
        mapping = {
            i: Symbol(f"_{s}{height}_{k}", integer=True, positive=True)
            for s, group in zip(sizes, order, strict=True)
            for k, i in enumerate(group)
        }
        candidates.append((body.xreplace(mapping), mapping))
    best, mapping = min(candidates, key=lambda pair: pair[0].sort_key())
    return sum_over(best, *sorted(((mapping[i], s) for i, s in axes), key=str))


def _height(expr: Expr) -> int:
    return max((_height(node) for node in expr.function.atoms(Sum)), default=0) + 1
