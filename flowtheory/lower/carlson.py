r"""Float64 values of the special functions of the symbolic layer that NumPy has no name for."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from flowtheory.errors import ParameterError

# The trapezoidal rule in u = ln t: its error exp(-2 pi^2 0.9/STEP) and the tails exp(-DEPTH) that
# are cut off lie below the rounding of a float64.
_STEP, _DEPTH = 0.45, 39.0


def carlson_r(*args: Any) -> Float[np.ndarray, ...]:
    r"""$R_{-a}(b; z) = a\int_0^\infty \prod_j (t + z_j)^{-b_j} dt$, $a = \sum_j b_j - 1$.

    Args:
        args: $b_1, z_1, b_2, z_2, \dots$, arrays that broadcast; nan where some $z_j < 0$, infinite
            where the $b_j$ of the $z_j = 0$ sum to 1 or more.
    """
    parts = np.broadcast_arrays(*(np.asarray(arg, dtype=np.float64) for arg in args))
    flat = np.stack([part.ravel() for part in parts], axis=1)
    values = np.array([_one(row[::2], row[1::2]) for row in flat])
    return values.reshape(parts[0].shape)


def _one(b: np.ndarray, z: np.ndarray) -> float:
    a = b.sum() - 1.0
    if not (np.isfinite(z).all() and (z >= 0).all() and a > 0):
        return float("nan")
    rise = 1.0 - b[z == 0].sum()
    if rise <= 0:
        return float("inf")
    unit = z.max()
    scaled = z / unit
    start = np.log(scaled[scaled > 0].min()) - _DEPTH / rise
    u = np.arange(start, _DEPTH / a, _STEP)
    exponent = u - np.log(np.exp(u)[:, None] + scaled) @ b
    return float(a * _STEP * np.exp(exponent).sum() * unit**-a)


def carlson_rf(x: Any, y: Any, z: Any) -> Any:
    """$R_F(x, y, z)$, symmetric."""
    from scipy.special import elliprf

    return elliprf(x, y, z)


def hyper(above: tuple[Any, ...], below: tuple[Any, ...], z: Any) -> Any:
    r"""${}_2F_1$ under SymPy's name and signature of the generalized hypergeometric function."""
    if (len(above), len(below)) != (2, 1):
        raise ParameterError(
            f"the hypergeometric function {len(above)}F{len(below)}",
            expected="2F1 in float64",
            fix='numeric(..., backend="mpmath") has all of them',
        )
    from scipy.special import hyp2f1

    return hyp2f1(*above, *below, z)
