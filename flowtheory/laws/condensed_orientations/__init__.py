"""How many orientations neurons condense on."""

from flowtheory.laws.condensed_orientations.law import LAW as LAW
