"""Scalar evaluation of index notation by loops: independent of contraction, normal form, lowering.

Entries of tensors may be numbers or SymPy symbols, so that the result of a symbolic derivation can
be compared with `sympy.diff` of the written-out scalar expression.
"""

from itertools import product

import sympy as sp
from sympy.tensor.indexed import Indexed


def evaluate(expr, tensors, sizes, at=None):
    """`expr` with tensors {name: nested list}, sizes {name: int}, free indices {name: int}."""
    at = at or {}
    if isinstance(expr, sp.Sum):
        ranges = [range(1, int(evaluate(limit[2], tensors, sizes)) + 1) for limit in expr.limits]
        bound = [str(limit[0]) for limit in expr.limits]
        return sp.Add(
            *(
                evaluate(expr.function, tensors, sizes, at | dict(zip(bound, values, strict=True)))
                for values in product(*ranges)
            )
        )
    if isinstance(expr, Indexed):
        value = tensors[str(expr.base.label)]
        for index in expr.indices:
            value = value[at[str(index)] - 1]
        return value
    if isinstance(expr, sp.Symbol):
        name = str(expr)
        return sp.sympify(at[name] if name in at else sizes[name])
    if not expr.args:
        return expr
    return expr.func(*(evaluate(arg, tensors, sizes, at) for arg in expr.args))


def symbols(name, *shape):
    """A nested list of real symbols."""
    if not shape:
        return sp.Symbol(name, real=True)
    return [symbols(f"{name}_{k}", *shape[1:]) for k in range(1, shape[0] + 1)]
