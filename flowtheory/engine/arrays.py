"""Arrays from files that a user names: npz, npy, csv."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from flowtheory.errors import FileFormatError


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz, by name.

    Raises:
        FileFormatError: the file is missing, or no npz of numbers.
    """
    bundle = _loaded(path, ".npz")
    try:
        return {name: bundle[name] for name in bundle.files}
    except (ValueError, OSError, AttributeError) as error:
        raise _unreadable(path, ".npz", error) from error


def read_npy(path: Path) -> np.ndarray:
    """The array of an npy.

    Raises:
        FileFormatError: the file is missing, or no npy of numbers.
    """
    return _loaded(path, ".npy")


def _loaded(path: Path, suffix: str) -> Any:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _unreadable(path, suffix, error) from error
    if hasattr(found, "files") != (suffix == ".npz"):
        raise _unreadable(path, suffix, TypeError(f"it is no {suffix}"))
    return found


def read_csv(path: Path) -> np.ndarray:
    """Numbers separated by commas; a first line of names is passed over.

    Raises:
        FileFormatError: the file is missing, or no table of numbers.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        named = bool(lines) and not re.fullmatch(r"[-+\d.eEinfa,\s]*", lines[0])
        table = np.genfromtxt(lines[named:], delimiter=",", dtype=np.float64)
    except (OSError, ValueError) as error:
        raise _unreadable(path, ".csv", error) from error
    if table.size == 0:
        raise _unreadable(path, ".csv", ValueError("it holds no numbers"))
    return table


def _unreadable(path: Path, suffix: str, error: Exception) -> FileFormatError:
    reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
    return FileFormatError(
        f"{path} cannot be read: {reason}",
        expected=f"a {suffix} file of numbers; paths are seen from the file that names them",
        fix="check the path",
    )
