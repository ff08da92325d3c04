r"""A study as a small TOML file.

name = "squares"
probe = "my_probe.py:PROBE"       # beside this file, or "package.module:NAME"

[grid]
gamma = { from = 0.6, to = 1.4, count = 9 }
width = { from = 256, to = 16384, count = 7, spacing = "geometric" }
seed = 3                          # 0, 1, 2
activation = ["relu", "tanh"]

[fixed]
samples = 5
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flowtheory.errors import FileFormatError, ParameterError, unknown_name
from flowtheory.sweep.home import Home
from flowtheory.sweep.probe import Parameter
from flowtheory.sweep.study import SEED, Study

_DOCS = "docs/sweeps.md"
_KEYS = ("name", "probe", "grid", "fixed")
_RANGE = ("from", "to", "count", "spacing")
LINEAR, GEOMETRIC = "linear", "geometric"


def read_study(path: str | Path) -> Study:
    """The study that a file describes.

    Raises:
        FileFormatError: The file is missing or no TOML, or its probe is not found.
        UnknownNameError: A key, or a parameter, that does not exist.
        ParameterError: A value that is missing or out of its domain.
    """
    path = Path(path).expanduser()
    values = _read(path)
    for key in values:
        if key not in _KEYS:
            raise unknown_name(f"key of {path.name}", key, _KEYS, more=_DOCS)
    place = values.get("probe")
    if not isinstance(place, str):
        raise _missing(path, "probe", '"package.module:NAME" or "file.py:NAME"')
    if not isinstance(values.get("grid"), dict):
        raise _missing(path, "[grid]", "a table of axes")
    home = Home.of(_near(path, place))
    probe = home.probe()
    grid = {name: axis(probe.parameter(name), given) for name, given in values["grid"].items()}
    return Study.of(str(values.get("name", path.stem)), home, grid, values.get("fixed"))


def axis(parameter: Parameter, given: Any) -> list[Any]:
    """The values of an axis: a list, a range, or for the seed a number of them.

    Args:
        parameter: which one.
        given: as the file has it.

    Raises:
        ParameterError: It is none of these, or a range of another kind of parameter.
        UnknownNameError: A key of the range that does not exist.
    """
    if isinstance(given, list):
        return given
    if parameter.name == SEED and isinstance(given, int) and not isinstance(given, bool):
        return list(range(given))
    if isinstance(given, Mapping):
        return _range(parameter, given)
    raise ParameterError(
        f"the axis {parameter.name} is {given!r}",
        expected="a list of values, or { from, to, count, spacing }",
        fix=f"{parameter.name} = [{given!r}]",
        more=_DOCS,
    )


def _range(parameter: Parameter, given: Mapping[str, Any]) -> list[Any]:
    for key in given:
        if key not in _RANGE:
            raise unknown_name(f"key of the range of {parameter.name}", key, _RANGE, more=_DOCS)
    low, high, count, spacing = (given.get(key, LINEAR) for key in _RANGE)
    good = all(map(_number, (low, high, count))) and spacing in (LINEAR, GEOMETRIC)
    if not good or parameter.kind not in (int, float):
        raise ParameterError(
            f"the range of {parameter.name} is {dict(given)!r}",
            expected=f'numbers from, to, count; spacing "{LINEAR}" or "{GEOMETRIC}"',
            fix=f"{parameter.name} = {{ from = 1, to = 8, count = 4 }}",
            more=_DOCS,
        )
    if count != int(count) or count < 2 or (spacing == GEOMETRIC and min(low, high) <= 0):
        raise ParameterError(
            f"the range of {parameter.name} has count = {count}, from = {low}, to = {high}",
            expected="two values or more; both ends > 0 where the spacing is geometric",
            fix="a list of one value, for one",
            more=_DOCS,
        )
    space = np.linspace if spacing == LINEAR else np.geomspace
    values = space(low, high, int(count)).tolist()
    return [round(value) for value in values] if parameter.kind is int else values


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise FileFormatError(
            f"{path} cannot be read: {reason}",
            expected="a TOML file with `probe`, [grid] and [fixed]",
            fix="check the path; texts stand in quotes, lists in [ ], tables in { }",
            more=_DOCS,
        ) from error


def _near(path: Path, place: str) -> str:
    """The address of a probe in a file, seen from the study's file."""
    file, _, name = place.rpartition(":")
    return f"{path.parent / file}:{name}" if file.endswith(".py") else place


def _missing(path: Path, key: str, what: str) -> ParameterError:
    return ParameterError(f"{path.name} has no {key}", expected=what, fix=f"add {key}", more=_DOCS)
