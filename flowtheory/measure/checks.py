"""What a measure is given, as float64 arrays of the right shape, or an error that says why not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError, ParameterError


def as_array(value: Any, name: str, ndim: int, expected: str) -> Float[np.ndarray, ...]:
    """A finite, non-empty float64 array with `ndim` axes.

    Raises:
        DataError: another number of axes, no entries, or entries that are not finite.
    """
    array = np.asarray(value)
    if array.ndim != ndim or array.size == 0 or array.dtype.kind not in "biuf":
        raise DataError(
            f"{name} has shape {array.shape} and type {array.dtype}",
            expected=expected,
            fix="one row a neuron; reshape, or pick the tensor meant",
        )
    if not np.all(np.isfinite(array)):
        raise DataError(
            f"{name} has {int(np.sum(~np.isfinite(array)))} entries that are not finite",
            expected=expected,
            fix="drop the rows after a blow-up",
        )
    return array.astype(np.float64)


def as_matrix(value: Any, name: str = "the weights") -> Float[np.ndarray, ...]:
    """A finite matrix, one row a neuron."""
    return as_array(value, name, 2, "a finite matrix, one row a neuron")


def as_vector(value: Any, name: str, size: int | None = None) -> Float[np.ndarray, " k"]:
    """A finite vector, of a given length if there is one.

    Raises:
        DataError: no such vector.
    """
    told = "a finite vector" if size is None else f"a finite vector of length {size}"
    array = as_array(value, name, 1, told)
    if size is not None and array.size != size:
        raise DataError(f"{name} has length {array.size}", expected=told, fix="check the axes")
    return array


def unit_rows(weights: Any, name: str = "the weights") -> Float[np.ndarray, ...]:
    r"""The rows $w_k/|w_k|$, without over- or underflow.

    Raises:
        DataError: not a finite matrix, or a zero row.
    """
    matrix = as_matrix(weights, name)
    largest = np.max(np.abs(matrix), axis=1, keepdims=True)
    zero = np.flatnonzero(largest == 0)
    if zero.size:
        raise DataError(
            f"{name} have {zero.size} zero row(s), the first is row {zero[0]}: no direction",
            expected="rows that are not zero",
            fix="leave neurons without amplitude out",
        )
    scaled = matrix / largest
    return scaled / np.linalg.norm(scaled, axis=1, keepdims=True)


def unit_vector(direction: Any, size: int, name: str = "the direction") -> Float[np.ndarray, " D"]:
    """A direction of unit length.

    Raises:
        DataError: zero, not finite, or of another length.
    """
    return unit_rows(as_vector(direction, name, size)[None, :], name)[0]


def as_curve(
    times: Any, values: Any, name: str = "the loss"
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Increasing times and finite values, of one length of at least 2.

    Raises:
        DataError: no such curve.
    """
    times, values = np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if times.ndim != 1 or times.shape != values.shape or times.size < 2:
        raise DataError(
            f"times have shape {times.shape} and {name} {values.shape}",
            expected="two arrays of one length, at least 2",
            fix="run.times and run.loss",
        )
    finite = np.all(np.isfinite(times)) and np.all(np.isfinite(values))
    if not (finite and np.all(np.diff(times) > 0)):
        raise DataError(
            "times that do not increase, or values that are not finite",
            expected=f"increasing times and finite values of {name}",
            fix="drop the rows after a blow-up",
        )
    return times, values


def require_in(value: float, name: str, low: float, high: float, closed: bool = False) -> None:
    """A number inside an interval: open, or closed at both ends.

    Raises:
        ParameterError: it is not.
    """
    inside = low <= value <= high if closed else low < value < high
    if not (math.isfinite(value) and inside):
        ends = f"[{low:g}, {high:g}]" if closed else f"({low:g}, {high:g})"
        raise ParameterError(
            f"{name} is {value!r}", expected=f"a number in {ends}", fix="see the definition"
        )


def same_shape(now: Any, start: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Two finite arrays of one shape.

    Raises:
        DataError: shapes that differ, no entries, or entries that are not finite.
    """
    shapes: Sequence[tuple[int, ...]] = (np.shape(now), np.shape(start))
    if shapes[0] != shapes[1]:
        raise DataError(
            f"{name} has shape {shapes[0]} now and {shapes[1]} before",
            expected="the same tensor at two times",
            fix="compare tensors of one network",
        )
    told = "a finite array"
    dims = len(shapes[0])
    return as_array(now, name, dims, told), as_array(start, name, dims, told)


def norm(array: np.ndarray) -> float:
    """The Frobenius norm, without over- or underflow of squares."""
    largest = float(np.max(np.abs(array)))
    return largest * float(np.linalg.norm(array / largest)) if largest > 0 else 0.0
