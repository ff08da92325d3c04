r"""Where a probe lives: a module of an installed package, or a Python file of the user's own.

What is sent to a worker is this address, never a function: compiled code does not travel.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import import_module
from pathlib import Path

from flowtheory.errors import FileFormatError
from flowtheory.sweep.probe import Probe
from flowtheory.userfile import run_file

_DOCS = "docs/sweeps.md"


@dataclass(frozen=True)
class Home:
    """Address of a probe, "package.module:NAME" or "path/to/file.py:NAME".

    Attributes:
        address: as given; the path of a file is made absolute.
    """

    address: str

    @classmethod
    def of(cls, address: str) -> Home:
        """A home whose file, if it is one, is found from anywhere on this machine."""
        place, _, name = address.rpartition(":")
        if place.endswith(".py"):
            return cls(f"{Path(place).expanduser().resolve()}:{name}")
        return cls(address)

    def probe(self) -> Probe:
        """The probe.

        Raises:
            FileFormatError: Nothing of that name is there, or it is no probe.
        """
        return _loaded(self)

    @cached_property
    def digest(self) -> str:
        """Of the source of a user's file, which has no other version; empty for a module."""
        place, _, _ = self.address.rpartition(":")
        if not place.endswith(".py"):
            return ""
        return hashlib.sha256(Path(place).read_bytes()).hexdigest()


@lru_cache(maxsize=16)
def _loaded(home: Home) -> Probe:
    place, _, name = home.address.rpartition(":")
    if place.endswith(".py"):
        found = run_file(place, name, more=_DOCS).get(name)
    else:
        try:
            found = getattr(import_module(place), name, None)
        except (ImportError, ValueError) as error:
            raise FileFormatError(
                f"{home.address} cannot be imported: {error}",
                expected='"package.module:NAME" or "path/to/file.py:NAME"',
                fix="check the address; the package must be installed where the workers run",
                more=_DOCS,
            ) from error
    if not isinstance(found, Probe):
        kind = "nothing" if found is None else f"a {type(found).__name__}"
        raise FileFormatError(
            f"{home.address} is {kind}",
            expected="a flowtheory.sweep.Probe",
            fix=f"define {name} = Probe(...) there",
            more=_DOCS,
        )
    return found
