r"""The leading flow of a neuron of the plane, and the directions at which it comes to rest.

At small initialization a neuron with output weight $v$ follows $\dot w = v\,\nabla H(w)$ up to
constants, $\dot u = s\,(\nabla H - pHu)$ for its direction, $s = \mathrm{sign}(v)$. The field is
the one that the symbolic engine derives (`flowtheory.symbolic.effective_flow`), evaluated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError, ParameterError
from flowtheory.lower.leading import at_saddle, vector_field
from flowtheory.plot.field import Field, Resting
from flowtheory.precision import float64
from flowtheory.symbolic.activation import find_activation
from flowtheory.symbolic.directions.record import Orientation, Stability
from flowtheory.symbolic.effective import EffectiveFlow, effective_flow
from flowtheory.symbolic.networks.fully_connected import fully_connected

_APART = 1e-9  # angles nearer than this are one
_ZERO = 1e-12  # of the largest rate
_HALF, _ARROWS = 1.25, 16  # of a panel: half its size, and arrows of a row

Points = Float[np.ndarray, "k 2"]


@dataclass(frozen=True, eq=False)
class PlaneField:
    r"""The leading flow of the input weights of one neuron with $v = 1$.

    Attributes:
        rate: $w \mapsto \dot w$, for rows $w$.
        kinks: angles at which the neuron begins or ceases to see a datum, in $[-\pi, \pi)$; none
            for a smooth activation.
        orientations: the directions at rest, for both signs of $v$.
    """

    rate: Callable[[Points], Points]
    kinks: Float[np.ndarray, " k"]
    orientations: tuple[Orientation, ...]


def plane_field(
    x: Float[np.ndarray, "n 2"], y: Float[np.ndarray, " n"], activation: str = "relu"
) -> PlaneField:
    r"""The leading flow of data in the plane, under half the mean squared error.

    For a smooth activation the directions are those of
    `flowtheory.symbolic.critical_directions`. For a kinked one of degree 1 $\nabla H = g$ is
    constant between neighbouring kinks: at rest are $\pm g/|g|$ if they lie there, and a kink
    towards which (stable, the neuron slides along it) or from which (unstable) both sides turn.
    Where a neuron sees no datum every direction is at rest; those are left out.

    Args:
        x: inputs; a bias is the second column.
        y: labels.
        activation: by name, or as an expression in z.

    Raises:
        DataError: inputs that are not of the plane.
        ParameterError: a kinked activation of another degree than 1.
    """
    if np.ndim(x) != 2 or np.shape(x)[1] != 2:
        raise DataError(
            f"x has shape {np.shape(x)}",
            expected="two columns: numbers with a bias, or inputs of the plane",
            fix="a field in more dimensions has no picture; see critical_directions",
        )
    flow = effective_flow(fully_connected(2, activation), "half_mse")
    lowered = vector_field(flow)
    given = lowered.prepare(x=x, y=y)

    def rate(w: Points) -> Points:
        with float64():
            return np.asarray(lowered({"W": w, "v": np.ones(len(w))}, given)["W"])

    local = find_activation(activation).local
    if local.analytic:
        return PlaneField(rate, np.empty(0), _smooth(flow, x, y, float(local.leading)))
    if local.multiplicity > 1:
        raise ParameterError(
            f"{activation} has a kink and multiplicity {local.multiplicity}",
            expected="a smooth activation, or one that is homogeneous of degree 1",
            fix="activation='relu'",
        )
    kinks = _kinks(np.asarray(x, dtype=float))
    return PlaneField(rate, kinks, _kinked(rate, kinks))


def _smooth(
    flow: EffectiveFlow, x: np.ndarray, y: np.ndarray, leading: float
) -> tuple[Orientation, ...]:
    """Critical points of the form; a negative leading coefficient exchanges the signs of v."""
    weights = at_saddle(flow, {"x": x, "y": y})[str(flow.weight.base)]
    lines = flow.directions(np.asarray(x), np.sign(leading) * weights)
    return tuple(one for line in lines if line.isolated for one in line.orientations)


def _kinks(x: np.ndarray) -> np.ndarray:
    """Angles of the unit vectors that are orthogonal to a datum, increasing."""
    rows = x[np.any(x != 0, axis=1)]
    normal = np.arctan2(rows[:, 1], rows[:, 0])
    angles = np.sort((np.concatenate([normal, normal + np.pi]) + 1.5 * np.pi) % (2 * np.pi) - np.pi)
    apart = np.diff(angles, append=angles[:1] + 2 * np.pi) > _APART
    return angles[apart]


def _kinked(rate: Callable[[Points], Points], kinks: np.ndarray) -> tuple[Orientation, ...]:
    """Directions at rest of a field that is constant between kinks."""
    after = np.roll(kinks, -1) + np.where(np.arange(len(kinks)) == len(kinks) - 1, 2 * np.pi, 0)
    pulls = rate(_unit((kinks + after) / 2))  # in the arc that begins at each kink
    least = _ZERO * float(np.max(np.abs(pulls), initial=0.0))
    found = []
    for low, high, pull in zip(kinks, after, pulls, strict=True):
        size = float(np.linalg.norm(pull))
        for side in (1, -1):
            angle = np.arctan2(*(side * pull[::-1]))
            inside = 0 < (angle - low) % (2 * np.pi) < high - low
            if size > least and inside:
                found += _both_signs(side * pull / size, side * size, side)
    turns = np.stack([_turn(kinks, np.roll(pulls, 1, axis=0)), _turn(kinks, pulls)])
    for u, pull, (before, beyond) in zip(_unit(kinks), pulls, turns.T, strict=True):
        if min(abs(before), abs(beyond)) > least and before * beyond < 0:
            found += _both_signs(u, float(pull @ u), int(np.sign(before)))
    return tuple(found)


def _both_signs(u: np.ndarray, value: float, stable_for: int) -> list[Orientation]:
    """A direction at rest that is stable for one sign of v and unstable for the other."""
    kinds = {stable_for: Stability.STABLE, -stable_for: Stability.UNSTABLE}
    return [Orientation(u, sign, value, kinds[sign]) for sign in (1, -1)]


def _turn(angles: np.ndarray, pulls: np.ndarray) -> np.ndarray:
    """How fast directions of these angles turn to the left."""
    return np.sum(pulls * _unit(angles + np.pi / 2), axis=1)


def _unit(angles: np.ndarray) -> Points:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def field_panels(
    x: Float[np.ndarray, "n 2"], y: Float[np.ndarray, " n"], activation: str = "relu"
) -> tuple[Field, Field]:
    """The field of `plane_field` for both signs of the output weight, as panels of a figure.

    Args:
        x: inputs; a bias is the second column.
        y: labels.
        activation: by name, or as an expression in z.

    Raises:
        DataError: inputs that are not of the plane.
        ParameterError: a kinked activation of another degree than 1.
    """
    found = plane_field(x, y, activation)
    one = np.linspace(-_HALF, _HALF, _ARROWS)
    at = np.stack([part.ravel() for part in np.meshgrid(one, one)], axis=1)
    rate = found.rate(at)
    first, second = (
        Field(
            f"{activation}, $a {'>' if sign > 0 else '<'} 0$",
            at,
            sign * rate,
            found.kinks,
            [
                Resting(each.direction, each.stability is Stability.STABLE, each.growing)
                for each in found.orientations
                if each.sign == sign
            ],
        )
        for sign in (1, -1)
    )
    return first, second
