r"""Derivatives of index-notation expressions: one derivation for gradients and for flows.

A derivation $D$ is linear and obeys the Leibniz and chain rules; it is fixed by its value on every
tensor entry. With $D(W_{jp}) = \delta_{jk}\delta_{pq}$ it is $\partial/\partial W_{kq}$; with
$D(W_{jp}) = \dot W_{jp}$ it is the time derivative along a flow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sympy import Add, Dummy, KroneckerDelta, Mul, S, Sum

from flowtheory.symbolic.contract import contract
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.index import axes_of, separate, sum_over, tidy


def derive(expr: Expr, rule: Callable[[Indexed], Expr]) -> Expr:
    r"""Apply the derivation with $D(A_{i...})$ = `rule(A[i, ...])`.

    An expression is a function $g(u_1, \dots, u_r)$ of the distinct entries and sums in it, and
    $D g = \sum_k \partial_k g\, D u_k$: every $u_k$ is derived once, however often it occurs. The
    derivative of a network therefore has one term a layer for any activation.

    The value of `rule` must not have free indices other than those of its argument, unless no sum
    in `expr` binds them (see `separate`).
    """
    return _Derivation(rule).of(expr)


@dataclass
class _Derivation:
    """One derivation; equal subexpressions are derived once."""

    rule: Callable[[Indexed], Expr]
    values: dict[Expr, Expr] = field(default_factory=dict)
    slopes: dict[Expr, Mapping[Expr, Expr]] = field(default_factory=dict)

    def of(self, expr: Expr) -> Expr:
        return Add(*(slope * self.value(u) for u, slope in self.partials(expr).items()))

    def value(self, atom: Expr) -> Expr:
        """$D u$ of an entry or a sum."""
        if atom not in self.values:
            self.values[atom] = self._value(atom)
        return self.values[atom]

    def _value(self, atom: Expr) -> Expr:
        if isinstance(atom, Indexed):
            return self.rule(atom)
        body = self.of(atom.function)
        return sum_over(body, *axes_of(atom)) if body != 0 else S.Zero

    def partials(self, expr: Expr) -> Mapping[Expr, Expr]:
        r"""$\partial g/\partial u$ for every entry or sum $u$ in $g$ = `expr` with $D u \ne 0$."""
        if expr not in self.slopes:
            self.slopes[expr] = self._partials(expr)
        return self.slopes[expr]

    def _partials(self, expr: Expr) -> Mapping[Expr, Expr]:
        if isinstance(expr, Indexed | Sum):
            return {expr: S.One} if self.value(expr) != 0 else {}
        inner = [self.partials(arg) for arg in expr.args]
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


def gradient(expr: Expr, target: Indexed) -> Expr:
    r"""$\partial$ `expr` / $\partial$ `target`, for a tensor entry with free indices.

    Kinked activations are differentiated by their stated derivative, `Step`.
    """
    apart = separate(expr, target.indices)

    def rule(entry: Indexed) -> Expr:
        if entry.base != target.base:
            return S.Zero
        pairs = zip(entry.indices, target.indices, strict=True)
        return Mul(*(KroneckerDelta(a, b) for a, b in pairs))

    return tidy(contract(derive(apart, rule)))
