r"""A study: a probe, the grid that it is sent over, and what stays fixed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from flowtheory.errors import ParameterError
from flowtheory.sweep.home import Home
from flowtheory.sweep.probe import Cell, Probe, Value

SEED = "seed"


@dataclass(frozen=True)
class Study:
    """A grid of cells.

    Attributes:
        name: of the study; it names nothing that is stored.
        probe: what is done in a cell.
        home: where a worker finds the probe.
        grid: values of every axis, in order.
        fixed: parameters that are the same in all cells, the defaults included.
    """

    name: str
    probe: Probe
    home: Home
    grid: Mapping[str, tuple[Value, ...]]
    fixed: Mapping[str, Value]

    @classmethod
    def of(
        cls,
        name: str,
        home: Home,
        grid: Mapping[str, Sequence[Any]],
        fixed: Mapping[str, Any] | None = None,
    ) -> Study:
        """A study with every value checked and converted.

        Args:
            name: of the study.
            home: of the probe.
            grid: axis -> its values.
            fixed: parameter -> its value, the same in all cells.

        Raises:
            ParameterError: An empty axis, a value twice, a value out of its domain, a parameter
                that is given twice or not at all.
            UnknownNameError: A name that is no parameter of the probe.
        """
        probe, given = home.probe(), dict(fixed or {})
        axes = {axis: _axis(probe, axis, values) for axis, values in grid.items()}
        twice = sorted(set(axes) & set(given))
        if twice:
            raise ParameterError(
                f"{twice[0]} is an axis of the grid and fixed",
                expected="one of the two",
                fix=f"leave it out of [{'fixed'}]",
            )
        rest = {key: probe.parameter(key).convert(value) for key, value in given.items()}
        for parameter in probe.parameters:
            if parameter.name in axes or parameter.name in rest:
                continue
            if parameter.default is None:
                raise ParameterError(
                    f"{parameter.name} is not given",
                    expected=f"{parameter.domain}: {parameter.says}",
                    fix="put it on the grid or among the fixed parameters",
                )
            rest[parameter.name] = parameter.convert(parameter.default)
        return cls(name, probe, home, axes, dict(sorted(rest.items())))

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return tuple(map(len, self.grid.values()))

    @property
    def size(self) -> int:
        """The number of cells."""
        return int(np.prod(self.shape))

    def cells(self) -> Iterator[Cell]:
        """All cells, the last axis fastest."""
        for values in product(*self.grid.values()):
            yield {**self.fixed, **dict(zip(self.grid, values, strict=True))}

    @cached_property
    def keys(self) -> list[str]:
        """The hash of every cell, in the order of `cells`.

        It covers the probe, its version and source, and every parameter: whatever the result
        depends on, and nothing else, so that studies that share a cell share its result.
        """
        return [self.key(cell) for cell in self.cells()]

    def key(self, cell: Cell) -> str:
        """The hash of one cell."""
        text = json.dumps(dict(cell), sort_keys=True, ensure_ascii=False, allow_nan=False)
        digest = self._identity.copy()
        digest.update(text.encode())
        return digest.hexdigest()[:40]

    @cached_property
    def _identity(self) -> Any:
        probe = f"{self.probe.name} {self.probe.version} {self.home.digest}\n"
        return hashlib.sha256(probe.encode())


def _axis(probe: Probe, name: str, values: Sequence[Any]) -> tuple[Value, ...]:
    parameter = probe.parameter(name)
    converted = tuple(parameter.convert(value) for value in values)
    if not converted:
        raise ParameterError(
            f"the axis {name} is empty", expected="one value or more", fix="give it values"
        )
    if len(set(converted)) < len(converted):
        raise ParameterError(
            f"a value of the axis {name} is given twice",
            expected="different values",
            fix="take it out; for repetitions, use the axis seed",
        )
    return converted
