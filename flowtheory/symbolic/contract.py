r"""Rewriting of sums: linearity, factors in front, and $\sum_i \delta_{ik} g_i = g_k$.

This is all the algebra that a derivation needs; `sympy.simplify` is never called (it does not
return in a useful time on expressions of this kind).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from sympy import Add, KroneckerDelta, Mul, Sum, Symbol

from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.index import axes_of, rebuild, substitute, sum_over


def contract(expr: Expr) -> Expr:
    """Push every sum inwards past sums of terms and constant factors, and eliminate deltas."""
    return _contract(expr)


@lru_cache(maxsize=1 << 14)  # the tree of a deep network repeats each layer many times
def _contract(expr: Expr) -> Expr:
    if isinstance(expr, Indexed) or not expr.args:
        return expr
    if isinstance(expr, Sum):
        body = contract(expr.function)
        for i, extent in axes_of(expr):
            body = _sum_one(body, i, extent)
        return body
    return rebuild(expr, (contract(arg) for arg in expr.args))


def _sum_one(body: Expr, i: Symbol, extent: Expr) -> Expr:
    if i not in body.free_symbols:
        return extent * body
    if isinstance(body, Mul) and _hides_delta(body, i):
        body = body.expand(deep=False)
    if isinstance(body, Add):
        return Add(*(_sum_one(term, i, extent) for term in body.args))
    for factor in Mul.make_args(body):
        if isinstance(factor, KroneckerDelta) and i in factor.args:
            other = factor.args[0] if factor.args[1] == i else factor.args[1]
            return contract(substitute(_without(body, factor), {i: other}))
    outside = [factor for factor in Mul.make_args(body) if i not in factor.free_symbols]
    inside = [factor for factor in Mul.make_args(body) if i in factor.free_symbols]
    return Mul(*outside) * _merge(Mul(*inside), i, extent)


def _hides_delta(body: Mul, i: Symbol) -> bool:
    """Whether a delta on `i` sits inside a factor that is a sum of terms."""
    return any(
        isinstance(factor, Add) and any(i in delta.args for delta in _deltas(factor))
        for factor in body.args
    )


@lru_cache(maxsize=1 << 14)
def _deltas(expr: Expr) -> frozenset[Expr]:
    if isinstance(expr, KroneckerDelta):
        return frozenset({expr})
    return frozenset().union(*map(_deltas, expr.args))


def _without(body: Expr, factor: Expr) -> Expr:
    return Mul(*(other for other in Mul.make_args(body) if other != factor))


def _merge(body: Expr, i: Symbol, extent: Expr) -> Expr:
    """One multiple sum instead of a sum of a sum."""
    if isinstance(body, Sum):
        return sum_over(body.function, *axes_of(body), (i, extent))
    return sum_over(body, (i, extent))


def replace_entries(expr: Expr, mapping: Mapping[Indexed, Expr]) -> Expr:
    """Replace tensor entries by templates.

    `{W[j, p]: R[j] * u[j, p]}` replaces every entry of `W`, whatever its indices; the template's
    free indices follow.
    """
    templates = {entry.base: (entry.indices, value) for entry, value in mapping.items()}

    def visit(node: Expr) -> Expr:
        if isinstance(node, Indexed):
            if node.base not in templates:
                return node
            indices, value = templates[node.base]
            return substitute(value, dict(zip(indices, node.indices, strict=True)))
        return rebuild(node, map(visit, node.args)) if node.args else node

    return visit(expr)
