"""A directory of results that nobody ever finds half of.

Everything is written into a hidden directory beside the target and renamed into place at the end.
A directory is replaced only if results of ours lie there and nothing else.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from flowtheory.errors import OutputError


@dataclass(frozen=True)
class Place:
    """A kind of directory.

    Attributes:
        kind: what lies in it, such as "report".
        listing: the JSON file in it that lists its files.
        schema: the schema that the listing names.
        option: the command's option that chooses the directory.
        more: where to read more.
    """

    kind: str
    listing: str
    schema: str
    option: str
    more: str

    def check(self, directory: str | Path) -> Path:
        """The absolute path of a directory that can be written; leaves nothing behind.

        Raises:
            OutputError: it is a file, cannot be written, or holds something else.
        """
        try:
            target = Path(directory).expanduser().resolve()
            if target == Path.cwd():
                raise self._refusal(
                    f"the {self.kind} would replace the current directory",
                    "a directory of its own",
                    f"{self.option} {Path('out') / self.kind}",
                )
            self._check_replaceable(target)
            parent = next(path for path in target.parents if path.exists())
            # Permission bits do not tell what a mount or a quota allows: try.
            probe = parent / _hidden(target.name)
            probe.mkdir()
            probe.rmdir()
        except OSError as error:
            raise self._unwritable(directory, error) from error
        return target

    @contextmanager
    def replacing(self, target: Path) -> Iterator[Path]:
        """A directory that becomes `target` if the block ends well, and vanishes otherwise.

        Raises:
            OutputError: it cannot be written.
        """
        missing = [path for path in target.parents if not path.exists()]
        place, former = (target.with_name(_hidden(target.name)) for _ in range(2))
        try:
            place.mkdir(parents=True)
            yield place
            if target.exists():
                target.rename(former)
            place.rename(target)
            _remove(former)
        except BaseException as error:
            # Interrupts as well: the former directory is back, or the new one is complete.
            if former.exists() and not target.exists():
                former.rename(target)
            _remove(place)
            _remove(former)
            for parent in missing:
                with suppress(OSError):
                    parent.rmdir()
            if isinstance(error, OSError):
                raise self._unwritable(target, error) from error
            raise

    def _check_replaceable(self, target: Path) -> None:
        if not target.exists():
            return
        if not target.is_dir():
            raise self._refusal(
                f"{target} is a file",
                f"a directory for the {self.kind}",
                f"{self.option} {target}-{self.kind}",
            )
        ours = self._listed_files(target)
        present = (p.relative_to(target).as_posix() for p in target.rglob("*") if not p.is_dir())
        # A few names are enough: the directory may be somebody's home.
        foreign = list(islice((name for name in present if name not in ours), 4))
        if foreign:
            shown = ", ".join([*foreign[:3], "..."][: len(foreign)])
            raise self._refusal(
                f"{target} holds what is not part of a {self.kind}: {shown}",
                f"a directory that is missing, empty, or holds only a former {self.kind}",
                f"{self.option} {target / self.kind}, or move these files away",
            )

    def _listed_files(self, target: Path) -> set[str]:
        """The files that former results of ours say they consist of."""
        listing = target / self.listing
        if not listing.is_file():
            return set()
        try:
            document = json.loads(listing.read_text(encoding="utf-8"))
            return set(document["files"]) if document["schema"] == self.schema else set()
        except (ValueError, KeyError, TypeError):
            return set()

    def _refusal(self, wrong: str, expected: str, fix: str) -> OutputError:
        return OutputError(wrong, expected=expected, fix=fix, more=self.more)

    def _unwritable(self, directory: Any, error: OSError) -> OutputError:
        return self._refusal(
            f"the {self.kind} cannot be written to {directory}: {error.strerror or error}",
            "a directory that can be made or written",
            f"choose another with {self.option} DIR, or correct its permissions",
        )


def _remove(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)


def _hidden(name: str) -> str:
    return f".{name[:40]}.{secrets.token_hex(4)}"
