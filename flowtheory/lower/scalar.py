"""Scalar formulas as vectorised NumPy functions, or as mpmath functions of any precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import mpmath
import numpy as np
from sympy import Symbol, lambdify

from flowtheory.errors import ParameterError
from flowtheory.lower.carlson import carlson_r, carlson_rf, hyper
from flowtheory.symbolic import carlson
from flowtheory.symbolic.expression import Expr

Backend = Literal["numpy", "mpmath"]

_NUMPY = {
    "Ramp": lambda z, a, k: np.where(np.asarray(z) > 0, z, a * np.asarray(z)),
    "Step": lambda z, a, k: np.where(np.asarray(z) > 0, 1.0, np.where(np.asarray(z) < 0, a, k)),
    "CarlsonR": carlson_r,
    "CarlsonRF": carlson_rf,
    "hyper": hyper,
}
_MPMATH = {
    "Ramp": lambda z, a, k: z if z > 0 else a * z,
    "Step": lambda z, a, k: mpmath.mpf(1) if z > 0 else a if z < 0 else k,
    "CarlsonR": carlson.carlson_r,
    "CarlsonRF": mpmath.elliprf,
}


def numeric(
    expr: Expr, symbols: Sequence[Symbol], backend: Backend = "numpy"
) -> Callable[..., Any]:
    r"""`expr` as a function of the values of `symbols`.

    Args:
        expr: A scalar expression whose free symbols are among `symbols`.
        symbols: The arguments, in order.
        backend: "numpy" for float64, elementwise on arrays with broadcasting; "mpmath" for the
            working precision of mpmath, on single numbers.

    Returns:
        The function. With "numpy" it raises `ParameterError` where the value is not a real number
        (outside the domain of the formula); infinities are kept.
    """
    extra = expr.free_symbols - set(symbols)
    if extra:
        raise ParameterError(
            f"{expr} contains {', '.join(sorted(map(str, extra)))}",
            expected=f"only {', '.join(map(str, symbols))}",
            fix="add the symbol to `symbols`, or substitute a number for it",
        )
    if backend == "mpmath":
        return lambdify(tuple(symbols), expr, modules=[_MPMATH, "mpmath"])
    raw = lambdify(tuple(symbols), expr, modules=[_NUMPY, "numpy", "scipy"])

    def function(*values: Any) -> Any:
        arrays = [np.asarray(value, dtype=np.float64) for value in values]
        with np.errstate(all="ignore"):
            result = np.broadcast_to(raw(*arrays), np.broadcast_shapes(*(a.shape for a in arrays)))
        bad = np.isnan(result)
        if np.any(bad):
            where = [float(np.broadcast_to(a, result.shape)[bad][0]) for a in arrays]
            shown = ", ".join(f"{s} = {x!r}" for s, x in zip(symbols, where, strict=True))
            raise ParameterError(
                f"{expr} has no real value at {shown}",
                expected="arguments inside the domain of the formula",
                fix="check the ranges of the arguments",
            )
        return np.array(result) if result.ndim else float(result)

    return function
