"""How laws are to be verified, as the command line says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from flowtheory.laws.record import Settings


class Work(NamedTuple):
    """How laws are verified.

    Attributes:
        settings: seed, effort, data.
        options: the same as options of the command.
        seconds: longest time of a law.
        certify: whether rows are to be proved.
    """

    settings: Settings
    options: str
    seconds: float | None
    certify: bool
