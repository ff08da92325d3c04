r"""Two dimensions, any order: roots of one polynomial.

With $u \propto (1, t)$, $H$ is stationary on the circle iff $g(t) = \partial_2 H - t\,\partial_1 H$
vanishes at $(1, t)$; the direction $(0, 1)$ is critical iff $g$ has degree below $p$. Every root
is isolated in rational arithmetic, so that at most $p$ lines exist, and all are found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
from sympy import Poly, Symbol

from flowtheory.symbolic.directions.moment import Moment
from flowtheory.symbolic.directions.roots import BITS, real_roots
from flowtheory.symbolic.expression import Polynomial

T = Symbol("t")
# Entries that the accuracy of the roots does not distinguish from 0.
_INVISIBLE = mpmath.mpf(2) ** (20 - BITS)


@dataclass(frozen=True, eq=False)
class Points:
    """Critical unit vectors (rows of `directions`, one for a line) with their multiplicities.

    `curve`: a whole curve of points is critical as well.
    """

    directions: np.ndarray
    multiplicities: tuple[int, ...]
    curve: bool = False


def critical_in_the_plane(moment: Moment) -> Points:
    """All critical lines for $D = 2$."""
    H = moment.polynomial
    first, second = (in_chart(H.diff(u)) for u in H.gens)
    g = second - first.mul(Poly(T, T))
    if g.is_zero:
        return Points(np.empty((0, 2)), (), curve=True)
    roots = real_roots(g)
    directions = [unit(1, root.value) for root in roots]
    multiplicities = [root.multiplicity for root in roots]
    if g.degree() < moment.order:
        directions.append(np.array([0.0, 1.0]))
        multiplicities.append(moment.order - g.degree())
    return Points(np.array(directions).reshape(-1, 2), tuple(multiplicities))


def in_chart(form: Polynomial) -> Polynomial:
    """A form in two variables at $(1, t)$."""
    terms = {powers[1]: c for powers, c in form.terms()}
    return Poly(terms, T, domain=form.domain)


def unit(*coordinates: Any) -> np.ndarray:
    """The unit vector along multi-precision `coordinates`, rounded at the very end."""
    with mpmath.workprec(300):
        norm = mpmath.sqrt(mpmath.fsum(coordinates, squared=True))
        entries = [c / norm for c in coordinates]
        return np.array([float(c) if abs(c) > _INVISIBLE else 0.0 for c in entries])
