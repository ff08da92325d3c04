"""One picture as a file; all of it or nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from flowtheory.errors import OutputError
from flowtheory.report.svg import write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")


def check_picture(path: Path) -> None:
    """Fail early if `path` cannot be written; leaves nothing behind.

    Raises:
        OutputError: another format, a directory, or a place that cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise _refusal(path, f"its format is not one of {', '.join(FORMATS)}")
    if path.is_dir():
        raise _refusal(path, "it is a directory")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _refusal(path, error.strerror or str(error)) from error


def write_picture(figure: Figure, path: Path) -> None:
    """Write under a temporary name, then rename.

    Raises:
        OutputError: as `check_picture`, or the disk is full.
    """
    check_picture(path)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".picture.") as place:
            part = Path(place) / f"picture{path.suffix.lower()}"
            write_figure(figure, part)
            part.replace(path)
    except OSError as error:
        raise _refusal(path, error.strerror or str(error)) from error


def _refusal(path: Path, why: str) -> OutputError:
    return OutputError(
        f"{path} cannot be written: {why}",
        expected=f"a file name that ends with {', '.join(FORMATS)} in a writable directory",
        fix="--plot regimes.png",
        more="flowtheory where --help",
    )
