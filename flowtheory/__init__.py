"""flowtheory: derive, integrate, measure and judge small-initialization training dynamics."""

from flowtheory.clock import Clock as Clock
from flowtheory.outcome import Outcome as Outcome
from flowtheory.precision import float64 as float64
