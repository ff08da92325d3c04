r"""Starts of deep linear leading flows, $H = v^T W_{L-1}\cdots W_1 z$, for the laws of blow-up.

Random data enter through $z = \frac1n\sum_i y_i x_i$ alone; $s = |z|$ and $\hat z = z/s$.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float

from flowtheory.flow.blowup import BlowUp
from flowtheory.lower import LeadingBlowUp
from flowtheory.lower.blowup import Prepared
from flowtheory.outcome import Outcome
from flowtheory.symbolic import Brackets, aligned_layers, deep_linear, effective_flow

Layers = dict[str, np.ndarray]

WIDTH, DIMENSION = 4, 3
"""Shapes that laws share, so that one process compiles a solver once a depth."""


@lru_cache(maxsize=8)
def leading(layers: int) -> LeadingBlowUp:
    """The leading flow of a deep linear network with one output, under the half mean square."""
    network = deep_linear(layers, output="scalar")
    return LeadingBlowUp(effective_flow(network, "half_square", reduction="mean"))


def brackets(layers: int) -> Brackets:
    """The bounds on its blow-up time, in the symbols $s$, $x_l$ and $H$."""
    return Brackets(aligned_layers(layers))


@dataclass(frozen=True)
class Drive:
    r"""Data with a moment $z$ of given length, and what the leading flow takes from them.

    Attributes:
        layers: $L$.
        x: inputs, of shape (n, D).
        y: targets, of shape (n,).
    """

    layers: int
    x: Float[np.ndarray, "n D"]
    y: Float[np.ndarray, " n"]

    @classmethod
    def random(
        cls,
        layers: int,
        strength: float,
        rng: np.random.Generator,
        dimension: int = DIMENSION,
    ) -> Drive:
        """Twelve Gaussian samples, scaled such that |z| is `strength`."""
        x, y = rng.normal(size=(12, dimension)), rng.normal(size=12)
        return cls(layers, x, y * strength / float(np.linalg.norm(y @ x / 12)))

    @cached_property
    def moment(self) -> Float[np.ndarray, " D"]:
        """$z$."""
        return self.y @ self.x / len(self.y)

    @property
    def strength(self) -> float:
        """$s$."""
        return float(np.linalg.norm(self.moment))

    @property
    def direction(self) -> Float[np.ndarray, " D"]:
        r"""$\hat z$."""
        return self.moment / self.strength

    @cached_property
    def prepared(self) -> Prepared:
        """What the leading flow takes from the data."""
        return leading(self.layers).prepare({"x": self.x, "y": self.y})

    def blow_up(self, start: Mapping[str, np.ndarray], **options: Any) -> BlowUp:
        """The leading flow from a start to its blow-up."""
        return leading(self.layers)(start, self.prepared, **options)

    def named(self, matrices: Sequence[np.ndarray]) -> Layers:
        """Layers by name; the last one is a vector."""
        return dict(zip(leading(self.layers).moving, matrices, strict=True))

    def value(self, start: Mapping[str, np.ndarray]) -> float:
        """$H$."""
        signal = self.moment
        for name in leading(self.layers).moving:
            signal = np.asarray(start[name]) @ signal
        return float(signal)

    def norms(self, start: Mapping[str, np.ndarray]) -> list[float]:
        r"""$|W_1\hat z|$ and the Frobenius norms of the other layers."""
        first, *others = (np.asarray(start[name]) for name in leading(self.layers).moving)
        return [float(np.linalg.norm(w)) for w in (first @ self.direction, *others)]

    def parameters(self, start: Mapping[str, np.ndarray]) -> dict[str, float]:
        """What the bounds of a start depend on, under the names of their symbols."""
        gains = {f"x_{k}": norm for k, norm in enumerate(self.norms(start), 1)}
        return {"L": self.layers, "s": self.strength, "H": self.value(start), **gains}

    def gaussian(self, scale: float, rng: np.random.Generator, width: int = WIDTH) -> Layers:
        """Independent entries N(0, scale^2)."""
        sizes = [self.x.shape[1], *[width] * (self.layers - 1)]
        shapes = [*((b, a) for a, b in pairwise(sizes)), (width,)]
        return self.named([scale * rng.normal(size=shape) for shape in shapes])

    def rank_one(
        self,
        gains: Sequence[float] | Float[np.ndarray, " L"],
        rng: np.random.Generator,
        width: int = WIDTH,
    ) -> Layers:
        r"""Aligned layers $x_l\,u_l u_{l-1}^T$ with random unit $u_l$ and $u_0 = \hat z$."""
        units = rng.normal(size=(self.layers - 1, width))
        ends = [self.direction, *(u / np.linalg.norm(u) for u in units)]
        inner = [g * np.outer(b, a) for g, (a, b) in zip(gains, pairwise(ends), strict=False)]
        return self.named([*inner, gains[-1] * ends[-1]])


def observed(run: BlowUp) -> dict[str, Any]:
    """The blow-up time as evidence: measured, with its error; or cut off without a blow-up."""
    low, high = run.blow_up_time.low, run.blow_up_time.high
    if run.outcome is not Outcome.BLEW_UP:
        return {"measured": math.nan, "cut": low}
    time = run.blow_up_time.estimate
    return {"measured": time, "error": max(high - time, time - low)}
