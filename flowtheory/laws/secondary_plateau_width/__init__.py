"""Second plateau of two layers: as long as the network is wide, by the first term that competes."""

from flowtheory.laws.secondary_plateau_width.law import LAW as LAW
