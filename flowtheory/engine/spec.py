r"""A run as a small TOML file: read, and checked key by key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from flowtheory.engine.keys import SECTIONS
from flowtheory.errors import FileFormatError, FlowtheoryError, ParameterError, UnknownNameError

MORE = "docs/runs.md"


@dataclass(frozen=True)
class Spec:
    """A file that describes one run.

    Attributes:
        path: the file; paths of data in it are relative to its directory.
        text: what is in it.
        values: section -> key -> value.
    """

    path: Path
    text: str
    values: Mapping[str, Mapping[str, Any]]

    def get(self, section: str, key: str, default: Any = None) -> Any:
        """A value, or the default."""
        return self.values.get(section, {}).get(key, default)

    def has(self, section: str, key: str) -> bool:
        """Whether a key is given."""
        return key in self.values.get(section, {})

    def near(self, name: str) -> Path:
        """A path of the file, seen from the file."""
        return self.path.parent / Path(name).expanduser()

    def where(self, section: str, key: str | None = None) -> str:
        """File, line and key, for an error."""
        line = _line(self.text, section, key)
        place = f"{self.path.name}:{line}" if line else self.path.name
        return f"{place}: [{section}]" + (f" {key}" if key else "")

    @contextmanager
    def locating(self, section: str, key: str | None = None) -> Iterator[None]:
        """Errors of the block say which line of the file they are about."""
        try:
            yield
        except FlowtheoryError as error:
            if error.wrong.startswith(self.path.name):
                raise
            named = self._named(section, error.wrong)
            given = key if key and self.has(section, key) else None
            place = self.where(section, given or named)
            # A message that begins with the key need not name it twice.
            wrong = (
                f"{place.removesuffix(named)}{error.wrong}" if named else f"{place}: {error.wrong}"
            )
            raise type(error)(
                wrong, expected=error.expected, fix=error.fix, more=error.more or MORE
            ) from error

    def _named(self, section: str, words: str) -> str | None:
        """The key of a section that a message begins with."""
        first = words.split(maxsplit=1)[0]
        return first if self.has(section, first) else None


def read_spec(path: str | Path) -> Spec:
    """Read and check the sections, keys and kinds of values of a run's file.

    Raises:
        FileFormatError: the file is missing, or no TOML.
        UnknownNameError: a section or key that does not exist.
        ParameterError: a value of the wrong kind.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise FileFormatError(
            f"{path} cannot be read: {reason}",
            expected="a TOML file with sections [network], [data], [init], [run]",
            fix="check the path; texts stand in quotes, lists in [ ], tables in { }",
            more=MORE,
        ) from error
    spec = Spec(path, text, values)
    for section, given in values.items():
        if not isinstance(given, dict):
            raise _outside(spec, section)
        if section not in SECTIONS:
            raise unknown_key(f"{spec.where(section)} is no section", section, SECTIONS)
        for key, value in given.items():
            _check_key(spec, section, key, value)
    return spec


def _check_key(spec: Spec, section: str, key: str, value: Any) -> None:
    known = SECTIONS[section]
    arrays = section == "data" and key not in known
    if key == "NAME" or (key not in known and not arrays):
        raise unknown_key(f"{spec.where(section, key)} is no key", key, set(known) - {"NAME"})
    kind = known["NAME" if arrays else key].kind
    if not kind.test(value):
        raise ParameterError(
            f"{spec.where(section, key)} is {_shown(value)}",
            expected=kind.words,
            fix=f"{key} = {kind.example}",
            more=MORE,
        )


def _outside(spec: Spec, key: str) -> ParameterError:
    homes = [section for section, keys in SECTIONS.items() if key in keys]
    return ParameterError(
        f"{spec.path.name}: {key} stands in no section",
        expected=f"keys below a section: {', '.join(f'[{name}]' for name in SECTIONS)}",
        fix=f"write [{homes[0]}] above it" if homes else "see the keys of each section",
        more=MORE,
    )


def unknown_key(wrong: str, name: str, known: Any) -> UnknownNameError:
    """The error for a name that is none of `known`, with the nearest of them."""
    names = sorted(known)
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    return UnknownNameError(
        wrong,
        expected=f"one of {', '.join(names)}",
        fix=f"did you mean {' or '.join(near)}?" if near else "check the spelling",
        more=MORE,
    )


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) < 60 else f"{text[:57]}..."


def _line(text: str, section: str, key: str | None) -> int | None:
    """The line on which a section, or a key in it, stands."""
    inside, head = False, None
    for number, line in enumerate(text.splitlines(), start=1):
        if opening := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
            inside = opening[1].split(".")[0] == section
            if inside and key is not None and opening[1] == f"{section}.{key}":
                return number
            head = head or (number if inside else None)
        elif key and inside and re.match(rf"""\s*["']?{re.escape(key)}["']?\s*[.=]""", line):
            return number
    return head
