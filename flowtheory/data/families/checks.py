"""Domain checks that the synthetic families share."""

from __future__ import annotations

import math
from numbers import Integral

from flowtheory.errors import ParameterError


def require_mu(mu: float) -> None:
    r"""Raise `ParameterError` unless $0 < \mu \le 1$."""
    if not 0 < mu <= 1:
        raise ParameterError(
            f"mu = {mu!r}",
            expected="a cosine in (0, 1]",
            fix="mu > 0 is Assumption 1; approach mu = 0 through 1e-2, 1e-4, ...",
        )


def require_count(symbol: str, value: int, minimum: int, why: str) -> None:
    """Raise `ParameterError` unless `value` is an integer of at least `minimum`."""
    if not isinstance(value, Integral) or value < minimum:
        raise ParameterError(
            f"{symbol} = {value!r}",
            expected=f"an integer >= {minimum} ({why})",
            fix=f"pass {symbol}={minimum} or more",
        )


def require_seed(seed: int) -> None:
    """Raise `ParameterError` unless `seed` is a nonnegative integer."""
    require_count("seed", seed, 0, "seed of numpy.random.default_rng")


def require_angle(symbol: str, value: float, upper: float, why: str) -> None:
    """Raise `ParameterError` unless `0 < value < upper` (radians)."""
    if not 0 < value < upper:
        raise ParameterError(
            f"{symbol} = {value!r}",
            expected=f"an angle in radians in (0, {upper:.6g}) ({why})",
            fix="convert degrees with numpy.deg2rad",
        )


def require_nonnegative(symbol: str, value: float, why: str) -> None:
    """Raise `ParameterError` unless `value` is finite and not negative."""
    if not (math.isfinite(value) and value >= 0):
        raise ParameterError(
            f"{symbol} = {value!r}", expected=f"a finite number >= 0 ({why})", fix="pass 0 for none"
        )


def require_positive(symbol: str, value: float, why: str) -> None:
    """Raise `ParameterError` unless `value` is finite and positive."""
    if not (math.isfinite(value) and value > 0):
        raise ParameterError(
            f"{symbol} = {value!r}", expected=f"a finite number > 0 ({why})", fix="pass 1"
        )
