"""The study of a two-layer diagram: which cells a grid and its widths need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flowtheory.sweep.home import Home
from flowtheory.sweep.study import Study

_HOME = Home("flowtheory.phase.probe:PROBE")


def two_layer_study(
    gamma: Sequence[float],
    gamma_prime: Sequence[float],
    widths: Sequence[int],
    seeds: int = 1,
    **fixed: Any,
) -> Study:
    """A study with the axes gamma, gamma_prime, width and seed.

    Args:
        gamma: the columns.
        gamma_prime: the rows.
        widths: hidden neurons.
        seeds: how many starts, 0, 1, ...
        **fixed: other parameters of `flowtheory.phase.probe.PROBE`.

    Raises:
        ParameterError: an empty axis, a value twice, or one out of its domain.
        UnknownNameError: a parameter that does not exist.
    """
    grid = {"gamma": gamma, "gamma_prime": gamma_prime, "width": widths, "seed": range(seeds)}
    axes = {name: list(values) for name, values in grid.items()}
    return Study.of("two-layer diagram", _HOME, axes, fixed)
