"""The atlas: all verdicts on one page, each with its own page beside it, and the list as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flowtheory.errors import OutputError
from flowtheory.report.evidence import SCHEMA, to_json
from flowtheory.report.json_file import write_text
from flowtheory.report.page import environment
from flowtheory.report.write import EVIDENCE, PAGE

LISTING = "atlas.json"
ATLAS = "flowtheory/atlas/1"
Document = Mapping[str, Any]


def entry(document: Document) -> dict[str, Any]:
    """What the atlas says of one law, from the document of its verification."""
    roles = dict.fromkeys(one["role"] for one in document["statements"])
    first = [next(s for s in document["statements"] if s["role"] == role) for role in roles]
    return {
        "law": document["law"],
        "title": document["title"],
        "verdict": document["verdict"],
        "stopped": document["stopped"],
        "formulas": [statement["latex"] for statement in first],
        "source": first[0]["source"],
        "range": document["range"]["text"],
        "findings": len(document["findings"]),
        "variants": [
            {"name": one["name"], "verdict": one["verdict"]} for one in document["controls"]
        ],
        "rejected": sum(one["verdict"] == "DISAGREES" for one in document["controls"]),
        "attacks": [
            {key: one[key] for key in ("name", "bound", "ratio", "short", "case")}
            for one in document["attacks"]
        ],
        "certified": sum(one["certified"] for one in document["certificates"]),
        "certifiable": sum(one["rows"] for one in document["certificates"]),
        "not_shown": document["not_shown"],
        "seconds": document["seconds"],
        "effort": document["effort"],
        "seed": document["seed"],
    }


def write_atlas(
    documents: Sequence[Document],
    failed: Mapping[str, str],
    directory: Path,
    *,
    command: str,
) -> dict[str, Any]:
    """Write the index of reports that lie in `directory`, one folder a law.

    Args:
        documents: of the verifications, in the order of the page.
        failed: the laws that could not be run, with the error of each.
        directory: made if missing.
        command: what reproduces it.

    Returns:
        What the list says, as plain data.

    Raises:
        OutputError: it cannot be written.
    """
    laws = [entry(document) for document in documents]
    atlas = {
        "schema": ATLAS,
        "command": command,
        "laws": laws,
        "failed": [{"law": name, "error": error} for name, error in failed.items()],
        "verdicts": Counter(law["verdict"] for law in laws),
        "rejected": sum(law["rejected"] for law in laws),
        "variants": sum(len(law["variants"]) for law in laws),
        "attacks": sum(len(law["attacks"]) for law in laws),
        "certified": sum(law["certified"] for law in laws),
        "certifiable": sum(law["certifiable"] for law in laws),
        "seconds": sum(law["seconds"] for law in laws),
        "versions": documents[0]["versions"] if documents else {},
    }
    page = environment().get_template("atlas.html.j2").render(atlas=atlas)
    write_text(to_json(atlas), directory / LISTING)
    write_text(page, directory / PAGE)
    return atlas


def check_atlas(directory: Path) -> None:
    """Make sure that an atlas can be written there; makes the directory.

    Raises:
        OutputError: it is a file, cannot be written, or holds something else than an atlas.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        foreign = [path.name for path in directory.iterdir() if not _ours(path)]
    except OSError as error:
        raise _refusal(f"{directory} cannot be written: {error.strerror or error}") from error
    if foreign:
        raise _refusal(f"{directory} holds what is not part of an atlas: {sorted(foreign)[0]}")


def former(directory: Path, command: str, versions: Mapping[str, str]) -> Document | None:
    """The document of a former report by the same command and versions; None if there is none."""
    try:
        document = json.loads((directory / EVIDENCE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    wanted = {"schema": SCHEMA, "command": command, "versions": dict(versions), "stopped": ""}
    known = isinstance(document, dict) and all(document.get(k) == v for k, v in wanted.items())
    return document if known else None


def _ours(path: Path) -> bool:
    if path.is_dir():
        return (path / EVIDENCE).is_file() or not any(path.iterdir())
    return path.name in (PAGE, LISTING)


def _refusal(wrong: str) -> OutputError:
    return OutputError(
        wrong,
        expected="a directory that is missing, empty, or holds a former atlas",
        fix="--report DIR with a directory of its own",
        more="flowtheory verify --help",
    )
