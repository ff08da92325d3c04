"""Everything that flowtheory raises on a user's mistake.

    FlowtheoryError
    ├── InputError            a value that the mathematics does not admit
    │   ├── DataError         data: non-finite, zero vector, labels, sizes
    │   └── ParameterError    a scalar or an option out of its domain
    ├── FileFormatError       a file that is missing, truncated or of the wrong type
    ├── UnknownNameError      a law, family or data set that is not registered
    ├── LawError              a law whose record or experiment is not what a law needs
    ├── OutputError           a place that cannot be written
    ├── UnreachableError      a scheduler that does not answer, or went away
    └── PrecisionError        float32 where float64 is required

Every message has four beats: what is wrong (with the value seen), what was expected, the usual
fix, and where to read more. The three last beats are keyword arguments, so that none is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class FlowtheoryError(Exception):
    """Base class; `wrong`, `expected`, `fix` and `more` are the four beats of the message."""

    def __init__(self, wrong: str, *, expected: str, fix: str, more: str = "") -> None:
        self.wrong, self.expected, self.fix, self.more = wrong, expected, fix, more
        super().__init__(self.render())

    def render(self) -> str:
        """The message, one beat a line."""
        beats = [self.wrong, f"expected: {self.expected}", f"fix: {self.fix}"]
        if self.more:
            beats.append(f"more: {self.more}")
        return "\n".join(beats)

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments: the default pickling would call cls(message) and fail in a worker.
        return (_rebuild, (type(self), self.wrong, self.expected, self.fix, self.more))


def _rebuild(
    cls: type[FlowtheoryError], wrong: str, expected: str, fix: str, more: str
) -> FlowtheoryError:
    return cls(wrong, expected=expected, fix=fix, more=more)


class InputError(FlowtheoryError, ValueError):
    """A value that the mathematics does not admit."""


class DataError(InputError):
    """Data that a law or a flow cannot take: non-finite, a zero vector, labels, sizes."""


class ParameterError(InputError):
    """A scalar or an option outside its domain."""


class FileFormatError(FlowtheoryError):
    """A file that is missing, truncated, mislabelled or of the wrong type."""


class UnknownNameError(FlowtheoryError, LookupError):
    """A name that no registry knows."""


class LawError(FlowtheoryError):
    """A law that cannot be verified: an incomplete record, units that clash, a failed run."""


class OutputError(FlowtheoryError):
    """A place that cannot be written."""


class UnreachableError(FlowtheoryError):
    """A scheduler that does not answer, or went away."""


class PrecisionError(FlowtheoryError):
    """float32 where float64 is required."""


def unknown_name(kind: str, name: str, known: Iterable[str], more: str = "") -> UnknownNameError:
    """The error for `name` not being one of `known`, with the nearest names as the fix."""
    names = sorted(known)
    near = get_close_matches(name, names, n=3)
    return UnknownNameError(
        f"unknown {kind} {name!r}",
        expected=f"one of {', '.join(names)}",
        fix=f"did you mean {' or '.join(map(repr, near))}?" if near else "check the spelling",
        more=more,
    )
