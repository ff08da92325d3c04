"""Running a Python file that a user wrote, for what it defines."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from flowtheory.errors import FileFormatError, FlowtheoryError


def run_file(path: str | Path, defines: str, *, more: str = "") -> dict[str, Any]:
    """The names that a Python file defines. It is executed: only files that you wrote or read.

    Args:
        path: the file.
        defines: the name that it is expected to define, for the message.
        more: where to read more.

    Raises:
        FileFormatError: There is no such file, or it raises.
        FlowtheoryError: What the file itself got wrong in a call of ours, as it is raised.
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(
            f"{path} is not a file", expected="a Python file", fix="check the path"
        )
    try:
        return runpy.run_path(str(path))
    except FlowtheoryError:  # it says already what is wrong and how to mend it
        raise
    except (Exception, SystemExit) as error:  # whatever the user's code does, the file is named
        raise FileFormatError(
            f"{path} raised {type(error).__name__}: {error}",
            expected=f"a Python file that runs and defines `{defines}`",
            fix="run it by itself with python",
            more=more,
        ) from error
