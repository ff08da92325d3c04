"""The evidence as one JSON file, beside or instead of the report; all of it or nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowtheory.errors import OutputError
from flowtheory.report.evidence import to_json


def check_json_path(path: Path) -> None:
    """Fail before a long run if `path` cannot be written; leaves nothing behind.

    Raises:
        OutputError: the path is a directory, or its directory is missing or not writable.
    """
    if path.is_dir():
        raise _refusal(path, "it is a directory")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _refusal(path, error.strerror or str(error)) from error


def write_json(document: Mapping[str, Any], path: Path) -> None:
    """Write a document of evidence; all of it or nothing."""
    write_text(to_json(document), path)


def write_text(text: str, path: Path) -> None:
    """Write under a temporary name, then rename: a reader never sees half a file.

    Raises:
        OutputError: the place cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _refusal(path, error.strerror or str(error)) from error


def _refusal(path: Path, why: str) -> OutputError:
    return OutputError(
        f"{path} cannot be written: {why}",
        expected="a file name in an existing, writable directory, or - for standard output",
        fix="--json evidence.json",
        more="flowtheory verify --help",
    )
