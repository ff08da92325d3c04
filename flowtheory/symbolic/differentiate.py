r"""Derivatives of index-notation expressions: derivations forwards, gradients backwards.

A derivation $D$ is linear and obeys the Leibniz and chain rules; it is fixed by its value on every
tensor entry, such as $D(W_{jp}) = \dot W_{jp}$ along a flow. An expression is a function
$g(u_1, \dots, u_r)$ of the distinct entries and sums in it, and
$D g = \sum_k \partial_k g\, D u_k$: every $u_k$ counts once, however often it occurs. The cost is
therefore linear in the number of layers for every activation.

A gradient takes the same steps from the other end, as back-propagation does: the sums of a layer
are nested in those of the layer below, and a factor that two gradients share is the same
expression in both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from sympy import Add, Dummy, KroneckerDelta, Mul, S, Sum

from flowtheory.symbolic.contract import contract
from flowtheory.symbolic.expression import Expr, Indexed, IndexedBase
from flowtheory.symbolic.index import axes_of, free_axes, separate, sum_over, tidy


def derive(expr: Expr, rule: Callable[[Indexed], Expr]) -> Expr:
    """Apply the derivation with $D(A_{i...})$ = `rule(A[i, ...])`.

    The value of `rule` must not have free indices other than those of its argument, unless no sum
    in `expr` binds them (see `separate`).
    """
    values: dict[Expr, Expr] = {}

    def value(atom: Expr) -> Expr:
        if atom not in values:
            values[atom] = (
                rule(atom)
                if isinstance(atom, Indexed)
                else contract(sum_over(total(atom.function), *axes_of(atom)))
            )
        return values[atom]

    def total(node: Expr) -> Expr:
        return Add(*(slope * value(u) for u, slope in slopes.of(node).items()))

    slopes = _Slopes(lambda atom: value(atom) != 0)
    return total(expr)


def gradient(expr: Expr, target: Indexed) -> Expr:
    r"""$\partial$ `expr` / $\partial$ `target`, for a tensor entry with free indices.

    Kinked activations are differentiated by their stated derivative, `Step`.
    """
    kept = free_axes(expr)
    apart = separate(expr, {*target.indices, *kept})
    found = [S.Zero]
    for entry, adjoint in _adjoints(apart, target.base, kept).items():
        pairs = zip(entry.indices, target.indices, strict=True)
        deltas = Mul(*(KroneckerDelta(a, b) for a, b in pairs))
        axes = [axis for axis in free_axes(entry).items() if axis[0] not in kept]
        found.append(contract(sum_over(adjoint * deltas, *axes)))
    return tidy(contract(Add(*found)))


def _adjoints(expr: Expr, base: IndexedBase, kept: Mapping[Expr, Expr]) -> dict[Indexed, Expr]:
    r"""For every entry $u$ of `base` in `expr`: $\bar u$, with $D$`expr` $= \sum \bar u\, D u$.

    A sum $u$ over $b$ hands $\bar u\,\partial_v$(its summand) down to every $v$ in it, summed over
    the indices of $u$ and over $b$, as far as $v$ does not have them; those `kept` stay free.
    """
    slopes = _Slopes(lambda atom: base in _bases(atom))
    terms = {u: [slope] for u, slope in slopes.of(expr).items()}
    entries = {}
    for u in _outer_first(expr, slopes):
        adjoint = Add(*terms[u])
        if isinstance(u, Indexed):
            entries[u] = adjoint
            continue
        axes = free_axes(u) | dict(axes_of(u))
        for v, slope in slopes.of(u.function).items():
            own = free_axes(v)
            lost = [(i, extent) for i, extent in axes.items() if i not in own and i not in kept]
            terms.setdefault(v, []).append(contract(sum_over(adjoint * slope, *lost)))
    return entries


def _outer_first(expr: Expr, slopes: _Slopes) -> list[Expr]:
    """The entries and sums in `expr`, each after all that it occurs in."""
    found: dict[Expr, None] = {}

    def visit(node: Expr) -> None:
        for u in slopes.of(node):
            if u not in found:
                if isinstance(u, Sum):
                    visit(u.function)
                found[u] = None

    visit(expr)
    return list(reversed(found))


@lru_cache(maxsize=1 << 14)
def _bases(expr: Expr) -> frozenset[IndexedBase]:
    if isinstance(expr, Indexed):
        return frozenset({expr.base})
    return frozenset().union(*map(_bases, expr.args))


@dataclass
class _Slopes:
    r"""$\partial g/\partial u$ for the entries and sums $u$ in $g$ that `moves` tells to vary."""

    moves: Callable[[Expr], bool]
    memo: dict[Expr, Mapping[Expr, Expr]] = field(default_factory=dict)

    def of(self, expr: Expr) -> Mapping[Expr, Expr]:
        """The slopes of `expr` by $u$; a sum is not entered."""
        if expr not in self.memo:
            self.memo[expr] = self._find(expr)
        return self.memo[expr]

    def _find(self, expr: Expr) -> Mapping[Expr, Expr]:
        if isinstance(expr, Indexed | Sum):
            return {expr: S.One} if self.moves(expr) else {}
        inner = [self.of(arg) for arg in expr.args]
        if not any(inner):
            return {}
        slots = [Dummy(real=True) if d else arg for d, arg in zip(inner, expr.args, strict=True)]
        back = dict(zip(slots, expr.args, strict=True))
        head = expr.func(*slots)
        terms: dict[Expr, list[Expr]] = {}
        for slot, slopes in zip(slots, inner, strict=True):
            outer = head.diff(slot).xreplace(back) if slopes else S.Zero
            for u, slope in slopes.items():
                terms.setdefault(u, []).append(outer * slope)
        return {u: Add(*parts) for u, parts in terms.items()}
