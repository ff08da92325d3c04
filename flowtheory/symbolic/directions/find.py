"""The critical directions of a moment: the method is chosen by order and dimension."""

from __future__ import annotations

from typing import Any

import numpy as np

from flowtheory.errors import DataError, ParameterError
from flowtheory.symbolic.directions.moment import Moment, data_moment, moment_name, tensor_moment
from flowtheory.symbolic.directions.plane import Points, critical_in_the_plane
from flowtheory.symbolic.directions.quadratic import eigenspaces
from flowtheory.symbolic.directions.record import (
    DEGENERATE,
    CriticalLine,
    Directions,
    Guarantee,
)
from flowtheory.symbolic.directions.search import search
from flowtheory.symbolic.directions.space import critical_in_space

# The elimination for D = 3 has degree p^2 - p + 1; its integers grow with it.
HIGHEST_ELIMINATED = 5


def critical_directions(
    moment: Any, residuals: Any = None, order: int | None = None, *, seed: int = 0
) -> Directions:
    r"""Critical points of $H(u) = \langle T, u^{\otimes p}\rangle$ on the unit sphere.

    They solve $\nabla H(u) = \mu u$, $\mu = pH(u)$ (real Z-eigenpairs of $T$), and are the fixed
    points of the direction of a neuron of multiplicity $p$ at small initialization,
    $\dot u = s\,(\nabla H(u) - pH(u)u)$, $s = \mathrm{sign}(a)$.

    | order, dimension       | method                                        | guarantee   |
    |------------------------|-----------------------------------------------|-------------|
    | $p = 1$                | $\pm z/|z|$                                   | exact       |
    | $p = 2$                | eigenvectors of $M$, with multiplicities      | exact/eigen |
    | $D = 2$                | real roots of one polynomial of degree $p$    | exact       |
    | $D = 3$, $p \le 5$     | resultants and real roots                     | exact       |
    | otherwise              | Newton's method from random starts            | count/none  |

    "Exact" refers to the numbers given: floats are dyadic rationals, and a degenerate case that
    rounding has perturbed shows as lines with a zero curvature (`CriticalLine.degenerate`).

    Args:
        moment: A `Moment`; or its symmetric tensor, shape (D,) * p; or data (n, D), with
            `residuals` and `order`.
        residuals: $c_i$, shape (n,), if `moment` is data.
        order: The multiplicity $p$, if `moment` is data.
        seed: Of the random starts.

    Returns:
        The lines with their stability, and how it is known that none is missing.

    Raises:
        DataError: The moment vanishes, so that $p$ is not the leading order of this data.
        ParameterError: Only one of `residuals` and `order` is given.

    Sources:
        Zhou, Zhou, Luo, Zhang, Xu (arXiv 2105.11686) for the directions and the number $2p$, which
        holds for $p \le 2$ or $D = 2$ only; Cartwright and Sturmfels, Linear Algebra Appl. 438
        (2013), for the number of complex solutions.
    """
    form = _read(moment, residuals, order)
    if form.vanishes():
        raise DataError(
            f"the moment {moment_name(form.order)} vanishes",
            expected="a non-zero form of the order given",
            fix="the leading order is higher for this data: use the next power of the activation",
        )
    p, D = form.order, form.dimension
    most = sum((p - 1) ** k for k in range(D))
    if p == 1 or D == 1:
        return Directions(p, D, _classified(form, _only_line(form)[None]), Guarantee.EXACT)
    if p == 2:
        spaces, exact = eigenspaces(form)
        measured = [(_oriented(form, x.basis), x.value, x.curvatures) for x in spaces]
        return Directions(
            p, D, _lines(form, measured), Guarantee.EXACT if exact else Guarantee.EIGEN
        )
    points = _eliminated(form)
    if points is not None:
        lines = _classified(form, points.directions, points.multiplicities)
        return Directions(p, D, lines, Guarantee.CURVE if points.curve else Guarantee.EXACT)
    lines = _classified(form, search(form, most, seed))
    counted = len(lines) == most and not any(line.degenerate for line in lines)
    return Directions(p, D, lines, Guarantee.COUNT if counted else Guarantee.NONE)


def _read(moment: Any, residuals: Any, order: int | None) -> Moment:
    if (residuals is None) != (order is None):
        raise ParameterError(
            "one of residuals and order is missing",
            expected="both with data, none with a tensor",
            fix="critical_directions(X, residuals, p) or critical_directions(T)",
        )
    if residuals is not None and order is not None:
        return data_moment(moment, residuals, order)
    return moment if isinstance(moment, Moment) else tensor_moment(moment)


def _only_line(moment: Moment) -> np.ndarray:
    """The direction of $z$; or the only line there is in one dimension."""
    z = moment.gradient(np.ones((1, moment.dimension)))[0]
    return z / np.linalg.norm(z)


def _eliminated(moment: Moment) -> Points | None:
    if moment.dimension == 2:
        return critical_in_the_plane(moment)
    if moment.dimension == 3 and moment.order <= HIGHEST_ELIMINATED:
        return critical_in_space(moment)
    return None


Measured = tuple[np.ndarray, float, np.ndarray]


def _classified(
    moment: Moment, directions: np.ndarray, multiplicities: tuple[int, ...] = ()
) -> tuple[CriticalLine, ...]:
    """The lines of unit vectors (rows)."""
    measured = [_measured(moment, _oriented(moment, u[:, None])) for u in directions]
    return _lines(moment, measured, multiplicities)


def _lines(
    moment: Moment, measured: list[Measured], multiplicities: tuple[int, ...] = ()
) -> tuple[CriticalLine, ...]:
    """Lines of (basis, value, curvatures), by decreasing $|H|$; simple ones if not told."""
    sizes = [np.abs([value, *curvatures]).max() for _, value, curvatures in measured]
    tolerance = DEGENERATE * max(sizes, default=0.0)
    lines = [
        CriticalLine(basis, value, curvatures, moment.order, multiplicity, tolerance)
        for (basis, value, curvatures), multiplicity in zip(
            measured, multiplicities or (1,) * len(measured), strict=True
        )
    ]
    return tuple(sorted(lines, key=lambda line: -abs(line.value)))


def _oriented(moment: Moment, basis: np.ndarray) -> np.ndarray:
    """The representative of a line: $H(u) > 0$ for odd $p$, else the largest entry positive."""
    u = basis[:, 0]
    value = moment.value(u[None])[0] if moment.order % 2 else 0.0
    clear = abs(value) > DEGENERATE * moment.magnitude()
    return basis * np.sign(value if clear else u[np.abs(u).argmax()])


def _measured(moment: Moment, basis: np.ndarray) -> Measured:
    """A line with $H(u)$ and the curvatures of $H$ on the sphere."""
    u = basis.T
    value = float(moment.value(u)[0])
    tangent = np.linalg.svd(u)[2][1:]
    curvatures = np.linalg.eigvalsh(tangent @ moment.hessian(u)[0] @ tangent.T)
    return basis, value, curvatures - moment.order * value
