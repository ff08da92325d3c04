"""Closed forms and event-exact propagation: no ODE solver inside."""

from flowtheory.exact.diagonal import DiagonalJumps as DiagonalJumps
from flowtheory.exact.diagonal import diagonal_jumps as diagonal_jumps
from flowtheory.exact.effective import balanced as balanced
from flowtheory.exact.effective import propagate as propagate
from flowtheory.exact.paths import EffectivePaths as EffectivePaths
from flowtheory.exact.paths import EventKind as EventKind
from flowtheory.exact.paths import Samples as Samples
