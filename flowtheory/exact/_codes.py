"""Integer codes shared by the compiled kernels and the Python side."""

from __future__ import annotations

from typing import Final

# Kind of an event.
DEACTIVATED: Final = 0
ACTIVATED: Final = 1
SLIDE_BEGINS: Final = 2
SLIDE_ENDS_INACTIVE: Final = 3
SLIDE_ENDS_ACTIVE: Final = 4
SIGN_FLIP: Final = 5
NO_DATUM: Final = -1

# Why the loop of a neuron ended.
STATUS_FINAL: Final = 0
STATUS_DEAD: Final = 1
STATUS_STATIONARY: Final = 2
STATUS_OPPOSITE: Final = 3
STATUS_NONUNIQUE: Final = 4
STATUS_EVENT_LIMIT: Final = 5
STATUS_REACHED: Final = 6
STATUS_RUNNING: Final = 7
