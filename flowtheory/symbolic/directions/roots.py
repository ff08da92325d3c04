"""Real roots of a rational polynomial, all of them, to any number of bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath
from sympy import Rational

from flowtheory.symbolic.expression import Polynomial

# Width of the isolating intervals; float64 needs 53 bits, the rest is lost in what follows.
BITS = 200


@dataclass(frozen=True)
class Root:
    """A real root: its `value` (mpf, accurate to `BITS` bits) and its `multiplicity`."""

    value: Any
    multiplicity: int


def real_roots(polynomial: Polynomial) -> list[Root]:
    """The distinct real roots in increasing order; isolated in rational arithmetic, so complete."""
    if polynomial.degree() < 1:
        return []
    isolated = polynomial.intervals(eps=Rational(1, 2**BITS))
    with mpmath.workprec(working_precision(polynomial)):
        return [Root((_mpf(a) + _mpf(b)) / 2, m) for (a, b), m in isolated]


def has_real_root(polynomial: Polynomial) -> bool:
    """Whether there is a real root; a non-zero constant has none, zero has every one."""
    return polynomial.is_zero or bool(polynomial.degree() > 0 and polynomial.intervals())


def working_precision(polynomial: Polynomial) -> int:
    """Bits with which `polynomial` can be evaluated at a root in spite of cancellation."""
    bits = max(int(abs(c.p)).bit_length() + int(c.q).bit_length() for c in polynomial.coeffs())
    return BITS + 2 * bits


def evaluate(polynomial: Polynomial, x: Any) -> Any:
    """Horner's rule in the current precision of mpmath."""
    return mpmath.polyval([_mpf(c) for c in polynomial.all_coeffs()], x)


def _mpf(number: Any) -> Any:
    return mpmath.mpf(int(number.p)) / int(number.q)
