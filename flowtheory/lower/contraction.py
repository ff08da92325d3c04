r"""One contraction $\sum \prod_k A^{(k)}$ of labelled arrays, as pairwise products.

A pair that shares no summed label is multiplied elementwise, which the compiler fuses with its
neighbours; any other pair is one `dot_general`. The order of the pairs is the one with the fewest
operations for the sizes at hand, so that no outer product is formed where a matrix product does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from flowtheory.lower.operation import Labels

Labelled = tuple[Any, Labels]
"""An array with one label for each axis; labels are distinct."""

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def contract_arrays(operands: Sequence[Labelled], out: Labels) -> Any:
    """The sum of the product of `operands` over all labels that are not in `out`."""
    pending = _sum_lone(_merge_equal(_sum_lone(operands, out)), out)
    for chosen in _path(pending, out):
        first, second = (pending[k] for k in chosen)
        pending = [operand for k, operand in enumerate(pending) if k not in chosen]
        kept = set(out).union(*(labels for _, labels in pending))
        pending.append(_pair(first, second, kept, out if not pending else None))
    ((array, labels),) = pending
    return _transpose(array, labels, out)


def align(operand: Labelled, labels: Labels) -> Any:
    """The array with the axes `labels`, those that it lacks with length 1; numbers as they are."""
    array, own = operand
    if not own:
        return array
    array = _transpose(array, own, tuple(i for i in labels if i in own))
    missing = [k for k, i in enumerate(labels) if i not in own]
    return lax.expand_dims(array, missing) if missing else array


def _sum_lone(operands: Sequence[Labelled], out: Labels) -> list[Labelled]:
    """Labels that only one array has are summed there; that is never more work than later."""
    count = Counter(i for _, labels in operands for i in labels)
    return [
        _sum_to(operand, {i for i in operand[1] if i in out or count[i] > 1})
        for operand in operands
    ]


def _merge_equal(operands: Sequence[Labelled]) -> list[Labelled]:
    """Arrays with the same axes are multiplied first: that is one loop in any order of the rest."""
    groups: dict[frozenset[int], Labelled] = {}
    for array, labels in operands:
        key = frozenset(labels)
        if key in groups:
            known, order = groups[key]
            groups[key] = known * align((array, labels), order), order
        else:
            groups[key] = array, labels
    return list(groups.values())


def _path(operands: Sequence[Labelled], out: Labels) -> Sequence[Sequence[int]]:
    """The positions to contract at each step; a result goes to the end of the list."""
    if len(operands) < 3:
        return [(0, 1)] if len(operands) == 2 else []
    letters = dict(
        zip(dict.fromkeys(i for _, own in operands for i in own), _LETTERS, strict=False)
    )
    terms = ["".join(letters[i] for i in labels) for _, labels in (*operands, (None, out))]
    subscripts = f"{','.join(terms[:-1])}->{terms[-1]}"
    return jnp.einsum_path(subscripts, *(array for array, _ in operands), optimize="auto")[0]


def _sum_to(operand: Labelled, kept: Collection[int]) -> Labelled:
    array, labels = operand
    lone = [k for k, i in enumerate(labels) if i not in kept]
    if not lone:
        return operand
    return jnp.sum(array, axis=tuple(lone)), tuple(i for i in labels if i in kept)


def _pair(a: Labelled, b: Labelled, kept: Collection[int], out: Labels | None) -> Labelled:
    """The product of two arrays, summed over the labels that are not in `kept`."""
    shared = [i for i in a[1] if i in b[1]]
    summed = [i for i in shared if i not in kept]
    batch = [i for i in shared if i in kept]
    free = set(a[1]) ^ set(b[1])
    length = dict(zip((*a[1], *b[1]), (*a[0].shape, *b[0].shape), strict=True))
    # As everywhere, the longest axis last.
    want = tuple(sorted({*batch, *free}, key=lambda i: (length[i], i))) if out is None else out
    if not summed or not (free or (len(summed) == 1 and not batch)):
        every = (*want, *summed)
        return _sum_to((jnp.multiply(align(a, every), align(b, every)), every), want)
    first, second = (a, b) if _order(a, b, batch, kept) == want else (b, a)
    return _dot(first, second, summed, batch), _order(first, second, batch, kept)


def _order(a: Labelled, b: Labelled, batch: Sequence[int], kept: Collection[int]) -> Labels:
    """The axes of a `dot_general`: batch, then the free ones of either side."""
    return (*batch, *(i for _, own in (a, b) for i in own if i in kept and i not in batch))


def _dot(a: Labelled, b: Labelled, summed: Sequence[int], batch: Sequence[int]) -> Any:
    def axes(operand: Labelled, labels: Sequence[int]) -> tuple[int, ...]:
        return tuple(operand[1].index(i) for i in labels)

    numbers = (axes(a, summed), axes(b, summed)), (axes(a, batch), axes(b, batch))
    return lax.dot_general(a[0], b[0], numbers)


def _transpose(array: Any, labels: Labels, wanted: Labels) -> Any:
    if labels == wanted:
        return array
    return lax.transpose(array, [labels.index(i) for i in wanted])
