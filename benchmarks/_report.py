"""What a benchmark found, as one JSON file a benchmark: docs/benchmarks.md is made from those."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("jax", "diffrax", "scipy", "numpy")
PEERS = ("torch", "torchdiffeq", "heyoka")
"""Not needed: `uv pip install torch torchdiffeq heyoka` has them measured too."""


@dataclass(frozen=True)
class Table:
    """Rows of numbers and words under named columns, with what a reader must know to read them."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    text: str = ""

    def __post_init__(self) -> None:
        wrong = [row for row in self.rows if len(row) != len(self.columns)]
        if wrong:
            raise ValueError(f"{self.title}: {wrong[0]} has not the columns {self.columns}")


def arguments(description: str) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes: --json [PATH] and --quick."""
    parser = argparse.ArgumentParser(description=description)
    place = RESULTS / f"{Path(sys.argv[0]).stem}.json"
    parser.add_argument(
        "--json", type=Path, nargs="?", const=place, help="write the result; default: results/"
    )
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: does it work? Its times say nothing"
    )
    return parser


def machine() -> dict[str, Any]:
    """What the numbers depend on, and nothing that names the machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = {name: version(name) for name in PACKAGES}
    for name in PEERS:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return {"cpu_count": cores, "python": platform.python_version(), **versions}


def command(argv: Sequence[str]) -> str:
    """The command line without --json and without paths of this machine."""
    kept: list[str] = []
    skip = False
    for word in argv[1:]:
        if word == "--json":
            skip = True
        elif word.startswith("--json="):
            continue
        elif skip and not word.startswith("--"):
            skip = False
        else:
            skip = False
            kept.append("PATH" if os.sep in word else word)
    return " ".join(["python", f"benchmarks/{Path(argv[0]).name}", *kept])


def write(path: Path | None, doc: str | None, tables: Iterable[Table], *, quick: bool) -> None:
    """Write a result, all of it or nothing; nothing at all without a path.

    Args:
        path: of the JSON file.
        doc: docstring of the script: first the question, then what is measured.
        tables: what was found.
        quick: whether the sizes were those of a mere trial.
    """
    if path is None:
        return
    question, *paragraphs = (doc or "").strip().split("\n\n")
    text = [" ".join(part.split()) for part in paragraphs if not part.startswith("    python ")]
    result = {
        "question": question.replace("\n", " "),
        "text": "\n\n".join(text),
        "command": command(sys.argv),
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "quick": quick,
        "tables": [_plain(asdict(table)) for table in tables],
    }
    document = json.dumps(result, indent=1, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(document)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    print(f"wrote {path.name}")


def _plain(value: Any) -> Any:
    """Lists, dictionaries, words and finite numbers; other numbers become words."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    number = float(value)
    return number if math.isfinite(number) else str(number)
