"""The studies of diagrams: which cells a grid and its widths need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flowtheory.sweep.home import Home
from flowtheory.sweep.study import Study

_TWO_LAYER = Home("flowtheory.phase.probe:PROBE")
_DEEP = Home("flowtheory.phase.deep_probe:PROBE")


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
    return Study.of("two-layer diagram", _TWO_LAYER, axes, fixed)


def deep_study(
    gamma: Sequence[float],
    gamma_2: Sequence[float],
    widths: Sequence[int],
    seeds: int = 1,
    **fixed: Any,
) -> Study:
    """A study of networks with two hidden layers or more: axes gamma, gamma_2, width and seed.

    Args:
        gamma: the columns.
        gamma_2: the rows.
        widths: of every hidden layer.
        seeds: how many starts, 0, 1, ...
        **fixed: other parameters of `flowtheory.phase.deep_probe.PROBE`; `layers=3` by default.

    Raises:
        ParameterError: an empty axis, a value twice, or one out of its domain.
        UnknownNameError: a parameter that does not exist.
    """
    grid = {"gamma": gamma, "gamma_2": gamma_2, "width": widths, "seed": range(seeds)}
    axes = {name: list(values) for name, values in grid.items()}
    return Study.of("deep diagram", _DEEP, axes, fixed)
