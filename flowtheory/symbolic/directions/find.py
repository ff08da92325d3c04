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
    if p <= 2 or D == 1:
        bases, exact = _linear(form) if p == 1 or D == 1 else eigenspaces(form)
        guarantee = Guarantee.EXACT if exact else Guarantee.EIGEN
        return Directions(p, D, _classified(form, bases, (1,) * len(bases)), guarantee)
    points = _eliminated(form)
    if points is not None:
        guarantee = Guarantee.CURVE if points.curve else Guarantee.EXACT
        bases, multiplicities = list(points.directions[:, :, None]), points.multiplicities
        return Directions(p, D, _classified(form, bases, multiplicities), guarantee)
    bases = list(search(form, most, seed)[:, :, None])
    lines = _classified(form, bases, (1,) * len(bases))
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


def _linear(moment: Moment) -> tuple[list[np.ndarray], bool]:
    """The line of $z$, or the only line there is in one dimension."""
    z = moment.gradient(np.ones((1, moment.dimension)))[0]
    return [(z / np.linalg.norm(z))[:, None]], True


def _eliminated(moment: Moment) -> Points | None:
    if moment.dimension == 2:
        return critical_in_the_plane(moment)
    if moment.dimension == 3 and moment.order <= HIGHEST_ELIMINATED:
        return critical_in_space(moment)
    return None


def _classified(
    moment: Moment, bases: list[np.ndarray], multiplicities: tuple[int, ...]
) -> tuple[CriticalLine, ...]:
    """Lines with their values and curvatures, by decreasing $|H|$."""
    bases = [_oriented(moment, basis) for basis in bases]
    measured = [_measured(moment, basis) for basis in bases]
    scale = max((np.abs([value, *curved]).max() for value, curved in measured), default=0.0)
    lines = [
        CriticalLine(basis, value, curvatures, moment.order, multiplicity, DEGENERATE * scale)
        for basis, (value, curvatures), multiplicity in zip(
            bases, measured, multiplicities, strict=True
        )
    ]
    return tuple(sorted(lines, key=lambda line: -abs(line.value)))


def _oriented(moment: Moment, basis: np.ndarray) -> np.ndarray:
    """The representative of a line: $H(u) > 0$ for odd $p$, else the largest entry positive."""
    u = basis[:, 0]
    value = moment.value(u[None])[0] if moment.order % 2 else 0.0
    clear = abs(value) > DEGENERATE * moment.magnitude()
    return basis * np.sign(value if clear else u[np.abs(u).argmax()])


def _measured(moment: Moment, basis: np.ndarray) -> tuple[float, np.ndarray]:
    """$H(u)$, and the curvatures of $H$ on the sphere orthogonally to `basis`."""
    u = basis[:, :1].T
    value = float(moment.value(u)[0])
    normal = np.linalg.qr(np.concatenate([basis, np.eye(len(basis))], axis=1))[0]
    normal = normal[:, basis.shape[1] : len(basis)]
    projected = normal.T @ moment.hessian(u)[0] @ normal
    curvatures = np.linalg.eigvalsh(projected) - moment.order * value
    return value, curvatures
