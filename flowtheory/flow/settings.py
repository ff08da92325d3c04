"""How accurately and for how long to integrate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from flowtheory.errors import ParameterError

Explicit = Literal["dopri8", "tsit5"]
"""Explicit Runge-Kutta pairs, of order 8 and 5."""

Stabilised = Literal["rkc2", "rock4"]
"""Stabilised explicit methods, of order 2 and 4; see `stages`."""

Fixed = Literal["dopri8", "tsit5", "rkc2", "rock4"]
Method = Literal["auto", "dopri8", "tsit5", "rkc2", "rock4"]

PAIRS: tuple[Explicit, ...] = ("dopri8", "tsit5")
STABILISED: tuple[Stabilised, ...] = ("rkc2", "rock4")
METHODS: tuple[Method, ...] = ("auto", *PAIRS, *STABILISED)

Coordinates = Literal["auto", "plain", "neurons"]
COORDINATES: tuple[Coordinates, ...] = ("auto", "plain", "neurons")
_FINEST = 1e-14
_COARSEST = 1e-2
_ATOL_FRACTION = 1e-3


@dataclass(frozen=True)
class Settings:
    r"""Accuracy and budgets of an adaptive run.

    A step is accepted when, for every neuron, the error of $(w_j, v_j)$ is at most
    `rtol` $|(w_j, v_j)|$ + `atol`: relative, neuron by neuron, so the accuracy does not depend on
    the initialization scale.

    Attributes:
        rtol: relative tolerance a step, in [1e-14, 1e-2].
        atol: absolute tolerance; by default `rtol` times 1e-3 of the smallest start amplitude.
        method: 'auto' starts with 'dopri8' (order 8) and goes to 'rock4' (order 4, as many stages
            as stability needs) and back where that pays, see `choice`; it is 'dopri8' throughout
            where the field has kinks. Or one of 'dopri8', 'tsit5' (order 5), 'rock4', 'rkc2'.
        max_steps: budget of attempted steps over the whole run.
        max_switches: budget of pattern switches; by default 2 n h + 100 (Assumption 1 needs at
            most n h).
        chunk: attempted steps between two visits of the host (progress, budgets).
        time_limit: wall time in seconds after which a run ends.
        coordinates: 'neurons' is log-norm and direction of each neuron (`polar`), 'plain' the
            weights themselves; 'auto' takes the first where the smallest neuron of the start is
            below 1e-6 of the largest. For smooth networks.
    """

    rtol: float = 1e-10
    atol: float | None = None
    method: Method = "auto"
    max_steps: int = 1_000_000
    max_switches: int | None = None
    chunk: int = 1000
    time_limit: float = math.inf
    coordinates: Coordinates = "auto"

    def __post_init__(self) -> None:
        if not _FINEST <= self.rtol <= _COARSEST:
            raise ParameterError(
                f"rtol is {self.rtol!r}",
                expected=f"a number in [{_FINEST:g}, {_COARSEST:g}]",
                fix="1e-10 (default), or 1e-13 for a reference run",
            )
        if self.method not in METHODS:
            raise ParameterError(
                f"method is {self.method!r}",
                expected=f"one of {', '.join(map(repr, METHODS))}",
                fix="leave it out: 'auto' chooses",
            )
        if self.coordinates not in COORDINATES:
            raise ParameterError(
                f"coordinates is {self.coordinates!r}",
                expected=f"one of {', '.join(map(repr, COORDINATES))}",
                fix="leave it out: 'auto' chooses",
            )
        for name in ("max_steps", "max_switches", "chunk"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ParameterError(
                    f"{name} is {value!r}",
                    expected="an integer >= 1",
                    fix=f"leave {name} out",
                )

    @property
    def pair(self) -> Explicit:
        """The explicit pair for a field with kinks.

        Raises:
            ParameterError: a stabilised method was asked for.
        """
        if self.method in STABILISED:
            raise ParameterError(
                f"method is {self.method!r} for a flow with kinks",
                expected="'auto', 'dopri8' or 'tsit5'",
                fix="leave it out",
                more="the spectral radius of a field that jumps says nothing about its stability",
            )
        return "tsit5" if self.method == "tsit5" else "dopri8"

    def absolute(self, sizes: Float[np.ndarray, " g"]) -> float:
        """The absolute tolerance for a run whose groups (neurons) have these sizes at the start.

        Raises:
            ParameterError: all parameters are zero, or `atol` is so large that the smallest
                neuron would be integrated to less than `rtol`.
        """
        live = sizes[sizes > 0]
        if live.size == 0:
            raise ParameterError(
                "all parameters are zero",
                expected="a start with at least one nonzero neuron",
                fix="zero is a stationary point of the flow: start at a scale eps > 0",
            )
        smallest = float(live.min())
        if self.atol is None:
            return self.rtol * _ATOL_FRACTION * smallest
        if not (math.isfinite(self.atol) and 0 <= self.atol <= self.rtol * smallest):
            raise ParameterError(
                f"atol is {self.atol!r} and the smallest neuron starts at {smallest:.3g}",
                expected=f"0 <= atol <= rtol * amplitude = {self.rtol * smallest:.3g}",
                fix="leave atol out: the tolerance is relative, neuron by neuron",
                more="a larger atol swallows the initialization: the run escapes at a wrong time",
            )
        return self.atol
