"""Writing a report so that nobody ever finds half of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flowtheory.report.evidence import SCHEMA, to_dict, to_json
from flowtheory.report.page import render_page
from flowtheory.report.place import Place
from flowtheory.report.svg import write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from flowtheory.laws.record import Verification

PAGE, EVIDENCE, FIGURES = "index.html", "evidence.json", "figures"
REPORT = Place("report", EVIDENCE, SCHEMA, "--report", "flowtheory verify --help")


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
    with REPORT.replacing(target) as place:
        (place / FIGURES).mkdir()
        (place / EVIDENCE).write_text(to_json(document), encoding="utf-8")
        page = render_page(document, figures, downloads=names)
        (place / PAGE).write_text(page, encoding="utf-8")
        for name, (figure, _) in figures.items():
            for file in names[name]:
                write_figure(figure, place / file)
    return {file: target / file for file in files}


def check_writable(directory: str | Path) -> Path:
    """The absolute path of a directory that `write_report` will be able to write.

    To be called before a long run. Leaves nothing behind.

    Raises:
        OutputError: it is a file, cannot be written, or holds something else than a report.
    """
    return REPORT.check(directory)
