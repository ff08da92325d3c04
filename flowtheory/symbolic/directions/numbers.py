"""Numbers as they were given: rational where the user was exact, float64 otherwise."""

from __future__ import annotations

from math import lcm
from typing import Any

import numpy as np
from sympy import Rational, sympify
from sympy.core.sympify import SympifyError

from flowtheory.errors import DataError


def read_array(values: Any, name: str) -> np.ndarray:
    """`values` as an array of SymPy rationals (integers, fractions) or of float64.

    Irrational constants, such as `sqrt(3)`, are rounded to float64, and the whole array with them.

    Raises:
        DataError: An entry is not a finite real number.
    """
    array = np.asarray(values)
    if array.dtype.kind in "iub":
        return _map(lambda v: Rational(int(v)), array)
    if array.dtype.kind != "O":
        return _finite(array, name)
    try:
        exact = _map(sympify, array)
    except SympifyError as error:
        raise _not_a_number(name, error) from error
    if all(entry.is_Rational for entry in exact.flat):
        return exact
    if not all(entry.is_number and entry.is_real for entry in exact.flat):
        raise _not_a_number(name, next(v for v in exact.flat if not (v.is_number and v.is_real)))
    return _finite(exact, name)


def is_exact(array: np.ndarray) -> bool:
    """Whether the entries are SymPy rationals."""
    return array.dtype == object


def over_common_denominator(array: np.ndarray) -> tuple[np.ndarray, int]:
    r"""Python integers $N$ and one $d$ with `array` $= N/d$ exactly; a float is dyadic."""
    if is_exact(array):
        ratios = [(int(v.p), int(v.q)) for v in array.flat]
    else:
        ratios = [float(v).as_integer_ratio() for v in array.flat]
    d = lcm(*(q for _, q in ratios))
    return _objects([p * (d // q) for p, q in ratios], array.shape), d


def _map(function: Any, array: np.ndarray) -> np.ndarray:
    return _objects([function(v) for v in array.flat], array.shape)


def _objects(entries: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    # np.array(entries) would turn integers that fit into int64, which overflow.
    flat = np.empty(len(entries), dtype=object)
    flat[:] = entries
    return flat.reshape(shape)


def _finite(array: np.ndarray, name: str) -> np.ndarray:
    try:
        real = array.astype(np.float64) if array.dtype.kind in "fO" else None
    except (TypeError, ValueError):
        real = None
    if real is None:
        raise _not_a_number(name, array.flat[0] if array.size else array.dtype)
    if not np.isfinite(real).all():
        raise _not_a_number(name, real[~np.isfinite(real)][0])
    return real


def _not_a_number(name: str, seen: Any) -> DataError:
    return DataError(
        f"{name} contains {seen}",
        expected="finite real numbers: floats, integers, or SymPy numbers",
        fix="substitute values for symbols, and remove non-finite data",
    )
