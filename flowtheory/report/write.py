"""Writing a report so that nobody ever finds half of one.

Everything is written into a hidden directory beside the target and renamed into place at the end.
A directory is replaced only if a report of ours lies there and nothing else.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowtheory.errors import OutputError
from flowtheory.report.evidence import SCHEMA, to_dict, to_json
from flowtheory.report.page import render_page
from flowtheory.report.svg import write_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from flowtheory.laws.record import Verification

PAGE, EVIDENCE, FIGURES = "index.html", "evidence.json", "figures"


def write_report(
    verification: Verification,
    figures: Mapping[str, tuple[Figure, str]],
    directory: str | Path,
    formats: Sequence[str] = ("svg", "png"),
    *,
    command: str = "",
) -> dict[str, Path]:
    """Write the page, the evidence and the figures; all of it or nothing.

    Args:
        verification: the outcome.
        figures: name -> (figure, caption); the first one is shown with the verdict. Names become
            file names.
        directory: made, with its parents, if missing; a former report in it is replaced.
        formats: of the figure files, any that matplotlib writes.
        command: the command that reproduces the report.

    Returns:
        `index.html`, `evidence.json` and `figures/NAME.FORMAT`, each with its path.

    Raises:
        OutputError: the place cannot be written, or holds something else than a report.
    """
    target = check_writable(directory)
    names = {name: [f"{FIGURES}/{name}.{format}" for format in formats] for name in figures}
    files = [PAGE, EVIDENCE, *(file for listed in names.values() for file in listed)]
    document = to_dict(verification, command=command) | {"files": files}
    with _replacing(target) as place:
        (place / EVIDENCE).write_text(to_json(document), encoding="utf-8")
        page = render_page(document, figures, downloads=names)
        (place / PAGE).write_text(page, encoding="utf-8")
        for name, (figure, _) in figures.items():
            _write_figure(figure, [place / file for file in names[name]])
    return {file: target / file for file in files}


def check_writable(directory: str | Path) -> Path:
    """The absolute path of a directory that `write_report` will be able to write.

    To be called before a long run. Leaves nothing behind.

    Raises:
        OutputError: it is a file, cannot be written, or holds something else than a report.
    """
    try:
        target = Path(directory).expanduser().resolve()
        if target == Path.cwd():
            raise _refusal(
                "the report would replace the current directory",
                "a directory of its own",
                f"--report {Path('out') / 'report'}",
            )
        _check_replaceable(target)
        parent = next(path for path in target.parents if path.exists())
        # Permission bits do not tell what a mount or a quota allows: try.
        probe = parent / _hidden(target.name)
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise _unwritable(directory, error) from error
    return target


def _check_replaceable(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise _refusal(
            f"{target} is a file", "a directory for the report", f"--report {target}-report"
        )
    ours = _listed_files(target / EVIDENCE)
    present = (p.relative_to(target).as_posix() for p in target.rglob("*") if not p.is_dir())
    # A few names are enough: the directory may be somebody's home.
    foreign = list(islice((name for name in present if name not in ours), 4))
    if foreign:
        shown = ", ".join([*foreign[:3], "..."][: len(foreign)])
        raise _refusal(
            f"{target} holds what is not part of a report: {shown}",
            "a directory that is missing, empty, or holds only a former report",
            f"--report {target / 'report'}, or move these files away",
        )


def _listed_files(evidence: Path) -> set[str]:
    """The files that a former report of ours says it consists of."""
    if not evidence.is_file():
        return set()
    try:
        document = json.loads(evidence.read_text(encoding="utf-8"))
        return set(document["files"]) if document["schema"] == SCHEMA else set()
    except (ValueError, KeyError, TypeError):
        return set()


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A directory that becomes `target` if the block ends well, and vanishes otherwise."""
    missing = [path for path in target.parents if not path.exists()]
    place, former = (target.with_name(_hidden(target.name)) for _ in range(2))
    try:
        (place / FIGURES).mkdir(parents=True)
        yield place
        if target.exists():
            target.rename(former)
        place.rename(target)
        _remove(former)
    except BaseException as error:
        # Interrupts as well: the former report is back, or the new one is complete.
        if former.exists() and not target.exists():
            former.rename(target)
        _remove(place)
        _remove(former)
        for parent in missing:
            with suppress(OSError):
                parent.rmdir()
        if isinstance(error, OSError):
            raise _unwritable(target, error) from error
        raise


def _remove(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)


def _write_figure(figure: Figure, paths: Sequence[Path]) -> None:
    for path in paths:
        if path.suffix == ".svg":
            write_svg(figure, path)
        else:
            figure.savefig(path)


def _hidden(name: str) -> str:
    return f".{name[:40]}.{secrets.token_hex(4)}"


def _refusal(wrong: str, expected: str, fix: str) -> OutputError:
    return OutputError(wrong, expected=expected, fix=fix, more="flowtheory verify --help")


def _unwritable(directory: Any, error: OSError) -> OutputError:
    return _refusal(
        f"the report cannot be written to {directory}: {error.strerror or error}",
        "a directory that can be made or written",
        "choose another with --report DIR, or correct its permissions",
    )
