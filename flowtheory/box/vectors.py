"""How the hot loops are compiled, and sums over short vectors (numba; import it late)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

_OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "_nrt": False,
}


def compiled(**options: Any) -> Callable:
    """Compile a function that allocates nothing, and so counts no references.

    Numba counts a reference whenever an array is read off a tuple, with an atomic instruction: on
    vectors of a hundred numbers that took most of the time. Arrays are held by the caller.
    """
    return njit(**_OPTIONS, **options)


@compiled(fastmath={"reassoc", "contract"})
def dot(x, y):
    """<x, y>; reassociation lets the sum use vector instructions."""
    total = 0.0
    for k in range(x.size):
        total += x[k] * y[k]
    return total


@compiled()
def axpy(factor, x, y):
    """y += factor x."""
    for k in range(x.size):
        y[k] += factor * x[k]


@compiled(fastmath={"contract"})
def combine(rows, which, weights, count, y):
    """y += sum_m weights_m rows[which_m] over the first `count`, four rows in a pass over y."""
    last = count - count % 4
    for m in range(0, last, 4):
        i, j, k, l = which[m], which[m + 1], which[m + 2], which[m + 3]  # noqa: E741
        a, b, c, d = weights[m], weights[m + 1], weights[m + 2], weights[m + 3]
        for p in range(y.size):
            y[p] += a * rows[i, p] + b * rows[j, p] + c * rows[k, p] + d * rows[l, p]
    for m in range(last, count):
        i, a = which[m], weights[m]
        for p in range(y.size):
            y[p] += a * rows[i, p]
