r"""Runs of networks at points of the phase diagrams, for the laws about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowtheory.errors import LawError
from flowtheory.phase.deep_probe import PROBE as DEEP
from flowtheory.phase.probe import PROBE
from flowtheory.sweep.probe import Cell, Probe


def cell_of(gamma: float, gamma_prime: float, width: int, seed: int, **fixed: Any) -> Cell:
    """A cell of the probe, with its defaults.

    Args:
        gamma: of the point.
        gamma_prime: of the point.
        width: neurons.
        seed: of the start.
        **fixed: other parameters of `flowtheory.phase.probe.PROBE`.
    """
    return _cell(PROBE, gamma=gamma, gamma_prime=gamma_prime, width=width, seed=seed, **fixed)


def ended(
    gamma: float, gamma_prime: float, width: int, seed: int, **fixed: Any
) -> dict[str, float]:
    """What the probe measures in one cell; the arguments are those of `cell_of`.

    Raises:
        LawError: the run did not end at its level of the loss.
    """
    return _found(PROBE, cell_of(gamma, gamma_prime, width, seed, **fixed))


def deep_ended(
    gamma: float, gamma_2: float, width: int, seed: int, **fixed: Any
) -> dict[str, float]:
    """What the probe of deeper networks measures in one cell.

    Args:
        gamma: of the point.
        gamma_2: of the point.
        width: neurons of every hidden layer.
        seed: of the start.
        **fixed: other parameters of `flowtheory.phase.deep_probe.PROBE`.

    Raises:
        LawError: the run did not end at its level of the loss.
    """
    cell = _cell(DEEP, gamma=gamma, gamma_2=gamma_2, width=width, seed=seed, **fixed)
    return _found(DEEP, cell)


def _cell(probe: Probe, **given: Any) -> Cell:
    defaults = {p.name: p.default for p in probe.parameters if p.default is not None}
    converted: Mapping[str, Any] = {n: probe.parameter(n).convert(v) for n, v in given.items()}
    return defaults | converted


def _found(probe: Probe, cell: Cell) -> dict[str, float]:
    (found,) = probe.run([cell])
    if not found.outcome.ok:
        raise LawError(
            f"the run at {dict(cell)} ended as {found.outcome.name}: {found.message}",
            expected="a run that ends at its level of the loss",
            fix="another point, or data without a plateau above that level",
        )
    return dict(found.values)
