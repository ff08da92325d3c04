"""A run carried to its end, stretch by stretch, and written down on the way."""

from __future__ import annotations

from typing import Any, Protocol

from flowtheory.flow.position import Keeper, Written
from flowtheory.flow.recorder import Progress
from flowtheory.outcome import Outcome

RUN, SECOND = "run", "second run"
"""What a keeper calls a run, and the one made for its error estimate."""


class Going(Protocol):
    """A run in the making; it goes on until it has an `outcome`."""

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None while it goes on."""
        ...

    def advance(self) -> None:
        """One stretch, and what the host makes of it."""
        ...

    def frozen(self) -> Written:
        """The run after its last whole stretch, whenever it is asked for."""
        ...

    def thaw(self, former: Any) -> None:
        """Go on from what `frozen` has given; a spent budget may have been raised."""
        ...

    def report(self, progress: Progress | None) -> None:
        """Tell a progress callback, not too often while the run goes on."""
        ...


def carry(
    run: Going, progress: Progress | None = None, keeper: Keeper | None = None, part: str = RUN
) -> None:
    """Carry a run to its end.

    Args:
        run: at its start.
        progress: called now and then.
        keeper: knows from where to go on, and writes the run down as it goes, also when it is
            interrupted.
        part: what the keeper calls this run.
    """
    former = keeper.former(part) if keeper else None
    if former is not None:
        run.thaw(former)
    try:
        while run.outcome is None:
            run.report(progress)
            run.advance()
            if keeper is not None and run.outcome is None:
                keeper.keep(part, run.frozen, last=False)
    finally:
        # An interrupt may come in the middle of a stretch: what was whole before it is kept.
        if keeper is not None:
            keeper.keep(part, run.frozen, last=True)
    run.report(progress)
