"""float64 inside flowtheory, without touching the user's global JAX configuration.

JAX computes in float32 unless a flag is set. We never set the user's flag: every room that uses
JAX does so inside `with float64():`, which is local to the thread, and hands back NumPy arrays.
(A float64 JAX array that leaves the context would be rounded to float32 by the next operation.)
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from flowtheory.errors import DataError, PrecisionError


def float64() -> AbstractContextManager[Any]:
    """A context in which JAX computes in float64; the global flag stays as it is."""
    import jax

    return jax.enable_x64(True)


def require_float64(array: Any, name: str) -> None:
    """Raise `PrecisionError` unless `array` (NumPy or JAX) is float64."""
    dtype = getattr(array, "dtype", None)
    if dtype != np.float64:
        raise PrecisionError(
            f"{name} is {dtype}, not float64",
            expected="float64 everywhere inside flowtheory",
            fix="do the computation inside `with flowtheory.float64():`",
        )


def as_float64(value: Any, name: str) -> np.ndarray:
    """`value` as a new C-contiguous float64 NumPy array; `DataError` unless numeric and finite."""
    try:
        array = np.array(value, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{name} cannot be read as numbers ({error})",
            expected="an array of real numbers",
            fix=f"convert {name} with numpy.asarray(..., dtype=float) first",
        ) from error
    if not np.all(np.isfinite(array)):
        bad = int(array.size - np.count_nonzero(np.isfinite(array)))
        raise DataError(
            f"{name} has {bad} non-finite value(s) (nan or inf)",
            expected="finite numbers only",
            fix=f"drop or impute the rows of {name} that are not finite",
        )
    return array
