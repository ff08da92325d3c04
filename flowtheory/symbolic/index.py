r"""Index notation with symbolic sizes: index symbols, sums, and capture-avoiding renaming.

A tensor is an `IndexedBase` that carries its shape, an index is a positive integer `Symbol`, and a
sum runs over a whole axis, $\sum_{i=1}^{n}$. Free indices are always within range; therefore
$\sum_i \delta_{ik} g_i = g_k$ without a case distinction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain, count
from typing import Any

from sympy import Basic, Integer, Sum, Symbol

from flowtheory.errors import ParameterError
from flowtheory.symbolic.expression import Expr, Indexed, IndexedBase, ScalarBase
from flowtheory.symbolic.expression import Sum as RememberingSum

# Letters by size; any other size falls back to its own lower-case name with a number.
_LETTERS = {"h": "jkl", "D": "pqrs", "n": "i", "C": "oab", "S": "tu"}


def size(name: str) -> Symbol:
    """A symbolic size, for example the width `h`."""
    return Symbol(name, integer=True, positive=True)


def index(name: str) -> Symbol:
    """An index symbol, for example `i`."""
    return Symbol(name, integer=True, positive=True)


def tensor(name: str, *shape: Expr, positive: bool = False) -> IndexedBase:
    """A real tensor `name` of the symbolic `shape`; all entries positive if `positive`."""
    label = Symbol(name, positive=True) if positive else Symbol(name, real=True)
    base: Any = IndexedBase(label, shape=shape) if shape else ScalarBase(label, shape=())
    return base


def sum_over(body: Expr, *axes: tuple[Symbol, Expr]) -> Expr:
    r"""$\sum$ of `body` over whole axes, each given as (index, size)."""
    return RememberingSum(body, *((i, Integer(1), extent) for i, extent in axes)) if axes else body


def axes_of(expr: Sum) -> tuple[tuple[Symbol, Expr], ...]:
    """The (index, size) pairs that a `Sum` runs over; a part of an axis is refused."""
    for limit in expr.limits:
        if len(limit) != 3 or limit[1] != 1:
            raise ParameterError(
                f"{expr} does not run over a whole axis",
                expected="sums from 1 to a size",
                fix="write it with `sum_over`",
            )
    return tuple((limit[0], limit[2]) for limit in expr.limits)


def free_axes(expr: Expr) -> dict[Symbol, Expr]:
    """The free index symbols of `expr` with the size of their axis, in order of appearance."""
    return dict(_free_axes(expr))


@lru_cache(maxsize=1 << 14)
def _free_axes(expr: Expr) -> tuple[tuple[Symbol, Expr], ...]:
    axes: dict[Symbol, Expr] = {}
    if isinstance(expr, Sum):
        bound = {i for i, _ in axes_of(expr)}
        axes = {i: extent for i, extent in _free_axes(expr.function) if i not in bound}
    elif isinstance(expr, Indexed):
        for i, extent in zip(expr.indices, expr.shape, strict=True):
            axes.setdefault(i, extent)
    else:
        for arg in expr.args:
            axes |= {i: extent for i, extent in _free_axes(arg) if i not in axes}
    return tuple(axes.items())


def names(extent: Expr) -> Iterator[Symbol]:
    """The index symbols for an axis of size `extent`, in order of preference."""
    name = str(extent)
    if name[0] == "h" and name[1:].isdigit():  # the width of layer m: j_m, k_m, l_m
        return _numbered([f"{letter}_{name[1:]}" for letter in _LETTERS["h"]])
    kind, _, branch = name.partition("_")
    if branch and kind in _LETTERS:  # an axis of branch A: p_A, q_A
        return _numbered([f"{letter}_{branch}" for letter in _LETTERS[kind]])
    letters = _LETTERS.get(name, name.lower())
    first = letters if name in _LETTERS else (f"{letters}_1",)
    return chain(map(index, first), (index(f"{letters[0]}_{k}") for k in count(2)))


def _numbered(first: list[str]) -> Iterator[Symbol]:
    return chain(map(index, first), (index(f"{first[0]}_{k}") for k in count(2)))


def fresh(extent: Expr, avoid: Iterable[Basic]) -> Symbol:
    """The first index symbol for an axis of size `extent` that is not in `avoid`."""
    taken = set(avoid)
    return next(name for name in names(extent) if name not in taken)


def apart(entry: Indexed, avoid: Iterable[Basic] = ()) -> Indexed:
    """The generic entry of the same tensor, with indices that are not in `avoid`."""
    taken = list(avoid)
    indices: list[Symbol] = []
    for extent in entry.shape:
        indices.append(fresh(extent, (*taken, *indices)))
    return entry.base[tuple(indices)]


def rebuild(expr: Expr, args: Iterable[Basic]) -> Expr:
    """`expr` with other arguments; the same object when none has changed."""
    new = tuple(args)
    return expr if new == expr.args else expr.func(*new)


def substitute(expr: Expr, mapping: Mapping[Symbol, Expr]) -> Expr:
    """Replace free index symbols; bound ones are renamed where they would capture.

    `Basic.xreplace` also replaces bound symbols and `Basic.subs` may capture, hence our own.
    """
    return _substitute(expr, frozenset((i, new) for i, new in mapping.items() if i != new))


@lru_cache(maxsize=1 << 14)  # the tree of a deep network repeats each layer many times
def _substitute(expr: Expr, changes: frozenset[tuple[Symbol, Expr]]) -> Expr:
    if isinstance(expr, Sum):
        return _substitute_sum(expr, dict(changes))
    if isinstance(expr, Symbol):
        return dict(changes).get(expr, expr)
    if isinstance(expr, Indexed):
        return rebuild(expr, (expr.base, *(_substitute(i, changes) for i in expr.indices)))
    if not expr.args:
        return expr
    return rebuild(expr, (_substitute(arg, changes) for arg in expr.args))


def _substitute_sum(expr: Sum, mapping: Mapping[Symbol, Expr]) -> Expr:
    axes, free = axes_of(expr), expr.free_symbols
    bound = {i for i, _ in axes}
    inner = {old: new for old, new in mapping.items() if old in free}
    if not inner:
        return expr
    captured = set().union(*(new.free_symbols for new in inner.values()))
    avoid = captured | expr.function.free_symbols | bound
    renamed = []
    for i, extent in axes:
        if i in captured:
            inner[i] = fresh(extent, avoid)
            avoid.add(inner[i])
        renamed.append((inner.get(i, i), extent))
    return sum_over(substitute(expr.function, inner), *renamed)


def separate(expr: Expr, avoid: Iterable[Basic]) -> Expr:
    """Rename bound indices such that none is in `avoid` or repeated in a nested sum."""
    return _relabel(expr, frozenset(avoid))


def tidy(expr: Expr) -> Expr:
    """Give every bound index the first letter of its axis that its scope leaves free."""
    return _relabel(expr, frozenset())


@lru_cache(maxsize=1 << 14)  # the tree of a deep network repeats each layer many times
def _relabel(expr: Expr, avoid: frozenset[Basic]) -> Expr:
    if isinstance(expr, Sum):
        mapping: dict[Symbol, Expr] = {}
        taken = avoid | expr.free_symbols
        axes: list[tuple[Symbol, Expr]] = []
        for i, extent in axes_of(expr):
            axes.append((fresh(extent, taken), extent))
            taken = taken | {axes[-1][0]}
            # Of equal indices the innermost binds; the others only count.
            mapping.setdefault(i, axes[-1][0])
        return sum_over(_relabel(substitute(expr.function, mapping), taken), *axes)
    if isinstance(expr, Indexed) or not expr.args:
        return expr
    return rebuild(expr, (_relabel(arg, avoid) for arg in expr.args))
