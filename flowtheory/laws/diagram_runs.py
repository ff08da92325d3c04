r"""Runs of two-layer networks at points of the phase diagram, for the laws about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowtheory.errors import LawError
from flowtheory.phase.probe import PROBE
from flowtheory.sweep.probe import Cell

_DEFAULTS = {p.name: p.default for p in PROBE.parameters if p.default is not None}


def cell_of(gamma: float, gamma_prime: float, width: int, seed: int, **fixed: Any) -> Cell:
    """A cell of the probe, with its defaults.

    Args:
        gamma: of the point.
        gamma_prime: of the point.
        width: neurons.
        seed: of the start.
        **fixed: other parameters of `flowtheory.phase.probe.PROBE`.
    """
    given: Mapping[str, Any] = {
        "gamma": gamma, "gamma_prime": gamma_prime, "width": width, "seed": seed, **fixed
    }  # fmt: skip
    return _DEFAULTS | {name: PROBE.parameter(name).convert(v) for name, v in given.items()}


def ended(
    gamma: float, gamma_prime: float, width: int, seed: int, **fixed: Any
) -> dict[str, float]:
    """What the probe measures in one cell; the arguments are those of `cell_of`.

    Raises:
        LawError: the run did not end at its level of the loss.
    """
    cell = cell_of(gamma, gamma_prime, width, seed, **fixed)
    (found,) = PROBE.run([cell])
    if not found.outcome.ok:
        raise LawError(
            f"the run at {dict(cell)} ended as {found.outcome.name}: {found.message}",
            expected="a run that ends at its level of the loss",
            fix="another point, or data without a plateau above that level",
        )
    return dict(found.values)
