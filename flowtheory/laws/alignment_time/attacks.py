r"""Attacks on the sharp bounds: data, norms and start at a given least cosine $\mu$.

The numbers of a case: directions of the signed data, logarithms of their norms, and the direction
of the start; for a start in $S_-$ the logarithm of its angle to $x_-$ as well. F1 attains (b), F2
attains (a) as $\mu \to 0$; on any data (c) is attained as that angle tends to 0, where the time in
$S_-$ is nearly all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.data import Case, LabelledData, family
from flowtheory.judge import Evidence
from flowtheory.laws.alignment_time import formulas as f
from flowtheory.laws.alignment_time.comparison import compare
from flowtheory.laws.attack import Attack

LAW = "alignment-time"
_BOUNDS = {
    "a": f.SHARP.subs(f.x_min, 1),
    "b": f.SHARP_RISING.subs(f.x_min, 1),
    "c": f.SHARP_REPELLER.subs(f.x_min, 1),
}
_LONGEST = 1.0  # logarithm of the largest norm over the least
_ROUNDING = 1e-12
_INSIDE = 1e-9  # distance to the boundary of a cell
PARALLEL = 0.999  # a cosine from which on the bound is rounding
_DECADES = (-10.0, -1.0)  # of the angle to x_-


class Shape(NamedTuple):
    """What is fixed in a search: the part of the theorem, data and dimensions, and the cosine."""

    part: str
    samples: int
    dimension: int
    mu: float


SHAPES = (
    Shape("a", 4, 3, 0.2),
    Shape("a", 4, 3, 0.05),
    Shape("a", 4, 3, 0.005),
    Shape("b", 2, 2, 0.05),
    Shape("c", 4, 3, 0.2),
)


def attacks() -> tuple[Attack, ...]:
    """One for each shape."""
    return tuple(_attack(shape) for shape in SHAPES)


def _attack(shape: Shape) -> Attack:
    n, dimension = shape.samples, shape.dimension
    box = [(-1.0, 1.0)] * (n * dimension) + [(0.0, _LONGEST)] * n + [(-1.0, 1.0)] * dimension
    return Attack(
        name=f"part {shape.part}, n = {n}, D = {dimension}, mu = {shape.mu:g}",
        law=LAW,
        bound=_BOUNDS[shape.part],
        upper=True,
        box=(*box, _DECADES) if shape.part == "c" else tuple(box),
        case=_measured(shape),
        generations=(10, 100, 600),
        known=_attaining(shape),
    )


def _measured(shape: Shape) -> Callable[[Float[np.ndarray, " numbers"]], Evidence | None]:
    def case(numbers: Float[np.ndarray, " numbers"]) -> Evidence | None:
        tried = case_of(shape, numbers)
        if tried.data.mu > PARALLEL:
            return None
        found = compare(tried)
        if found.part[0] != shape.part or not np.isfinite(found.measured[0]):
            return None
        row = found.row("")
        assert row is not None
        if shape.part == "c":
            repeller = tried.data.x_minus / tried.data.x_min
            angle = 10.0 ** numbers[-1]
            more = {"theta_0": angle, str(f.x_minus): float(np.linalg.norm(repeller))}
            row = replace(row, parameters={**row.parameters, **more})
        return replace(row, note=f"part {shape.part}")

    return case


def case_of(shape: Shape, numbers: Float[np.ndarray, " numbers"]) -> Case:
    """The data and the neuron that the numbers describe."""
    n, dimension = shape.samples, shape.dimension
    directions, logs, start, _ = np.split(numbers, np.cumsum([n * dimension, n, dimension]))
    data, w0 = data_of(directions, logs, shape.mu), start
    if shape.part == "c":
        repeller = data.x_minus / np.linalg.norm(data.x_minus)
        away = start - (start @ repeller) * repeller
        away /= max(float(np.linalg.norm(away)), 1e-300)
        angle = 10.0 ** numbers[-1]
        w0 = np.cos(angle) * repeller + np.sin(angle) * away
    return Case(data, w0[None, :], (data.x @ w0 > 0)[None, :], "attack", "numbers of an attack")


def data_of(
    directions: Float[np.ndarray, " numbers"], logs: Float[np.ndarray, " n"], mu: float
) -> LabelledData:
    """Data of both classes in turn (of one if there are two), with cosines of at least mu."""
    n = len(logs)
    y = np.where(np.arange(n) % 2 == 0, 1.0, -1.0) if n > 2 else np.ones(n)
    units = _pulled_together(directions.reshape(n, -1), mu)
    norms = np.exp(logs - logs.min())
    return LabelledData(y[:, None] * units * norms[:, None], y, "attack", "numbers of an attack")


def _pulled_together(z: Float[np.ndarray, "n D"], mu: float) -> Float[np.ndarray, "n D"]:
    """Unit vectors with cosines of at least mu: z, pulled towards the first axis if it must be."""
    units = _units(z)
    if _least_cosine(units) >= mu * (1 - _ROUNDING):
        return units
    low, high = 0.0, 1.0
    for _ in range(50):  # until the ends are neighbouring floats
        middle = (low + high) / 2
        near = _least_cosine(_blended(units, middle)) < mu
        low, high = (middle, high) if near else (low, middle)
    return _blended(units, high)


def _blended(units: Float[np.ndarray, "n D"], part: float) -> Float[np.ndarray, "n D"]:
    return _units((1 - part) * units + part * np.eye(1, units.shape[1]))


def _units(z: Float[np.ndarray, "n D"]) -> Float[np.ndarray, "n D"]:
    return z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-300)


def _least_cosine(units: Float[np.ndarray, "n D"]) -> float:
    return float(np.min((units @ units.T)[np.triu_indices(len(units), 1)]))


def _attaining(shape: Shape) -> tuple[float, ...]:
    """The numbers of F1 or F2, just inside the cell from which they start on the boundary."""
    name = {("a", 4): "four-points", ("b", 2): "two-points"}.get((shape.part, shape.samples))
    if name is None:
        return ()
    case = family(name)(mu=shape.mu)
    data, (w0,), (active,) = case.data, case.w0, case.active
    w0 = w0 / np.linalg.norm(w0)
    inwards = np.where(active, 1.0, -1.0) * (np.abs(data.x @ w0) < _ROUNDING)
    w0 = w0 + _INSIDE * inwards @ data.x
    order = np.argsort(-data.y, kind="stable").reshape(-1, shape.samples // 2).T.ravel()
    order = order if data.n_minus else np.arange(shape.samples)  # labels alternate
    signed = data.signed[order]
    return (*signed.ravel(), *np.zeros(shape.samples), *(w0 / np.max(np.abs(w0)) * 0.9))
