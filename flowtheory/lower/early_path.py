r"""The event-exact early flow as a path that is known at any time (`flowtheory.flow.along`).

Between two kinks of neuron $j$, with $c$ the residuals at zero output and $S_j$ what it slides on,

$$ \dot w_j = v_j a_j, \qquad \dot v_j = \langle w_j, a_j\rangle, \qquad
   a_j = \Pi_{S_j} \sum_{i\ \mathrm{active}} c_i x_i , $$

which gives the slopes beside the states of the closed form.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from flowtheory.exact import EffectivePaths
from flowtheory.flow import GradientFlow
from flowtheory.flow.trail import CELLS, Point
from flowtheory.lower.event_exact import Early, EarlyFlow, sides_at

_LEAST = 64  # places besides, dense towards the start: there unbalanced weights turn fastest
_UP_TO = "closed form up to the event: the outputs stay negligible"


class _Sides(NamedTuple):
    """Sides of all data after so many events, shapes (h, n)."""

    past: int
    pattern: Bool[np.ndarray, "h n"]
    sliding: Bool[np.ndarray, "h n"]


class EarlyPath:
    """The early flow up to a time.

    Attributes:
        grid: times from 0 to the end, four an e-fold of the fastest neuron at least.
    """

    def __init__(
        self,
        flow: GradientFlow,
        W: Float[np.ndarray, "h D"],
        v: Float[np.ndarray, " h"],
        end: float,
        *,
        log_scale: float = 0.0,
    ) -> None:
        """Prepare the path.

        Args:
            flow: as in `event_exact_start`, and so are `W`, `v` and `log_scale`.
            W: input weights.
            v: output weights.
            end: last time, not after the hand-over.
            log_scale: logarithm of the factor of all weights.
        """
        self._early = Early(flow, flow.start(W, v), log_scale)
        self._paths = paths = self._propagated(np.array([end]))
        self._switches = np.sort(paths.time)
        self._sides, self._field = _Sides(-1, *2 * (np.zeros((len(v), flow.n), bool),)), 0.0 * W
        fastest = max(np.max(paths.initial_alpha), np.max(paths.alpha, initial=0.0))
        even = np.linspace(0.0, end, math.ceil(CELLS * fastest * end) + 2)
        self.grid: Float[np.ndarray, " g"] = np.union1d(even, end * np.logspace(-4, 0, _LEAST))

    def _propagated(self, times: Float[np.ndarray, " k"]) -> EffectivePaths:
        return self._early.propagate(self._early.c, times)

    def point(self, s: float) -> Point:
        """The point at time s."""
        found = self.points(np.array([s]))
        return Point(*(_first(part) for part in found))

    def points(self, places: Float[np.ndarray, " p"]) -> Point:
        """Points at rising times, stacked; parameters W and v by name."""
        samples = self._propagated(places).samples
        size = np.exp(samples.log_norm + self._early.log_scale).T
        W = size[..., None] * samples.direction.swapaxes(0, 1)
        v = size * samples.ratio.T
        a = np.stack([self._field_at(t) for t in places])
        tangent = {"W": v[..., None] * a, "v": np.sum(W * a, axis=-1)}
        return Point(places, {"W": W, "v": v}, np.ones_like(places), tangent)  # type: ignore[arg-type]

    def _field_at(self, t: float) -> Float[np.ndarray, "h D"]:
        """The field of every input weight per unit of its output weight; known for the last t."""
        past = int(np.searchsorted(self._switches, t, side="right"))
        if past != self._sides.past:
            new, old = _Sides(past, *sides_at(self._paths, t)), self._sides
            changed = (new.pattern != old.pattern) | (new.sliding != old.sliding)
            self._field = self._field.copy()
            for j in np.flatnonzero(changed.any(axis=1)):
                self._field[j] = self._force(new.pattern[j], new.sliding[j])
            self._sides = new
        return self._field

    def _force(
        self, pattern: Bool[np.ndarray, " n"], sliding: Bool[np.ndarray, " n"]
    ) -> Float[np.ndarray, " D"]:
        a, on = (pattern * self._early.c) @ self._early.flow.x, self._early.flow.x[sliding]
        return a - np.linalg.pinv(on) @ (on @ a) if len(on) else a

    def state(self, t: float) -> EarlyFlow:
        """The network at time t, with its error."""
        paths = self._propagated(np.array([t]))
        return self._early.state(paths, 0, self._early.difference(paths, 0), _UP_TO)


def _first(part: Any) -> Any:
    return {name: a[0] for name, a in part.items()} if isinstance(part, dict) else part[0]
