"""How far the distribution of amplitudes moves along a gradient flow."""

from flowtheory.laws.wasserstein_motion.law import LAW as LAW
