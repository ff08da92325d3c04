"""What a user gives: widths, scales, data, networks; checked, with clear errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flowtheory.errors import DataError, ParameterError
from flowtheory.lower.smooth import free_widths
from flowtheory.symbolic.network import Network

Params = dict[str, Any]


def widths_of(network: Network, arrays: Params) -> dict[str, int]:
    """The widths that parameter arrays have, by name of the size."""
    free = free_widths(network)
    found: dict[str, int] = {}
    for entry in network.parameters:
        extents, array = tuple(map(str, entry.base.shape)), arrays[str(entry.base)]
        if len(extents) != array.ndim:
            raise DataError(
                f"{entry.base} has shape {array.shape}",
                expected=f"an array of shape ({', '.join(extents)})",
                fix="start from flow.init(scale=..., seed=..., width=...)",
            )
        for extent, length in zip(extents, array.shape, strict=True):
            if extent in free:
                found.setdefault(extent, length)
    return found


def scales_of(scale: float | Mapping[str, float], names: tuple[str, ...]) -> dict[str, float]:
    """One scale a tensor, checked."""
    scales = dict(scale) if isinstance(scale, Mapping) else dict.fromkeys(names, float(scale))
    missing = sorted(set(names) ^ set(scales))
    if missing:
        raise ParameterError(
            f"scales are given for {', '.join(sorted(scales))}",
            expected=f"one number, or one for each of {', '.join(names)}",
            fix="scale=1e-6",
        )
    for name, value in scales.items():
        if not (math.isfinite(value) and value > 0):
            raise ParameterError(
                f"the scale of {name} is {value!r}",
                expected="a finite number > 0",
                fix="zero is a stationary point of the flow: scale=1e-6, down to 1e-300",
            )
    return scales


def require_widths(widths: Mapping[str, int]) -> None:
    """Raise `ParameterError` unless all widths are positive integers."""
    for name, value in widths.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ParameterError(
                f"the width {name} is {value!r}", expected="an integer >= 1", fix="width=100"
            )


def require_numbers(network: Network) -> None:
    """Raise `ParameterError` if the network has symbols without a value."""
    if network.symbols:
        raise ParameterError(
            f"{network.name} has the symbol {', '.join(map(str, network.symbols))}",
            expected="a network whose only unknowns are its parameters",
            fix="give the slope as a number, for example 'leaky_relu(0.1)'",
        )


def require_no_file(checkpoint: str | Path | None) -> None:
    """Raise `ParameterError` if a run that no checkpoint can hold was given one."""
    if checkpoint is not None:
        raise ParameterError(
            "this run cannot be written down on its way",
            expected="a smooth network of the symbolic layer, with its rows saved",
            fix="leave checkpoint out, and save the run at its end",
        )


def require_function(network: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise unless the network is a function, and x and y fit together."""
    if not callable(network):
        raise ParameterError(
            f"the network is {network!r}",
            expected="a network such as ft.fully_connected(2, 'tanh'), or a JAX function",
            fix="ft.network('fully-connected', layers=2, activation='tanh')",
        )
    if set(arrays) != {"x", "y"} or len(arrays["x"]) != len(arrays["y"]):
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise DataError(
            f"the data are {shapes or 'none'}",
            expected="x and y with one row a sample",
            fix="GradientFlow(function, loss, x=x, y=y)",
        )


def require_known(network: Network, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise `DataError` for arrays that belong to nothing in the network."""
    known = set(map(str, network.data))
    unknown = sorted(set(arrays) - known)
    if unknown:
        raise DataError(
            f"the data {', '.join(unknown)} belong to nothing in {network.name}",
            expected=f"arrays {', '.join(sorted(known))}",
            fix="check the spelling",
        )
