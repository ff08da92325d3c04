"""Grids of diagrams as they are written on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Asked:
    """What `flowtheory phase-diagram` was asked; None stands for the default of the network.

    Attributes:
        network: such as "two-layer".
        grid: points, COLUMNSxROWS.
        gamma: range of the columns.
        gamma_prime: range of the rows of two layers.
        gamma_2: range of the rows of more, or one value.
        widths: a range, or a list.
        seeds: starts a point and width.
        eps: standard deviation of w.
        points: where networks are drawn.
        fixed: parameters of the probe that all networks have.
    """

    network: str
    grid: str | None
    gamma: str | None
    gamma_prime: str | None
    gamma_2: str | None
    widths: str | None
    seeds: int
    eps: float | None
    points: str | None
    fixed: dict[str, Any]

    def command(self, grid: dict[str, str]) -> str:
        """The command that asks for the same, its grid written out."""
        fixed = {name: f"{v:g}" if isinstance(v, float) else v for name, v in self.fixed.items()}
        options = {**grid, "seeds": self.seeds, **fixed}
        told = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in options.items())
        return f"flowtheory phase-diagram {self.network} {told}"

    def refuse(self, *options: str) -> None:
        """Refuse options that the network does not have.

        Raises:
            ParameterError: one of them is given.
        """
        for option in options:
            value, name = getattr(self, option), f"--{option.replace('_', '-')}"
            if value is not None:
                raise refused(name, str(value), f"none: {self.network} networks have no {name}")


def counts(text: str, least_rows: int = 2) -> tuple[int, int]:
    """Columns and rows of "17x17".

    Raises:
        ParameterError: not of this form, or too few.
    """
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        raise refused("--grid", text, "COLUMNSxROWS, such as 17x17")
    columns, rows = map(int, parts)
    if columns < 2 or rows < least_rows:
        least = f"2 columns and {least_rows} row{'s' if least_rows > 1 else ''} or more"
        raise refused("--grid", text, f"{least}: a boundary needs two sides")
    return columns, rows


def values(option: str, text: str, count: int) -> list[float]:
    """Evenly spaced values of "LOW:HIGH"; those of one number are that number.

    Raises:
        ParameterError: neither, or one number for several values.
    """
    if ":" not in text:
        try:
            alone = [float(text)]
        except ValueError as error:
            raise refused(option, text, "LOW:HIGH, two numbers") from error
        if count > 1:
            raise refused(option, text, f"LOW:HIGH, for {count} values of it")
        return alone
    low, high = _ends(option, text)
    return np.linspace(low, high, count).tolist()


def width_list(text: str) -> list[int]:
    """Widths of "256:16384", a factor 2 apart, or of a list.

    Raises:
        ParameterError: neither, or fewer than three.
    """
    if ":" in text:
        low, high = _ends("--widths", text)
        if low < 1:
            raise refused("--widths", text, "widths >= 2")
        count = int(np.log2(high / low) + 1e-9) + 1
        found = [2 * round(low * 2.0**k / 2) for k in range(count)]
    else:
        try:
            found = [int(part) for part in text.split(",")]
        except ValueError as error:
            raise refused("--widths", text, "LOW:HIGH, or numbers with commas") from error
    if len(found) < 3:
        raise refused("--widths", text, "three widths or more: two always lie on a line")
    return found


def _ends(option: str, text: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError as error:
        raise refused(option, text, "LOW:HIGH, two numbers") from error
    if not low < high:
        raise refused(option, text, "LOW:HIGH with LOW < HIGH")
    return low, high


def refused(option: str, text: str, expected: str) -> Exception:
    """The error of an option that makes no sense."""
    from flowtheory.errors import ParameterError

    return ParameterError(
        f"{option} {text}", expected=expected, fix="flowtheory phase-diagram --help"
    )
