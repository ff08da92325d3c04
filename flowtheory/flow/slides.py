"""The result of an exact run through kinks: a trajectory with its sliding sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from flowtheory.flow.run import Happened
from flowtheory.flow.trajectory import Trajectory


@dataclass(frozen=True, eq=False)
class KinkedTrajectory(Trajectory):
    r"""A `Trajectory` whose switches say whether they cross a kink or begin or end a slide.

    Attributes:
        kinds: `SwitchKind` of every entry of `switches`, shape (s,).
        sliding: data that are slid along at the end, shape (h, n); inactive in `pattern`.
        shares: share of the active side in the field at the end: 0 inactive, 1 active, between
            for a sliding datum; shape (h, n).
        events: what was passed on the way, in order of time; the event that ended the run last.
    """

    kinds: Int[np.ndarray, " s"]
    sliding: Bool[np.ndarray, "h n"]
    shares: Float[np.ndarray, "h n"]
    events: tuple[Happened, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("kinds", "sliding", "shares"):
            array = np.array(getattr(self, name))
            array.setflags(write=False)
            object.__setattr__(self, name, array)
