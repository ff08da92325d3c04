"""The public face of integration: a network and data in, a checked run out."""

from flowtheory.engine.gradient_flow import GradientFlow as GradientFlow
from flowtheory.engine.run import Run as Run
