r"""Derivatives of index-notation expressions: one derivation for gradients and for flows.

A derivation $D$ is linear and obeys the Leibniz and chain rules; it is fixed by its value on every
tensor entry. With $D(W_{jp}) = \delta_{jk}\delta_{pq}$ it is $\partial/\partial W_{kq}$; with
$D(W_{jp}) = \dot W_{jp}$ it is the time derivative along a flow.
"""

from __future__ import annotations

from collections.abc import Callable

from sympy import Add, Dummy, KroneckerDelta, Mul, S, Sum

from flowtheory.symbolic.contract import contract
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.index import separate, tidy


def derive(expr: Expr, rule: Callable[[Indexed], Expr]) -> Expr:
    """Apply the derivation with $D(A_{i...})$ = `rule(A[i, ...])`.

    The value of `rule` must not have free indices other than those of its argument, unless no sum
    in `expr` binds them (see `separate`).
    """
    if isinstance(expr, Indexed):
        return rule(expr)
    if not expr.has(Indexed):
        return S.Zero
    if isinstance(expr, Sum):
        body = derive(expr.function, rule)
        return Sum(body, *expr.limits) if body != 0 else S.Zero
    if isinstance(expr, Add):
        return Add(*(derive(term, rule) for term in expr.args))
    return _chain_rule(expr, rule)


def _chain_rule(expr: Expr, rule: Callable[[Indexed], Expr]) -> Expr:
    r"""$D\,g(u_1, \dots) = \sum_k \partial_k g\, D u_k$ for any head $g$, products included."""
    inner = [derive(arg, rule) for arg in expr.args]
    slots = [Dummy(real=True) if d != 0 else arg for d, arg in zip(inner, expr.args, strict=True)]
    head = expr.func(*slots)
    back = dict(zip(slots, expr.args, strict=True))
    terms = (
        head.diff(slot).xreplace(back) * d for slot, d in zip(slots, inner, strict=True) if d != 0
    )
    return Add(*terms)


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
